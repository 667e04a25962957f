"""Checks arrays and frames for values that no model can be trained on; one line names them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from jupyter_train.exceptions import DataError
from jupyter_train.training.data.encoder import is_numeric, quote_names
from jupyter_train.training.data.row_inputs import is_frame, is_sparse

if TYPE_CHECKING:
    import pandas as pd

_MAX_FLOAT32 = float(np.finfo("float32").max)


def check_frame(frame: pd.DataFrame, encode: bool, target: Any = None) -> None:
    """Refuses columns that cannot become numbers.

    Args:
        frame: Columns of inputs.
        encode: Whether texts and missing values may (`--encode auto`).
        target: A frame of the target alone, where its texts are to be named as well.

    Raises:
        DataError: There are such, or none at all.
    """
    if not len(frame.columns):
        raise DataError("the target is the only column; there is nothing to learn it from: add columns of inputs")
    _refuse_dates_and_complex(frame)
    numbers = [name for name in frame.columns if is_numeric(frame[name])]
    infinite = [name for name in numbers if _is_infinite(_to_floats(frame[name])).any()]
    problems = []
    if not encode:
        text = [name for name in frame.columns if name not in numbers]
        text += [name for name in (target.columns if target is not None else ()) if not is_numeric(target[name])]
        gaps = [name for name in numbers if frame[name].isna().any()]
        problems += [f"not numbers: {quote_names(text)}"] if text else []
        problems += [f"with empty (NaN) rows: {quote_names(gaps)}"] if gaps else []
    fix = "Add `--encode auto`, or prepare them yourself"
    if infinite:
        problems.append(f"with infinite rows (or too large for float32): {quote_names(infinite)}")
        fix = "Replace those: `df.replace([np.inf, -np.inf], np.nan)`" + (
            " and add `--encode auto`" if not encode else ""
        )
    if problems:
        raise DataError(f"columns {'; '.join(problems)}. {fix}")


def _refuse_dates_and_complex(frame: pd.DataFrame) -> None:
    from pandas.api.types import infer_dtype, is_complex_dtype

    kinds = {name: infer_dtype(frame[name], skipna=True) for name in frame.columns if not is_numeric(frame[name])}
    dates = [name for name, kind in kinds.items() if kind.startswith(("date", "time", "period"))]
    if dates:
        raise DataError(
            f"columns of dates or times: {quote_names(dates)}. Make numbers of them that say what you mean, such as "
            f"`(df[{dates[0]!r}] - df[{dates[0]!r}].min()) / pd.Timedelta('1D')` or `df[{dates[0]!r}].dt.dayofweek`"
        )
    if names := [name for name in kinds if frame[name].map(_is_container).any()]:
        raise DataError(
            f"columns of lists or arrays: {quote_names(names)}. Make a column of each value, or give a Dataset"
        )
    if names := [name for name in frame.columns if is_complex_dtype(frame[name]) or kinds.get(name) == "complex"]:
        raise DataError(f"columns of complex numbers: {quote_names(names)}. {_COMPLEX_HINT}")


def _is_container(value: object) -> bool:
    return isinstance(value, list | tuple | dict | set | np.ndarray)


#: `(X1, X2, y)` may be meant where `(X, y, w)` is read.
_MANY_INPUTS_HINT = ". A model of several inputs takes a Dataset: `TensorDataset(X1, X2, y)`"
_COMPLEX_HINT = "Give their real and imaginary parts apart"


def _to_floats(column: pd.Series) -> np.ndarray[Any, Any]:
    floats: np.ndarray[Any, Any] = column.astype("float64").to_numpy(dtype="float64", na_value=np.nan)
    return floats


def _is_infinite(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    mask: np.ndarray[Any, Any] = np.abs(values) > _MAX_FLOAT32
    return mask


def to_array(values: object) -> np.ndarray[Any, Any]:
    """Values as a numpy array; of dtype object where they are neither numbers nor texts.

    Masked entries and missing values of a pandas column become NaN.
    """
    if isinstance(values, torch.Tensor):
        return values.detach().cpu().numpy()
    if is_sparse(values):
        return np.asarray(values.toarray())
    if isinstance(values, np.ma.MaskedArray):
        values = np.ma.filled(values.astype("float64"), np.nan) if np.ma.is_masked(values) else values.data
    array = np.asarray(values)
    if array.dtype == object:
        try:
            return np.asarray(values, dtype="float64")
        except (TypeError, ValueError):
            return np.asarray(values, dtype=object)
    return array


def input_dtype(inputs: object, has_embedding: bool) -> str:
    """The dtype of inputs in training: float32, or integers for tensors of such and for embeddings.

    Args:
        inputs: An array, tensor, frame or scipy matrix.
        has_embedding: Whether the model has an embedding.
    """
    if isinstance(inputs, torch.Tensor):
        return "float32" if inputs.is_floating_point() else str(inputs.dtype).removeprefix("torch.")
    return "int64" if has_embedding and not is_frame(inputs) and np.asarray(inputs).dtype.kind in "iu" else "float32"


def count_nan(array: np.ndarray[Any, Any]) -> int:
    """How many values are NaN."""
    return int(np.isnan(array).sum()) if array.dtype.kind in "fc" else 0


def count_missing(texts: np.ndarray[Any, Any]) -> int:
    """How many values of an object array are missing: None, NaN and the like."""
    import pandas as pd

    return int(pd.isna(texts).sum()) if texts.dtype == object else 0


def check_array(name: str, array: np.ndarray[Any, Any]) -> None:
    """Checks that an array holds real, finite numbers.

    Raises:
        DataError: It does not.
    """
    check_kind(name, array)
    if array.dtype.kind not in "fiub":
        raise DataError(f"{name} holds {array.dtype} values, not numbers. Add `--encode auto`, or encode it yourself")
    if gaps := count_nan(array):
        fix = "Add `--encode auto`, or fill them yourself" if name == "X" else "Drop those rows"
        raise DataError(f"{name} has {gaps} NaN values{_name_columns(np.isnan(array))}. {fix}")
    check_finite(name, array)


def check_kind(name: str, array: np.ndarray[Any, Any]) -> None:
    """Refuses dtypes that cannot be encoded.

    Raises:
        DataError: Values are complex numbers, dates, or records.
    """
    if array.dtype.kind == "c":
        raise DataError(f"{name} holds complex numbers ({array.dtype}). {_COMPLEX_HINT}: `x.real`, `x.imag`")
    if array.dtype.kind in "mM":
        raise DataError(
            f"{name} holds dates or times ({array.dtype}). Make numbers of them that say what you mean, such as days: "
            "`(when - when.min()) / np.timedelta64(1, 'D')`"
        )
    if array.dtype.kind == "V":
        raise DataError(f"{name} holds records ({array.dtype}); make a table of it: `pd.DataFrame({name})`")


def check_finite(name: str, array: np.ndarray[Any, Any]) -> None:
    """Refuses values that are infinite, or would be in float32.

    Raises:
        DataError: There are such.
    """
    if array.dtype.kind == "f" and array.size and max(-array.min(), array.max()) > _MAX_FLOAT32:
        mask = _is_infinite(array)
        raise DataError(
            f"{name} has {int(mask.sum())} values that are infinite, or too large for float32{_name_columns(mask)}. "
            "Replace them, or drop those rows"
        )


def _name_columns(mask: np.ndarray[Any, Any]) -> str:
    """Names the columns of a table `(n, k)` in which the mask is set; empty for other shapes."""
    if mask.ndim != 2:
        return ""
    columns = np.flatnonzero(mask.any(axis=0))
    return f" in column{'s' if len(columns) > 1 else ''} {', '.join(map(str, columns[:8]))}"


def to_row_weights(weights: object, rows: int) -> np.ndarray[Any, Any]:
    """Row weights as an array `(n,)`.

    Raises:
        DataError: They are not one number of 0 or more a row, or all 0.
    """
    array = to_array(weights)
    array = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    if array.ndim != 1 or len(array) != rows:
        raise DataError(
            f"the third of `(X, y, w)` has shape {array.shape}; expected the weights of {rows:,} rows. Validation rows "
            f"are given as `((X, y), (X_valid, y_valid))`{_MANY_INPUTS_HINT}"
        )
    check_array("w", array)
    if (array < 0).any() or not array.any():
        raise DataError(
            f"the weights w are negative, or all 0; expected numbers of 0 or more, one a row{_MANY_INPUTS_HINT}"
        )
    return array
