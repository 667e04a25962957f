"""A Dataset over a scipy matrix, whose rows become dense a batch at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import Dataset

if TYPE_CHECKING:
    from jupyter_train.training.data.row_inputs import SparseMatrix


class SparseRows(Dataset[tuple[torch.Tensor, ...]]):
    """Rows of a sparse matrix with their targets.

    Args:
        matrix: A scipy matrix `(n, k)` by rows (CSR).
        others: Tensors `(n, ...)`, such as targets and weights.
    """

    def __init__(self, matrix: SparseMatrix, *columns: torch.Tensor) -> None:
        self._matrix = matrix
        self._columns = columns

    def __len__(self) -> int:
        return int(self._matrix.shape[0])

    def __getitem__(self, index: int) -> tuple[torch.Tensor, ...]:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[torch.Tensor, ...]]:
        """The rows of a batch."""
        rows = np.asarray(indices)
        inputs = torch.from_numpy(self._matrix[rows].toarray().astype("float32", copy=False))
        return list(zip(inputs, *(column[torch.from_numpy(rows)] for column in self._columns), strict=True))
