"""Turns checked and split rows into Datasets: encoded, scaled, as tensors."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

import numpy as np
import torch
from torch.utils.data import Dataset, TensorDataset

from jupyter_train.exceptions import DataError
from jupyter_train.training.data.checked_rows import CheckedRows, TableOptions
from jupyter_train.training.data.encoder import Encoder, fit_encoder, mean_and_std
from jupyter_train.training.data.row_inputs import SparseMatrix, is_frame, is_sparse
from jupyter_train.training.data.sparse_rows import SparseRows
from jupyter_train.training.data.splitting import RowNumbers, Split, is_classes
from jupyter_train.training.data.targets import describe_classes, prepare_targets
from jupyter_train.training.losses import Loss, TargetKind, loss_name, target_kind_of

if TYPE_CHECKING:
    import pandas as pd


@dataclass
class TableParts:
    """Datasets of a table; `validation` and `test` are None where they have no rows."""

    train: Dataset[Any]
    validation: Dataset[Any] | None
    test: Dataset[Any] | None
    description: str
    encoder: Encoder | None = None
    classes: int = 0


class _Targets(NamedTuple):
    """Targets as the loss takes them, with the classes or the scale that they were encoded by."""

    values: np.ndarray[Any, Any]
    labels: list[str] | None = None
    scale: tuple[list[float], list[float]] | None = None


def make_parts(rows: CheckedRows, options: TableOptions, split: Split, numbers: RowNumbers) -> TableParts:
    """Datasets of rows: inputs float32 or integer, targets int64 or float32, then float32 weights.

    Args:
        rows: With their features as a frame where they have to be encoded.
        options: How they are prepared.
        split: How they were split.
        numbers: Row numbers of train, validation and test.

    Raises:
        DataError: The loss takes no such targets, or a column cannot be encoded.
    """
    encoder = _feature_encoder(rows, options, split, numbers.train) if is_frame(rows.features) else None
    features = encoder.features(rows.features) if encoder is not None else rows.features
    inputs = features if is_sparse(features) else torch.from_numpy(features)
    targets = _encode_targets(rows.targets, inputs[:1], options, numbers.train)
    encoder = _with_targets(encoder, targets, options)
    columns = _columns(targets.values, rows.weights)
    train, validation, test = (_make_dataset(inputs, columns, part) if len(part) else None for part in numbers)
    assert train is not None
    is_class = is_classes(targets.values)
    description = _describe_rows(numbers, is_stratified=is_class and not split.part_sizes)
    description += " · weighted" if rows.weights is not None else ""
    if targets.labels is not None and rows.targets.dtype.kind not in "OUS":
        description += f" · {describe_classes(targets.labels)}"
    if encoder is not None and is_frame(rows.features):
        description += _describe_encoding(encoder, rows.features, features.shape[1])
    classes = len(np.unique(targets.values)) if is_class else 0
    return TableParts(train, validation, test, description, encoder, classes)


def _feature_encoder(rows: CheckedRows, options: TableOptions, split: Split, train: np.ndarray[Any, Any]) -> Encoder:
    """The encoder of the run that is resumed or forked, where it fits; else one fitted on the training rows."""
    if options.encoder is not None and options.encoder.takes(rows.features):
        return options.encoder
    return fit_encoder(rows.features, train, rows.target_name, split.fold is not None, options.scale is not None)


def _encode_targets(
    targets: np.ndarray[Any, Any],
    first_input: torch.Tensor | SparseMatrix,
    options: TableOptions,
    train: np.ndarray[Any, Any],
) -> _Targets:
    if _has_target_encoding(options.encoder):
        saved = options.encoder
        encoded = _Targets(saved.targets(targets), saved.labels, saved.target_scale)
    else:
        encoded = _Targets(
            *prepare_targets(targets, options.loss, options.encode, lambda: _width(options, first_input))
        )
    if options.scale != "standard+target" or encoded.scale:
        return encoded
    _refuse_scaled_classes(encoded.values, encoded.labels is not None, options.loss)
    scale = mean_and_std(encoded.values[train])
    return _Targets(Encoder({}, {}, "y", None, target_scale=scale).targets(encoded.values), scale=scale)


def _width(options: TableOptions, first_input: torch.Tensor | SparseMatrix) -> int | None:
    if not isinstance(first_input, torch.Tensor):
        first_input = torch.from_numpy(first_input.toarray())
    return options.width(first_input)


def _with_targets(encoder: Encoder | None, targets: _Targets, options: TableOptions) -> Encoder | None:
    """The run's encoder; None where neither features nor targets are encoded."""
    if targets.labels is None and targets.scale is None:
        return encoder
    if encoder is None:
        encoder = options.encoder if _has_target_encoding(options.encoder) else Encoder({}, {}, "y", None)
    return dataclasses.replace(encoder, labels=targets.labels, target_scale=targets.scale)


def _has_target_encoding(encoder: Encoder | None) -> TypeGuard[Encoder]:
    return encoder is not None and bool(encoder.labels or encoder.target_scale)


def _refuse_scaled_classes(targets: np.ndarray[Any, Any], are_numbered: bool, loss: Loss | None) -> None:
    """Refuses `--scale standard+target` for classes.

    Raises:
        DataError: The targets are classes.
    """
    reason = ""
    if loss is not None and target_kind_of(loss) in (TargetKind.CLASSES, TargetKind.PROBABILITIES):
        reason = f", and `{loss_name(loss)}` takes classes; write `standard`"
    elif are_numbered or (loss is None and is_classes(targets)):
        reason = ", and the targets are classes; write `standard`, or give numbers as floats"
    if reason:
        raise DataError(f"`--scale standard+target` is for numbers{reason}")


def _columns(targets: np.ndarray[Any, Any], weights: np.ndarray[Any, Any] | None) -> list[torch.Tensor]:
    columns = [torch.from_numpy(np.array(targets, dtype="int64" if targets.dtype.kind in "iub" else "float32"))]
    return columns + ([torch.from_numpy(weights.astype("float32"))] if weights is not None else [])


def _make_dataset(
    inputs: torch.Tensor | SparseMatrix, columns: list[torch.Tensor], part: np.ndarray[Any, Any]
) -> Dataset[Any]:
    index = torch.from_numpy(part)
    taken = [column[index] for column in columns]
    if isinstance(inputs, torch.Tensor):
        return TensorDataset(inputs[index], *taken)
    return SparseRows(inputs[part], *taken)


def _describe_rows(numbers: RowNumbers, is_stratified: bool) -> str:
    counts = [f"{len(part):,} {name}" for name, part in numbers._asdict().items() if len(part)]
    return f"rows: {' / '.join(counts)}{', stratified' if is_stratified else ''}"


def _describe_encoding(encoder: Encoder, frame: pd.DataFrame, width: int) -> str:
    description = ""
    if encoder.categories or encoder.labels or any(frame[column].isna().any() for column in encoder.medians):
        description += f" · {width} columns after encoding"
    if encoder.scales or encoder.target_scale:
        description += " · columns and target scaled" if encoder.target_scale else " · columns scaled"
    return description
