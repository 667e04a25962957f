"""Reads row data: arrays, lists, sparse matrices, frames, a scikit-learn Bunch, with weights, in parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from jupyter_train.exceptions import DataError

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

_PART_NAMES = ("train", "validation", "test")


class SparseMatrix(Protocol):
    """What is used of a sparse matrix or array of scipy, which has no types of its own."""

    shape: tuple[int, ...]
    data: np.ndarray[Any, Any]
    indices: np.ndarray[Any, Any]
    indptr: np.ndarray[Any, Any]

    def __getitem__(self, rows: np.ndarray[Any, Any] | slice, /) -> SparseMatrix: ...

    def astype(self, dtype: str, /) -> SparseMatrix:
        """The matrix in another dtype."""

    def toarray(self) -> np.ndarray[Any, Any]:
        """The matrix with its zeros."""

    def tocsr(self) -> SparseMatrix:
        """The matrix by rows."""


@dataclass(frozen=True)
class RowInputs:
    """Rows with their targets, before anything is checked.

    Attributes:
        features: An array or tensor `(n, ...)`, a scipy matrix or a frame; of a frame alone, with the target in it.
        targets: An array or tensor `(n, ...)`, or a column; None where a frame holds them.
        weights: An array of n numbers, or None.
        part_sizes: Numbers of training, validation and test rows, where data came in parts; else empty.
        content: What the fingerprint is taken of.
    """

    features: Any
    targets: Any = None
    weights: Any = None
    part_sizes: tuple[int, ...] = ()
    content: Any = None

    @property
    def is_frame(self) -> bool:
        """Whether a frame holds the targets too."""
        return self.targets is None


def to_row_inputs(data: object, target: str | None = None) -> RowInputs | None:
    """`data` as rows; None for DataLoaders, Datasets and whatever else yields batches.

    Args:
        data: Of any kind.
        target: The column to predict (`--target`): several frames are parts of one table then.

    Raises:
        DataError: It is rows, and which of it are inputs and which targets is ambiguous.
    """
    if type(data).__module__.partition(".")[0] == "sklearn" and isinstance(data, dict):
        return _from_bunch(data)
    if is_frame(data):
        return RowInputs(data, content=data)
    if parts := _find_parts(data, target):
        return _concatenate_parts(parts, data)
    _refuse_inputs_alone(data)
    return _from_arrays(data)


def _from_bunch(bunch: dict[str, Any]) -> RowInputs:
    if not is_column(bunch.get("data")) or bunch.get("target") is None:
        raise DataError(
            f"a Bunch needs `data` and `target`, and this one has {', '.join(f'`{name}`' for name in bunch)}; give "
            "`(X, y)`"
        )
    features, targets = to_array_like(bunch["data"]), to_array_like(bunch["target"])
    return RowInputs(features, targets, content=(features, targets))


def _from_arrays(data: object) -> RowInputs | None:
    """`(X, y)` or `(X, y, w)`.

    Raises:
        DataError: There are more.
    """
    if not isinstance(data, tuple | list) or not 2 <= len(data) <= 4 or not all(map(is_column, data)):
        return None
    if len(data) == 4:
        raise DataError(
            "four arrays may be meant in several orders; write `((X_train, y_train), (X_valid, y_valid))`, with "
            "weights `((X_train, y_train, w_train), (X_valid, y_valid, w_valid))`"
        )
    arrays = [to_array_like(part) for part in data]
    return RowInputs(arrays[0], arrays[1], arrays[2] if len(arrays) == 3 else None, content=tuple(arrays))


def _find_parts(data: object, target: str | None) -> list[RowInputs]:
    """The parts of `(train, validation)` or `(train, validation, test)`; empty where data is something else."""
    if not isinstance(data, tuple | list) or not 2 <= len(data) <= 3:
        return []
    if target is not None and all(map(is_frame, data)):
        return [RowInputs(part) for part in data]
    if all(map(_is_pair_of_arrays, data)):
        return [rows for part in data if (rows := _from_arrays(part)) is not None]
    return []


def _is_pair_of_arrays(part: object) -> bool:
    """Whether something is `(X, y)` or `(X, y, w)`; a list of lists may as well be the rows of an array."""
    if not isinstance(part, tuple | list) or len(part) not in (2, 3):
        return False
    if not isinstance(part, tuple) or not all(map(is_column, part)):
        return all(map(is_array, part))
    return is_array(part[0]) or is_column(part[0][0])


def _concatenate_parts(parts: list[RowInputs], data: object) -> RowInputs:
    """All parts as rows of one table, in their order.

    Raises:
        DataError: Their columns or shapes differ.
    """
    counts = tuple(row_count(part.features) for part in parts)
    for name, part in zip(_PART_NAMES[1:], parts[1:], strict=False):
        _check_same_columns(parts[0], part, name)
    columns = list(zip(*((part.features, part.targets, part.weights) for part in parts), strict=True))
    features, targets, weights = (None if column[0] is None else _concatenate(list(column)) for column in columns)
    return RowInputs(features, targets, weights, counts, content=data)


def _check_same_columns(train: RowInputs, part: RowInputs, name: str) -> None:
    """Checks that a part has the columns of the training rows.

    Raises:
        DataError: It has not.
    """
    if (train.weights is None) != (part.weights is None):
        raise DataError(f"the train rows have weights and the {name} rows have none, or the other way round; give both")
    if is_frame(train.features) and is_frame(part.features):
        train_columns, columns = list(map(str, train.features.columns)), list(map(str, part.features.columns))
        if sorted(train_columns) != sorted(columns):
            differing = sorted(set(train_columns) ^ set(columns))[:8]
            raise DataError(
                f"the train and {name} frames have different columns: "
                f"{', '.join(f'`{column}`' for column in differing)} only in one of them"
            )
    for word, expected, array in (("X", train.features, part.features), ("y", train.targets, part.targets)):
        if expected is not None and np.shape(expected)[1:] != np.shape(array)[1:]:
            raise DataError(
                f"{word} of the {name} rows has shape {np.shape(array)}, and of the train rows {np.shape(expected)}"
            )


def _concatenate(parts: list[Any]) -> object:
    if all(map(is_frame, parts)):
        import pandas as pd

        named = [with_text_columns(part) for part in parts]
        return pd.concat([part[list(named[0].columns)] for part in named], ignore_index=True)
    if is_sparse(parts[0]):
        from scipy import sparse  # type: ignore[import-untyped]

        return sparse.vstack(parts, format="csr")
    if all(isinstance(part, torch.Tensor) for part in parts):
        return torch.cat([part.detach().cpu() for part in parts])
    if any(type(part).__module__.partition(".")[0] == "pandas" for part in parts):
        import pandas as pd

        return pd.concat([pd.Series(part) for part in parts], ignore_index=True)
    return np.concatenate([np.asarray(part) for part in parts])


def _refuse_inputs_alone(data: object) -> None:
    """Refuses inputs without targets.

    Raises:
        DataError: There are no targets.
    """
    if isinstance(data, dict) and data and all(is_array(item) for item in data.values()):
        names = list(data)
        raise DataError(
            f"a dict of arrays does not say what is input and what is target; write "
            f"`(data[{names[0]!r}], data[{names[-1]!r}])`"
        )
    if is_array(data):
        raise DataError(
            f"a {type(data).__name__} alone has inputs and no targets; give `(X, y)`, `(X, X)` for a model that learns "
            "its inputs, or a DataLoader"
        )


def is_frame(data: object) -> TypeGuard[pd.DataFrame]:
    """Whether it is a pandas DataFrame."""
    return type(data).__module__.partition(".")[0] == "pandas" and hasattr(data, "columns")


def with_text_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with its column names as text.

    Raises:
        DataError: Several columns have the same name.
    """
    names = [str(name) for name in frame.columns]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError(
            f"several columns are named {', '.join(f'`{name}`' for name in repeated[:8])}; give each a name"
        )
    return frame.set_axis(names, axis=1)


