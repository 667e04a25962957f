"""A dataset's random numbers follow from the sample's number; the global generators are left alone."""

from __future__ import annotations

import pickle
import random

import numpy as np
import torch
from torch.utils.data import Dataset, TensorDataset

from jupyter_train.training.data.seeded_dataset import NumberedIndex, SeededDataset, draws_random_numbers


class Noisy(Dataset):
    scale = 2.0

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), torch.rand(()).item()


def test_the_number_decides_and_not_the_order() -> None:
    dataset = SeededDataset(Noisy())
    items = [NumberedIndex(index, index, 7) for index in range(3)]
    forward = dataset.__getitems__(items)
    assert [dataset[item] for item in reversed(items)] == forward[::-1]
    assert len(set(forward)) == 3
    assert dataset[NumberedIndex(0, 0, 8)] != forward[0]


def test_reading_leaves_the_global_generators_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(2).tolist()
    torch.manual_seed(1)
    SeededDataset(Noisy())[NumberedIndex(0, 0, 7)]
    assert draws_random_numbers(Noisy())
    assert torch.rand(2).tolist() == expected


def test_it_has_the_class_and_the_attributes_of_the_dataset() -> None:
    inner = Noisy()
    dataset = pickle.loads(pickle.dumps(SeededDataset(inner)))
    assert isinstance(dataset, Noisy)
    assert (len(dataset), dataset.scale) == (5, 2.0)
    seeded = SeededDataset(inner)
    seeded.scale = 3.0
    assert inner.scale == 3.0


def test_what_draws_nothing_is_known() -> None:
    assert not draws_random_numbers(TensorDataset(torch.zeros(3)))
    assert not draws_random_numbers([1, 2, 3])
    assert not draws_random_numbers([])
