"""The order of samples and what datasets draw: functions of the seed, without a change to the user's own objects."""

from __future__ import annotations

import random

import pytest
import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    get_worker_info,
)

from jupyter_train.training import order
from jupyter_train.training.data.sample_order import in_order, order_seed, sample_order_of
from jupyter_train.training.data.seeded_dataset import SeededDataset

NUMBERS = TensorDataset(torch.arange(40))


def batches(loader: DataLoader, epoch: int = 0) -> list[list[int]]:
    sample_order_of(loader).set_epoch(epoch)
    return [batch[0].tolist() if isinstance(batch, list) else batch.tolist() for batch in loader]


SAMPLERS = {
    "shuffled": lambda: {"shuffle": True, "batch_size": 8},
    "replacing": lambda: {"sampler": RandomSampler(NUMBERS, replacement=True, num_samples=16), "batch_size": 8},
    "weighted": lambda: {"sampler": WeightedRandomSampler(torch.rand(40), 24), "batch_size": 8},
    "a part": lambda: {"sampler": SubsetRandomSampler(range(0, 40, 2)), "batch_size": 8},
    "batch sampler": lambda: {"batch_sampler": BatchSampler(RandomSampler(NUMBERS), 8, drop_last=False)},
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_order_follows_from_seed_and_epoch_alone(name: str) -> None:
    torch.manual_seed(0)
    options = SAMPLERS[name]()
    first = in_order(DataLoader(NUMBERS, **options), order_seed(1))
    again, other = (in_order(DataLoader(NUMBERS, **options), order_seed(seed)) for seed in (1, 2))
    torch.manual_seed(5)  # whatever else is drawn meanwhile
    assert batches(first) == batches(again)
    assert batches(first, 1) == batches(again, 1)
    assert batches(first, 2) != batches(first, 3)
    assert batches(other, 4) != batches(first, 4)


def test_two_passes_through_one_epoch_differ_and_are_repeatable() -> None:
    first, again = (in_order(DataLoader(NUMBERS, 8, shuffle=True), order_seed(1)) for _ in range(2))
    passes = [batches(first), batches(first)]
    assert passes[0] != passes[1]
    assert [batches(again), batches(again)] == passes


def test_the_users_loader_and_its_sampler_stay_what_they_are() -> None:
    loader = DataLoader(NUMBERS, 8, shuffle=True, num_workers=0)
    before = (loader.batch_sampler, loader.sampler, loader.sampler.generator, loader.dataset)
    batches(in_order(loader, order_seed(1)))
    assert (loader.batch_sampler, loader.sampler, loader.sampler.generator, loader.dataset) == before


def test_what_is_not_shuffled_stays_in_its_order() -> None:
    loader = in_order(DataLoader(NUMBERS, sampler=SequentialSampler(NUMBERS), batch_size=8), order_seed(1))
    assert [number for batch in batches(loader, 3) for number in batch] == list(range(40))


class Draws(Dataset):
    """Every sample is a number drawn."""

    def __len__(self):
        return 12

    def __getitem__(self, index):
        return random.random() + torch.rand(()).item()


@pytest.mark.parametrize("workers", [1, 2])
def test_draws_do_not_depend_on_the_number_of_workers(workers: int) -> None:
    def drawn(count: int) -> list[float]:
        loader = in_order(DataLoader(Draws(), 3, shuffle=True, num_workers=count), order_seed(1))
        return [value for batch in batches(loader) for value in batch]

    before = torch.get_rng_state()
    expected = drawn(0)
    assert torch.equal(torch.get_rng_state(), before) is False  # a loader draws one number itself
    assert drawn(workers) == expected
    assert len(set(expected)) == 12


def open_in_worker(_worker: int) -> None:
    get_worker_info().dataset.file = "opened"


class Opened(Dataset):
    """Needs what its workers open."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return len(self.file)


def test_what_a_worker_sets_on_its_dataset_reaches_the_users_object() -> None:
    loader = in_order(DataLoader(Opened(), 2, num_workers=1, worker_init_fn=open_in_worker), order_seed(1))
    assert batches(loader) == [[6, 6], [6, 6]]
    seeded = SeededDataset(Opened())
    seeded.file = "x"
    assert seeded.inner.file == "x"
    assert isinstance(seeded, Opened)


def test_a_loader_that_keeps_its_place_is_left_alone_and_named() -> None:
    class Stateful(DataLoader):
        def state_dict(self):
            return {}

        def load_state_dict(self, state):
            pass

    remarks: list[str] = []
    loader = Stateful(NUMBERS, 8, shuffle=True)
    assert in_order(loader, order_seed(1), remarks) is loader
    assert remarks == ["`Stateful` keeps its place in the data itself"]


def test_scripts_of_stock_lightning_import_them_from_an_earlier_place() -> None:
    assert order.in_order is in_order
    assert order.order_seed is order_seed
