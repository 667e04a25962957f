"""Checks rows before they are split and encoded: shapes, values, and the target column of a frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from jupyter_train.exceptions import DataError, did_you_mean
from jupyter_train.training.data.encoder import Encoder, is_numeric, quote_names, to_frame
from jupyter_train.training.data.row_checks import (
    check_array,
    check_finite,
    check_frame,
    check_kind,
    count_missing,
    count_nan,
    input_dtype,
    to_array,
    to_row_weights,
)
from jupyter_train.training.data.row_inputs import RowInputs, SparseMatrix, is_frame, is_sparse, with_text_columns
from jupyter_train.training.data.splitting import Split
from jupyter_train.training.data.targets import check_not_mixed, to_class_numbers
from jupyter_train.training.losses import Loss

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TableOptions:
    """How rows are prepared.

    Attributes:
        target: The column to predict, of a frame.
        encode: Whether texts and missing values become numbers.
        scale: `standard` for columns with mean 0 and standard deviation 1, `standard+target` for the target as well.
        loss: None where the module has its own.
        width: Returns the number of the model's outputs for inputs `(1, ...)`; None if unknown.
        encoder: Of the run that is resumed or forked; used in place of a new one.
        has_embedding: Whether the model has an embedding.
    """

    target: str | None = None
    encode: bool = False
    scale: str | None = None
    loss: Loss | None = None
    width: Callable[[torch.Tensor], int | None] = lambda _inputs: None
    encoder: Encoder | None = None
    has_embedding: bool = False


@dataclass(frozen=True)
class CheckedRows:
    """Rows that can be split and encoded.

    Attributes:
        features: A frame, which has yet to be encoded; else a scipy matrix or an array in its final dtype.
        targets: `(n, ...)`, class indices as integers.
        weights: `(n,)`, or None.
        target_name: The target's column.
        groups: The group of every row, or None.
    """

    features: Any
    targets: np.ndarray[Any, Any]
    weights: np.ndarray[Any, Any] | None = None
    target_name: str = "y"
    groups: np.ndarray[Any, Any] | None = None


def check_rows(rows: RowInputs, options: TableOptions, split: Split) -> CheckedRows:
    """The rows, once everything in them can be trained on.

    Args:
        rows: As `to_row_inputs` returns them.
        options: How they will be prepared.
        split: Names the column of groups, if any.

    Raises:
        DataError: Lengths differ, there are no rows, or something in them cannot be trained on.
    """
    if rows.is_frame:
        return _check_frame_with_target(rows.features, options, split)
    _check_shapes(rows)
    check_not_mixed(rows.targets)
    targets = to_array(rows.targets)
    _check_targets(targets, options.encode)
    features = _check_features(rows.features, options)
    targets = to_class_numbers(targets, options.loss)
    weights = to_row_weights(rows.weights, len(targets)) if rows.weights is not None else None
    name = _target_name(rows.targets, features) if is_frame(rows.features) else "y"
    return CheckedRows(features, targets, weights, name)


def _check_shapes(rows: RowInputs) -> None:
    x, y = np.shape(rows.features), np.shape(rows.targets)
    are_frames = is_frame(rows.features) and is_frame(rows.targets)
    if are_frames and rows.features is not rows.targets and list(rows.features.columns) == list(rows.targets.columns):
        raise DataError(
            f"two frames with the same columns are `(train, validation)`; add `--target {rows.features.columns[-1]}`, "
            "or give targets of other columns"
        )
    if not x or not y or x[0] != y[0]:
        hint = ""
        if are_frames:
            hint = "; `(train, validation)` frames need `--target COLUMN`"
        raise DataError(f"X has shape {x} and y has shape {y}; expected the same number of rows{hint}")
    _check_row_count(x[0])
    if 0 in x:
        raise DataError(f"X has shape {x}: there is nothing to learn from")


def _check_row_count(rows: int) -> None:
    if rows < 2:
        raise DataError(f"the data has {rows} rows; expected at least 2 (one to train on, one to validate with)")


def _check_targets(targets: np.ndarray[Any, Any], encode: bool) -> None:
    check_kind("y", targets)
    if not (encode and targets.dtype.kind in "OUS"):
        check_array("y", targets)
    elif missing := count_missing(targets):
        raise DataError(f"y has {missing} empty values. Drop those rows")


def _check_features(features: object, options: TableOptions) -> pd.DataFrame | SparseMatrix | np.ndarray[Any, Any]:
    """A frame where inputs have to be encoded or scaled; else a float32 scipy matrix, or an array of `input_dtype`."""
    if is_frame(features):
        frame = with_text_columns(features)
        check_frame(frame, options.encode)
        return frame
    if is_sparse(features):
        return _check_sparse(features.tocsr(), options)
    array = to_array(features)
    check_kind("X", array)
    needs_encoder = options.encode and (array.dtype.kind in "OUS" or count_nan(array) > 0)
    is_encoded = options.encoder is not None and options.encoder.takes(array)
    if not (options.scale is not None or needs_encoder or is_encoded):
        check_array("X", array)
        return np.array(array, dtype=input_dtype(features, options.has_embedding))
    if not options.encode:
        check_array("X", array)
    table = _to_table(array)
    check_frame(table, options.encode)
    return table


def _check_sparse(matrix: SparseMatrix, options: TableOptions) -> SparseMatrix:
    if options.scale is not None:
        raise DataError("`--scale` would leave no zeros in a scipy matrix; scale it yourself, by `MaxAbsScaler`")
    if count_nan(matrix.data):
        raise DataError("X is a scipy matrix with NaN values; fill them yourself: `X.data[np.isnan(X.data)] = 0`")
    check_array("X", matrix.data)
    return matrix.astype("float32")


def _to_table(features: np.ndarray[Any, Any]) -> pd.DataFrame:
    if features.ndim != 2:
        raise DataError(f"`--encode` and `--scale` need a table; X has shape {features.shape}")
    return to_frame(features, [f"x{index}" for index in range(features.shape[1])])


def _target_name(targets: object, frame: pd.DataFrame) -> str:
    name = str(getattr(targets, "name", None) or "y")
    return name if name not in frame.columns else f"target of {name}"


def _check_frame_with_target(frame: pd.DataFrame, options: TableOptions, split: Split) -> CheckedRows:
    frame, target = with_text_columns(frame), options.target
    columns = list(frame.columns)
    if target is None:
        raise DataError(f"a DataFrame needs its target; add `--target {columns[-1] if columns else 'COLUMN'}`")
    if target not in columns:
        raise DataError(
            f"`--target {target}`: no such column.{did_you_mean(target, columns)} Columns: {quote_names(columns)}"
        )
    _check_row_count(len(frame))
    groups = split.groups_of(frame)
    frame = frame.drop(columns=[split.group]) if split.group and split.group != target else frame
    if frame[target].isna().any():
        count = int(frame[target].isna().sum())
        raise DataError(f"the target `{target}` has {count} empty rows; drop them: `df.dropna(subset=[{target!r}])`")
    features = frame.drop(columns=[target])
    targets = _frame_targets(frame[target], target)
    check_frame(features, options.encode, frame[[target]])
    return CheckedRows(features, to_class_numbers(targets, options.loss), target_name=target, groups=groups)


def _frame_targets(column: pd.Series, name: str) -> np.ndarray[Any, Any]:
    check_not_mixed(column)
    targets = np.asarray(column)
    if targets.dtype == object and is_numeric(column):
        targets = np.asarray(column.tolist())
    check_kind(f"the target `{name}`", targets)
    check_finite(f"the target `{name}`", targets)
    return targets
