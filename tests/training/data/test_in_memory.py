"""Tensors in memory are read a batch at a time; what comes out is what PyTorch's own loader gives."""

from __future__ import annotations

import pytest
import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, Subset, TensorDataset, default_collate

from jupyter_train.training.data.in_memory import IndexedDataset, collate_batch, to_indexed_dataset
from jupyter_train.training.data.sample_order import in_order, order_seed

ROWS = TensorDataset(torch.randn(50, 3), torch.arange(50), torch.randint(0, 9, (50, 2, 2), dtype=torch.uint8))


class Own(Dataset):
    """A user's."""

    def __len__(self) -> int:
        return 50

    def __getitem__(self, index: int) -> torch.Tensor:
        return ROWS[index][0]


class Marked(torch.Tensor):
    """A tensor of another kind."""


DATASETS = {
    "tensors": ROWS,
    "one tensor": TensorDataset(torch.randn(50)),
    "views": TensorDataset(torch.randn(3, 50).T, torch.randn(50, 4)[:, ::2]),
    "subset": Subset(ROWS, list(range(40, 5, -1))),
    "subset of a subset": Subset(Subset(ROWS, torch.arange(3, 45)), range(0, 40, 2)),
    "random split": torch.utils.data.random_split(ROWS, [30, 20])[0],
}


def batches(loader: DataLoader) -> list[list[torch.Tensor]]:
    return [list(batch) for batch in loader]


@pytest.mark.parametrize("name", DATASETS)
@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 7, "shuffle": True},
        {"batch_size": 7, "drop_last": True},
        {"batch_size": 64},
        {"batch_size": 1},
        {"batch_size": 8, "shuffle": True, "num_workers": 2},
    ],
    ids=str,
)
def test_batches_are_the_same_bit_for_bit(name: str, options) -> None:
    loader = DataLoader(DATASETS[name], **options)
    by_index, one_by_one = in_order(loader, order_seed(1), by_index=True), in_order(loader, order_seed(1))
    assert type(by_index.dataset).__name__ != type(loader.dataset).__name__
    assert by_index.collate_fn is collate_batch
    found, expected = batches(by_index), batches(one_by_one)
    assert len(found) == len(expected) > 0
    for one, other in zip(found, expected, strict=True):
        assert [(t.dtype, t.shape, t.is_contiguous()) for t in one] == [
            (t.dtype, t.shape, t.is_contiguous()) for t in other
        ]
        assert all(map(torch.equal, one, other))


@pytest.mark.parametrize(
    ("dataset", "collate"),
    [
        (Own(), default_collate),
        (ROWS, lambda samples: samples),
        (TensorDataset(torch.randn(5, requires_grad=True)), default_collate),
        (TensorDataset(torch.randn(5).to_sparse()), default_collate),
        (TensorDataset(torch.randn(5).as_subclass(Marked)), default_collate),
        (Subset(Own(), [1, 2]), default_collate),
        (Subset(ROWS, ["a"]), default_collate),
        (Subset(ROWS, [-1, 2]), default_collate),
    ],
)
def test_what_would_not_be_the_same_is_left_alone(dataset, collate) -> None:
    assert to_indexed_dataset(dataset, collate) is None


def test_another_way_to_collate_tensors_is_kept(monkeypatch) -> None:
    from torch.utils.data._utils.collate import default_collate_fn_map

    monkeypatch.setitem(default_collate_fn_map, torch.Tensor, lambda samples, **_: torch.stack(samples) + 1)
    assert to_indexed_dataset(ROWS, default_collate) is None


def test_samplers_of_the_users_are_followed_to_the_last_index() -> None:
    class Odd(BatchSampler):
        """Negative places, and batches of different lengths."""

        def __iter__(self):
            yield [-1, 3, 3]
            yield [49]

    loader = DataLoader(ROWS, batch_sampler=Odd(RandomSampler(ROWS), 2, False))
    found, expected = batches(in_order(loader, 1, by_index=True)), batches(loader)
    assert all(map(torch.equal, found[0], expected[0]))
    assert all(map(torch.equal, found[1], expected[1]))


def test_a_place_that_is_none_fails_as_the_dataset_does() -> None:
    class Beyond(BatchSampler):
        """One too many."""

        def __iter__(self):
            yield [50]

    loader = DataLoader(ROWS, batch_sampler=Beyond(RandomSampler(ROWS), 2, False))
    with pytest.raises(IndexError) as expected:
        batches(loader)
    with pytest.raises(IndexError) as found:
        batches(in_order(loader, 1, by_index=True))
    assert str(found.value) == str(expected.value)


def test_it_looks_like_the_dataset_inside() -> None:
    import pickle

    found = to_indexed_dataset(ROWS, default_collate)
    assert isinstance(found, TensorDataset)
    assert found.tensors is ROWS.tensors
    assert len(found) == 50
    assert torch.equal(found[3][0], ROWS[3][0])
    again = pickle.loads(pickle.dumps(found))
    assert type(again) is IndexedDataset
    assert torch.equal(again.__getitems__([1, 2]).tensors[0], ROWS.tensors[0][1:3])
