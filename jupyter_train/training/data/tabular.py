"""Arrays and data frames as tensors: checked, encoded if asked, split by seed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, TensorDataset

from jupyter_train.exceptions import DataError, did_you_mean
from jupyter_train.training.data.encoder import Encoder, fit, frame_of, is_numeric, names_of, standard
from jupyter_train.training.data.row_checks import (
    as_array,
    check_array,
    check_finite,
    check_frame,
    checked_weights,
    gaps_of,
    input_type,
    missing_of,
    refuse_kind,
)
from jupyter_train.training.data.row_inputs import RowInputs, is_frame, is_sparse, with_text_names
from jupyter_train.training.data.sparse_rows import SparseRows
from jupyter_train.training.data.splitting import Split, is_classes, split_rows
from jupyter_train.training.data.targets import prepared, refuse_mixed, whole_classes, words_of
from jupyter_train.training.losses import Expects, Loss, expected_by, name_of


@dataclass
class TableParts:
    """Row-wise parts of a table; `validation` and `test` may be empty."""

    train: Dataset[Any]
    validation: Dataset[Any] | None
    test: Dataset[Any] | None
    words: str
    encoder: Encoder | None = None
    classes: int = 0


@dataclass(frozen=True)
class TablePurpose:
    """What rows are prepared for.

    Attributes:
        target: The column to predict, of a frame.
        encode: Whether texts and gaps become numbers.
        scale: `standard` for columns with mean 0 and standard deviation 1, `standard+target` for the target as well.
        loss: What is trained by; None where the module decides.
        width: Gives how many outputs the model has for inputs `(1, ...)`; None where nobody knows.
        kept: The encoder of a run that goes on, or is forked; it is used in place of a new one.
        is_lookup: Whether the model looks whole numbers up.
    """

    target: str | None = None
    encode: bool = False
    scale: str | None = None
    loss: Loss | None = None
    width: Callable[[torch.Tensor], int | None] = lambda _inputs: None
    kept: Encoder | None = None
    is_lookup: bool = False


def parts_of(rows: RowInputs, wanted: TablePurpose, split: Split, seed: int) -> TableParts:
    """Rows, checked, split and turned into tensors.

    Arrays of inputs become float32; whole numbers stay whole in a tensor, and where the model looks them up. Targets
    become int64 or float32.

    Raises:
        DataError: Lengths differ, there are no rows, or something in them cannot be trained on.
    """
    if rows.is_frame:
        return _parts_of_frame(rows, wanted, split, seed)
    _check_lengths(rows)
    refuse_mixed(rows.targets)
    targets = as_array(rows.targets)
    _check_targets("y", targets, wanted.encode)
    if is_frame(rows.features):
        frame = with_text_names(rows.features)
        check_frame(frame, wanted.encode)
        return _encoded(frame, targets, _name_for_target(rows.targets, frame), rows, wanted, split, seed)
    if is_sparse(rows.features) and wanted.scale is not None:
        raise DataError("`--scale` would leave no zeros in a scipy matrix; scale it yourself, by `MaxAbsScaler`")
    if is_sparse(rows.features):
        matrix = rows.features.tocsr()
        if gaps_of(matrix.data):
            raise DataError("X is a scipy matrix with NaN values; fill them yourself: `X.data[np.isnan(X.data)] = 0`")
        check_array("X", matrix.data)
        return _dealt(matrix.astype("float32"), targets, rows, wanted, split, seed)
    features = as_array(rows.features)
    refuse_kind("X", features)
    needs_encoder = wanted.encode and (features.dtype.kind in "OUS" or gaps_of(features) > 0)
    if wanted.scale is not None or needs_encoder or (wanted.kept is not None and wanted.kept.takes(features)):
        if not wanted.encode:
            check_array("X", features)
        table = _table_of(features)
        check_frame(table, wanted.encode)
        return _encoded(table, targets, "y", rows, wanted, split, seed)
    check_array("X", features)
    return _dealt(
        np.array(features, dtype=input_type(rows.features, wanted.is_lookup)), targets, rows, wanted, split, seed
    )


def _check_lengths(rows: RowInputs) -> None:
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
    _check_rows(x[0])
    if 0 in x:
        raise DataError(f"X has shape {x}: there is nothing to learn from")


def _name_for_target(targets: Any, frame: Any) -> str:
    name = str(getattr(targets, "name", None) or "y")
    return name if name not in frame.columns else f"target of {name}"


def _table_of(features: np.ndarray[Any, Any]) -> Any:
    if features.ndim != 2:
        raise DataError(f"`--encode` and `--scale` need a table; X has shape {features.shape}")
    return frame_of(features, [f"x{index}" for index in range(features.shape[1])])


def _parts_of_frame(rows: RowInputs, wanted: TablePurpose, split: Split, seed: int) -> TableParts:
    frame, target = with_text_names(rows.features), wanted.target
    columns = list(frame.columns)
    if target is None:
        raise DataError(f"a DataFrame needs its target; add `--target {columns[-1] if columns else 'COLUMN'}`")
    if target not in columns:
        raise DataError(
            f"`--target {target}`: no such column.{did_you_mean(target, columns)} Columns: {names_of(columns)}"
        )
    _check_rows(len(frame))
    groups = split.groups_of(frame)
    frame = frame.drop(columns=[split.group]) if split.group and split.group != target else frame
    if frame[target].isna().any():
        count = int(frame[target].isna().sum())
        raise DataError(f"the target `{target}` has {count} empty rows; drop them: `df.dropna(subset=[{target!r}])`")
    features = frame.drop(columns=[target])
    targets = _target_of(frame[target], target)
    check_frame(features, wanted.encode, frame[[target]])
    return _encoded(features, targets, target, rows, wanted, split, seed, groups)


def _target_of(column: Any, name: str) -> np.ndarray[Any, Any]:
    refuse_mixed(column)
    targets = np.asarray(column)
    if targets.dtype == object and is_numeric(column):
        targets = np.asarray(column.tolist())
    refuse_kind(f"the target `{name}`", targets)
    check_finite(f"the target `{name}`", targets)
    return targets


def _check_targets(name: str, targets: np.ndarray[Any, Any], encode: bool) -> None:
    refuse_kind(name, targets)
    if not (encode and targets.dtype.kind in "OUS"):
        check_array(name, targets)
    elif missing := missing_of(targets):
        raise DataError(f"{name} has {missing} empty values. Drop those rows")


def _encoded(
    frame: Any,
    targets: np.ndarray[Any, Any],
    name: str,
    rows: RowInputs,
    wanted: TablePurpose,
    split: Split,
    seed: int,
    groups: np.ndarray[Any, Any] | None = None,
) -> TableParts:
    """The parts of a frame of inputs that has been checked; its encoder is kept."""
    dealt = split_rows(whole_classes(targets, wanted.loss), split, seed, groups)
    encoder = wanted.kept
    if encoder is None or not encoder.takes(frame):
        encoder = fit(frame, dealt[0], name, split.fold is not None, wanted.scale is not None)
    features = encoder.features(frame)
    parts = _dealt(features, targets, rows, wanted, split, seed, dealt)
    if parts.encoder is not None:
        encoder.labels, encoder.target_scale = parts.encoder.labels, parts.encoder.target_scale
    if encoder.categories or encoder.labels or any(frame[column].isna().any() for column in encoder.medians):
        parts.words += f" · {features.shape[1]} columns after encoding"
    if encoder.scales or encoder.target_scale:
        parts.words += " · columns and target scaled" if encoder.target_scale else " · columns scaled"
    parts.encoder = encoder
    return parts


def _dealt(
    features: Any,
    targets: np.ndarray[Any, Any],
    rows: RowInputs,
    wanted: TablePurpose,
    split: Split,
    seed: int,
    dealt: tuple[Any, Any, Any] | None = None,
) -> TableParts:
    """The parts of inputs that are numbers.

    Args:
        features: A matrix by rows, or an array in its final type.
        targets: `(n, ...)`.
        rows: What was given.
        wanted: What it is prepared for.
        split: How rows are dealt.
        seed: By which.
        dealt: Row numbers of the parts, where they are known already.
    """
    x = features if is_sparse(features) else torch.from_numpy(features)
    first = x[:1] if isinstance(x, torch.Tensor) else torch.from_numpy(x[:1].toarray())
    dealt = split_rows(whole_classes(targets, wanted.loss), split, seed) if dealt is None else dealt
    if wanted.kept is not None and (wanted.kept.labels or wanted.kept.target_scale):
        encoder: Encoder | None = dataclasses.replace(wanted.kept)
        numbers, labels = wanted.kept.targets(targets), wanted.kept.labels
    else:
        numbers, labels = prepared(targets, wanted.loss, wanted.encode, lambda: wanted.width(first))
        encoder = Encoder({}, {}, "y", labels) if labels is not None else None
    if wanted.scale == "standard+target" and (wanted.kept is None or not wanted.kept.target_scale):
        _refuse_scaled_classes(numbers, labels is not None, wanted.loss)
    if encoder is None and wanted.scale == "standard+target":
        encoder = Encoder({}, {}, "y", None, target_scale=standard(numbers[dealt[0]]))
        numbers = encoder.targets(numbers)
    is_class = is_classes(numbers)
    y = torch.from_numpy(np.array(numbers, dtype="int64" if numbers.dtype.kind in "iub" else "float32"))
    others = [y]
    if rows.weights is not None:
        others.append(torch.from_numpy(checked_weights(rows.weights, len(numbers)).astype("float32")))
    sets = [_dataset(x, others, index) if len(index) else None for index in dealt]
    counts = [
        f"{len(index):,} {name}"
        for name, index in zip(("train", "validation", "test"), dealt, strict=True)
        if len(index)
    ]
    assert sets[0] is not None
    words = f"rows: {' / '.join(counts)}" + (", stratified" if is_class and not split.given else "")
    words += " · weighted" if rows.weights is not None else ""
    words += f" · {words_of(labels)}" if labels is not None and targets.dtype.kind not in "OUS" else ""
    classes = len(np.unique(numbers)) if is_class else 0
    return TableParts(sets[0], sets[1], sets[2], words, encoder, classes)


def _refuse_scaled_classes(targets: np.ndarray[Any, Any], are_numbered: bool, loss: Loss | None) -> None:
    """Raises where targets that are to be scaled are classes.

    Raises:
        DataError: They are.
    """
    words = ""
    if loss is not None and expected_by(loss) in (Expects.CLASSES, Expects.SHARES):
        words = f", and `{name_of(loss)}` takes classes; write `standard`"
    elif are_numbered or (loss is None and is_classes(targets)):
        words = ", and the targets are classes; write `standard`, or give numbers as floats"
    if words:
        raise DataError(f"`--scale standard+target` is for numbers{words}")


def _dataset(x: Any, others: list[torch.Tensor], index: np.ndarray[Any, Any]) -> Dataset[Any]:
    taken = [other[torch.from_numpy(index)] for other in others]
    if isinstance(x, torch.Tensor):
        return TensorDataset(x[torch.from_numpy(index)], *taken)
    return SparseRows(x[index], *taken)


def _check_rows(rows: int) -> None:
    if rows < 2:
        raise DataError(f"the data has {rows} rows; expected at least 2 (one to train on, one to validate with)")