def is_sparse(data: object) -> TypeGuard[SparseMatrix]:
    """Whether it is a scipy sparse matrix or array."""
    return type(data).__module__.partition(".")[0] == "scipy" and hasattr(data, "tocsr")


def is_array(data: Any) -> bool:
    """Whether it is an array, a tensor, a Series, a frame or a sparse matrix, and no container of such."""
    if isinstance(data, Dataset | DataLoader):
        return False
    is_array_like = isinstance(data, np.ndarray | torch.Tensor) or hasattr(data, "__array__") or is_sparse(data)
    return is_array_like and len(np.shape(data)) > 0


def is_column(data: object) -> bool:
    """Whether it is an array, or a list of numbers, texts, rows or arrays."""
    if not isinstance(data, list | tuple):
        return is_array(data)
    if not data:
        return False
    first = data[0]
    is_value = first is None or np.isscalar(first) or (isinstance(first, torch.Tensor) and not first.ndim)
    return is_value or is_column(first)


def row_count(rows: npt.ArrayLike) -> int:
    """The number of rows; `len` fails for a sparse matrix."""
    return int(np.shape(rows)[0])


def to_array_like(column: object) -> object:
    """Lists as numpy arrays, sparse tensors as scipy matrices; anything else as it is.

    Raises:
        DataError: The rows of a list are not equally long.
    """
    if isinstance(column, torch.Tensor) and column.layout is not torch.strided:
        return _to_scipy(column)
    if not isinstance(column, list | tuple):
        return column
    lengths = {np.shape(item) for item in column}
    if len(lengths) > 1 and not any(isinstance(item, str) for item in column):
        sizes = sorted(int(np.prod(length)) for length in lengths)
        raise DataError(
            f"the rows of a list have {sizes[0]} to {sizes[-1]} values; make them equally long, or give a Dataset"
        )
    return np.asarray([np.asarray(item) for item in column] if is_array(column[0]) else column)


def _to_scipy(tensor: torch.Tensor) -> object:
    if tensor.ndim != 2:
        return tensor.to_dense()
    from scipy import sparse

    coordinates = tensor.detach().cpu().to_sparse().coalesce()
    return sparse.csr_matrix((coordinates.values().numpy(), coordinates.indices().numpy()), shape=tuple(tensor.shape))
