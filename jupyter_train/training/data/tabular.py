"""Turns rows of arrays and frames into Datasets: checked, encoded, scaled, split."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, TensorDataset

from jupyter_train.exceptions import DataError, did_you_mean
from jupyter_train.training.data.encoder import Encoder, fit_encoder, is_numeric, mean_and_std, quote_names, to_frame
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
from jupyter_train.training.data.row_inputs import RowInputs, is_frame, is_sparse, with_text_columns
from jupyter_train.training.data.sparse_rows import SparseRows
from jupyter_train.training.data.splitting import Split, is_classes, split_rows
from jupyter_train.training.data.targets import check_not_mixed, describe_classes, prepare_targets, to_class_numbers
from jupyter_train.training.losses import Loss, TargetKind, loss_name, target_kind_of


@dataclass
class TableParts:
    """Datasets of a table; `validation` and `test` are None where they have no rows."""

    train: Dataset[Any]
    validation: Dataset[Any] | None
    test: Dataset[Any] | None
    words: str
    encoder: Encoder | None = None
    classes: int = 0


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


def make_parts(rows: RowInputs, options: TableOptions, split: Split, seed: int) -> TableParts:
    """Datasets of checked, encoded and split rows.

    Inputs become float32; integers stay integers in a tensor, and where the model has an embedding. Targets become
    int64 or float32.

    Raises:
        DataError: Lengths differ, there are no rows, or something in them cannot be trained on.
    """
    if rows.is_frame:
        return _make_frame_parts(rows, options, split, seed)
    _check_shapes(rows)
    check_not_mixed(rows.targets)
    targets = to_array(rows.targets)
    _check_targets("y", targets, options.encode)
    if is_frame(rows.features):
        frame = with_text_columns(rows.features)
        check_frame(frame, options.encode)
        return _make_encoded_parts(frame, targets, _target_name(rows.targets, frame), rows, options, split, seed)
    if is_sparse(rows.features) and options.scale is not None:
        raise DataError("`--scale` would leave no zeros in a scipy matrix; scale it yourself, by `MaxAbsScaler`")
    if is_sparse(rows.features):
        matrix = rows.features.tocsr()
        if count_nan(matrix.data):
            raise DataError("X is a scipy matrix with NaN values; fill them yourself: `X.data[np.isnan(X.data)] = 0`")
        check_array("X", matrix.data)
        return _make_numeric_parts(matrix.astype("float32"), targets, rows, options, split, seed)
    features = to_array(rows.features)
    check_kind("X", features)
    needs_encoder = options.encode and (features.dtype.kind in "OUS" or count_nan(features) > 0)
    if options.scale is not None or needs_encoder or (options.encoder is not None and options.encoder.takes(features)):
        if not options.encode:
            check_array("X", features)
        table = _to_table(features)
        check_frame(table, options.encode)
        return _make_encoded_parts(table, targets, "y", rows, options, split, seed)
    check_array("X", features)
    return _make_numeric_parts(
        np.array(features, dtype=input_dtype(rows.features, options.has_embedding)), targets, rows, options, split, seed
    )


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


def _target_name(targets: Any, frame: Any) -> str:
    name = str(getattr(targets, "name", None) or "y")
    return name if name not in frame.columns else f"target of {name}"


def _to_table(features: np.ndarray[Any, Any]) -> Any:
    if features.ndim != 2:
        raise DataError(f"`--encode` and `--scale` need a table; X has shape {features.shape}")
    return to_frame(features, [f"x{index}" for index in range(features.shape[1])])


def _make_frame_parts(rows: RowInputs, options: TableOptions, split: Split, seed: int) -> TableParts:
    frame, target = with_text_columns(rows.features), options.target
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
    return _make_encoded_parts(features, targets, target, rows, options, split, seed, groups)


def _frame_targets(column: Any, name: str) -> np.ndarray[Any, Any]:
    check_not_mixed(column)
    targets = np.asarray(column)
    if targets.dtype == object and is_numeric(column):
        targets = np.asarray(column.tolist())
    check_kind(f"the target `{name}`", targets)
    check_finite(f"the target `{name}`", targets)
    return targets


def _check_targets(name: str, targets: np.ndarray[Any, Any], encode: bool) -> None:
    check_kind(name, targets)
    if not (encode and targets.dtype.kind in "OUS"):
        check_array(name, targets)
    elif missing := count_missing(targets):
        raise DataError(f"{name} has {missing} empty values. Drop those rows")


def _make_encoded_parts(
    frame: Any,
    targets: np.ndarray[Any, Any],
    name: str,
    rows: RowInputs,
    options: TableOptions,
    split: Split,
    seed: int,
    groups: np.ndarray[Any, Any] | None = None,
) -> TableParts:
    """The parts of a checked frame of inputs, with its encoder."""
    dealt = split_rows(to_class_numbers(targets, options.loss), split, seed, groups)
    encoder = options.encoder
    if encoder is None or not encoder.takes(frame):
        encoder = fit_encoder(frame, dealt[0], name, split.fold is not None, options.scale is not None)
    features = encoder.features(frame)
    parts = _make_numeric_parts(features, targets, rows, options, split, seed, dealt)
    if parts.encoder is not None:
        encoder.labels, encoder.target_scale = parts.encoder.labels, parts.encoder.target_scale
    if encoder.categories or encoder.labels or any(frame[column].isna().any() for column in encoder.medians):
        parts.words += f" · {features.shape[1]} columns after encoding"
    if encoder.scales or encoder.target_scale:
        parts.words += " · columns and target scaled" if encoder.target_scale else " · columns scaled"
    parts.encoder = encoder
    return parts


def _make_numeric_parts(
    features: Any,
    targets: np.ndarray[Any, Any],
    rows: RowInputs,
    options: TableOptions,
    split: Split,
    seed: int,
    dealt: tuple[Any, Any, Any] | None = None,
) -> TableParts:
    """The parts of numeric inputs.

    Args:
        features: A matrix by rows, or an array in its final type.
        targets: `(n, ...)`.
        rows: With weights and part sizes.
        options: How rows are prepared.
        split: How rows are split.
        seed: Seeds the split.
        dealt: Row numbers of the parts, where they are known already.
    """
    x = features if is_sparse(features) else torch.from_numpy(features)
    first = x[:1] if isinstance(x, torch.Tensor) else torch.from_numpy(x[:1].toarray())
    dealt = split_rows(to_class_numbers(targets, options.loss), split, seed) if dealt is None else dealt
    if options.encoder is not None and (options.encoder.labels or options.encoder.target_scale):
        encoder: Encoder | None = dataclasses.replace(options.encoder)
        numbers, labels = options.encoder.targets(targets), options.encoder.labels
    else:
        numbers, labels = prepare_targets(targets, options.loss, options.encode, lambda: options.width(first))
        encoder = Encoder({}, {}, "y", labels) if labels is not None else None
    if options.scale == "standard+target" and (options.encoder is None or not options.encoder.target_scale):
        _refuse_scaled_classes(numbers, labels is not None, options.loss)
    if encoder is None and options.scale == "standard+target":
        encoder = Encoder({}, {}, "y", None, target_scale=mean_and_std(numbers[dealt[0]]))
        numbers = encoder.targets(numbers)
    is_class = is_classes(numbers)
    y = torch.from_numpy(np.array(numbers, dtype="int64" if numbers.dtype.kind in "iub" else "float32"))
    others = [y]
    if rows.weights is not None:
        others.append(torch.from_numpy(to_row_weights(rows.weights, len(numbers)).astype("float32")))
    sets = [_make_dataset(x, others, index) if len(index) else None for index in dealt]
    counts = [
        f"{len(index):,} {name}"
        for name, index in zip(("train", "validation", "test"), dealt, strict=True)
        if len(index)
    ]
    assert sets[0] is not None
    words = f"rows: {' / '.join(counts)}" + (", stratified" if is_class and not split.part_sizes else "")
    words += " · weighted" if rows.weights is not None else ""
    words += f" · {describe_classes(labels)}" if labels is not None and targets.dtype.kind not in "OUS" else ""
    classes = len(np.unique(numbers)) if is_class else 0
    return TableParts(sets[0], sets[1], sets[2], words, encoder, classes)


def _refuse_scaled_classes(targets: np.ndarray[Any, Any], are_numbered: bool, loss: Loss | None) -> None:
    """Refuses `--scale standard+target` for classes.

    Raises:
        DataError: The targets are classes.
    """
    words = ""
    if loss is not None and target_kind_of(loss) in (TargetKind.CLASSES, TargetKind.PROBABILITIES):
        words = f", and `{loss_name(loss)}` takes classes; write `standard`"
    elif are_numbered or (loss is None and is_classes(targets)):
        words = ", and the targets are classes; write `standard`, or give numbers as floats"
    if words:
        raise DataError(f"`--scale standard+target` is for numbers{words}")


def _make_dataset(x: Any, others: list[torch.Tensor], index: np.ndarray[Any, Any]) -> Dataset[Any]:
    taken = [other[torch.from_numpy(index)] for other in others]
    if isinstance(x, torch.Tensor):
        return TensorDataset(x[torch.from_numpy(index)], *taken)
    return SparseRows(x[index], *taken)


def _check_row_count(rows: int) -> None:
    if rows < 2:
        raise DataError(f"the data has {rows} rows; expected at least 2 (one to train on, one to validate with)")
