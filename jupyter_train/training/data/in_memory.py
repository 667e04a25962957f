"""Reads tensors in memory a batch at a time instead of sample by sample: the same values, faster."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import Dataset, Subset, TensorDataset, default_collate
from torch.utils.data._utils.collate import collate_tensor_fn, default_collate_fn_map

from jupyter_train.training.data.seeded_dataset import DatasetProxy


class _Batch:
    """Samples that have been collated already."""

    __slots__ = ("tensors",)

    def __init__(self, tensors: list[torch.Tensor]) -> None:
        self.tensors = tensors


class IndexedDataset(DatasetProxy):
    """A dataset of tensors that is read by the indices of a whole batch.

    Args:
        inner: The dataset it stands for.
        tensors: Their rows are the samples.
        rows: The row of each sample, int64; None for all rows in order.
    """

    def __init__(self, inner: Dataset[Any], tensors: tuple[torch.Tensor, ...], rows: torch.Tensor | None) -> None:
        super().__init__(inner)
        self._tensors = tensors
        self._rows = rows

    def __reduce__(self) -> tuple[Any, ...]:
        return IndexedDataset, (self.inner, self._tensors, self._rows)

    def __getitem__(self, index: object) -> Any:
        """One sample, from the dataset itself."""
        return self.inner[index]

    def __getitems__(self, indices: list[Any]) -> _Batch | list[Any]:
        """A whole batch; sample by sample where an index is invalid, so that the dataset raises its own error."""
        try:
            positions = torch.tensor(indices, dtype=torch.int64)
            if self._rows is not None:
                positions = torch.index_select(self._rows, 0, positions)
            return _Batch([torch.index_select(tensor, 0, positions) for tensor in self._tensors])
        except (IndexError, RuntimeError, TypeError, ValueError):
            return [self.inner[index] for index in indices]


def collate_batch(samples: Any) -> Any:
    """A batch as PyTorch's `default_collate` makes it."""
    return samples.tensors if type(samples) is _Batch else default_collate(samples)


def to_indexed_dataset(dataset: Dataset[Any], collate: object) -> IndexedDataset | None:
    """The dataset read a batch at a time; None where the batches might differ.

    Args:
        dataset: The DataLoader's dataset.
        collate: Its `collate_fn`.
    """
    # the table of collate functions, private in torch 2.13: a user may have registered another one for tensors
    if collate is not default_collate or default_collate_fn_map.get(torch.Tensor) is not collate_tensor_fn:
        return None
    rows: torch.Tensor | None = None
    inner = dataset
    while type(inner) is Subset:
        try:
            subset_rows = torch.as_tensor(inner.indices, dtype=torch.int64)
            rows = subset_rows if rows is None else subset_rows[rows]
        except (IndexError, RuntimeError, TypeError, ValueError):
            return None
        inner = inner.dataset
    if type(inner) is not TensorDataset or not all(map(_is_plain, inner.tensors)):
        return None
    if rows is not None and len(rows) and bool((rows < 0).any() | (rows >= len(inner)).any()):
        return None
    return IndexedDataset(dataset, inner.tensors, rows)


def _is_plain(tensor: torch.Tensor) -> bool:
    return type(tensor) is torch.Tensor and tensor.layout is torch.strided and not tensor.requires_grad
