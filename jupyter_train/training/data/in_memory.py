"""Data that lies in memory as tensors is read a batch at a time, not sample by sample: the same values, much sooner."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import Subset, TensorDataset, default_collate
from torch.utils.data._utils.collate import collate_tensor_fn, default_collate_fn_map

from jupyter_train.training.data.seeded_dataset import DatasetProxy


class _Batch:
    """Samples that have been put together already."""

    __slots__ = ("tensors",)

    def __init__(self, tensors: list[torch.Tensor]) -> None:
        self.tensors = tensors


class IndexedDataset(DatasetProxy):
    """Tensors read by a batch's indices.

    Args:
        inner: The dataset it stands for.
        tensors: What the dataset's samples are rows of.
        rows: Which row a sample is, where they are not all of them in order.
    """

    def __init__(self, inner: Any, tensors: tuple[torch.Tensor, ...], rows: torch.Tensor | None) -> None:
        super().__init__(inner)
        self._tensors = tensors
        self._rows = rows

    def __reduce__(self) -> Any:
        return IndexedDataset, (self.inner, self._tensors, self._rows)

    def __getitem__(self, index: Any) -> Any:
        """One sample, by the dataset's own way."""
        return self.inner[index]

    def __getitems__(self, indices: list[Any]) -> Any:
        """A whole batch; sample by sample where an index is none of a row, so that the dataset itself says so."""
        try:
            places = torch.tensor(indices, dtype=torch.int64)
            if self._rows is not None:
                places = torch.index_select(self._rows, 0, places)
            return _Batch([torch.index_select(one, 0, places) for one in self._tensors])
        except (IndexError, RuntimeError, TypeError, ValueError):
            return [self.inner[index] for index in indices]


def collated(samples: Any) -> Any:
    """A batch as PyTorch's `default_collate` makes it."""
    return samples.tensors if type(samples) is _Batch else default_collate(samples)


def indexed(dataset: Any, collate: Any) -> IndexedDataset | None:
    """A dataset's batches by index; None where that would not be the same.

    Args:
        dataset: What a loader reads.
        collate: How the loader puts samples together.
    """
    if collate is not default_collate or default_collate_fn_map.get(torch.Tensor) is not collate_tensor_fn:
        return None
    rows: torch.Tensor | None = None
    inner = dataset
    while type(inner) is Subset:
        try:
            own = torch.as_tensor(inner.indices, dtype=torch.int64)
            rows = own if rows is None else own[rows]
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
