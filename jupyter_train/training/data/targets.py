"""Prepares targets for the loss: class indices from 0, probabilities, numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from jupyter_train.exceptions import DataError
from jupyter_train.store.text_columns import listed
from jupyter_train.training.data.encoder import to_label
from jupyter_train.training.losses import (
    Loss,
    TargetKind,
    ignore_index_of,
    loss_name,
    out_of_range_message,
    target_kind_of,
)

_ENCODE_HINT = "Add `--encode auto` to number them, or number them yourself: `np.unique(y, return_inverse=True)[1]`"


def prepare_targets(
    targets: np.ndarray[Any, Any], loss: Loss | None, encode: bool, width: Callable[[], int | None]
) -> tuple[np.ndarray[Any, Any], list[str] | None]:
    """Targets as the loss takes them, and the classes where they were encoded as indices.

    Class indices may come as floats or in a column `(n, 1)`. Other classes (`-1` and `1`, `1` to `K`, texts) are
    encoded in sorted order when `encode` allows it, as by scikit-learn's `LabelEncoder`.

    Args:
        targets: `(n, ...)`, real numbers or texts.
        loss: None where the module has its own.
        encode: Whether classes may be encoded.
        width: Returns the number of the model's outputs for a row, None if unknown; called only where it matters.

    Raises:
        DataError: The loss would fail on them, or misread them.
    """
    expects = target_kind_of(loss) if loss is not None else TargetKind.UNKNOWN
    is_text = targets.dtype.kind in "OUS"
    if is_text and expects is TargetKind.NUMBERS:
        raise DataError(
            f"the targets are texts such as `{targets.flat[0]}`, and `{_name_of_optional(loss)}` takes numbers; make "
            "them some, with `.astype(float)`, or take `--loss cross_entropy` for classes"
        )
    if expects is TargetKind.CLASSES and targets.ndim == 2 and targets.shape[1] == 1:
        targets = targets[:, 0]
    if is_text:
        return _number_classes(targets)
    assert loss is None or callable(loss)
    if loss is not None and expects is TargetKind.CLASSES and targets.ndim == 1:
        return _prepare_classes(_to_whole_numbers(targets, loss), loss, encode, width)
    if expects is TargetKind.CLASSES and targets.ndim == 2 and (outputs := width()) not in (None, targets.shape[1]):
        raise DataError(
            f"the targets have {targets.shape[1]} columns, one for each class, and the model gives {outputs} outputs; "
            f"make the last layer {targets.shape[1]} wide"
        )
    if loss is not None and expects is TargetKind.PROBABILITIES and targets.size:
        return _prepare_probabilities(targets, loss, encode)
    return targets, None


def check_not_mixed(targets: object) -> None:
    """Refuses targets of texts and numbers: `1` and `"1"` would be the same class.

    Raises:
        DataError: They are mixed.
    """
    if str(getattr(targets, "dtype", "")) != "object":  # a tensor may lie on a device
        return
    array = np.asarray(targets)
    texts = [value for value in array.flat if isinstance(value, str)]
    numbers = [value for value in array.flat if isinstance(value, int | float | np.number) and value == value]  # no NaN
    if texts and numbers:
        raise DataError(
            f"the targets are texts such as `{texts[0]!r}` and others such as `{numbers[0]!r}`; make them all texts, "
            "with `.astype(str)`"
        )


def _name_of_optional(loss: Loss | None) -> str:
    """The name of the loss; empty for None."""
    return loss_name(loss) if loss is not None else ""


def to_class_numbers(targets: np.ndarray[Any, Any], loss: Loss | None) -> np.ndarray[Any, Any]:
    """Class indices `(n,)` as integers, from floats or a column `(n, 1)`; other targets as they are.

    Raises:
        DataError: Some are not whole.
    """
    if loss is None or target_kind_of(loss) is not TargetKind.CLASSES:
        return targets
    if targets.ndim == 2 and targets.shape[1] == 1:
        targets = targets[:, 0]
    return _to_whole_numbers(targets, loss) if targets.ndim == 1 else targets


def describe_classes(labels: list[str]) -> str:
    """The panel's line about encoded classes."""
    numbers = [f"`{label}` is {number}" for number, label in enumerate(labels)]
    return f"classes: {listed(numbers, 4)}"


def _number_classes(targets: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], list[str]]:
    labels, numbers = np.unique(targets.astype(str) if targets.dtype.kind in "OUS" else targets, return_inverse=True)
    return numbers.reshape(targets.shape).astype("int64"), [to_label(label) for label in labels.tolist()]


def _to_whole_numbers(targets: np.ndarray[Any, Any], loss: Loss) -> np.ndarray[Any, Any]:
    if targets.dtype.kind != "f":
        return targets
    numbers = targets.astype("int64")
    broken = np.flatnonzero(numbers != targets)
    if len(broken):
        raise DataError(
            f"the targets are numbers such as {targets[broken[0]]:g}, and `{loss_name(loss)}` takes classes; take "
            "`--loss mse` for numbers, or give a probability for every class, `(n, K)`"
        )
    return numbers


def _prepare_classes(
    targets: np.ndarray[Any, Any], loss: Loss, encode: bool, width: Callable[[], int | None]
) -> tuple[np.ndarray[Any, Any], list[str] | None]:
    classes = np.unique(targets)
    classes = classes[classes != ignore_index_of(loss)].astype("int64")
    if not len(classes) or (classes[0] == 0 and classes[-1] == len(classes) - 1):
        return targets, None
    outputs = width() if classes[0] >= 0 else None
    is_in_range = classes[0] >= 0 and (outputs is None or classes[-1] < outputs)
    if is_in_range:
        return targets, None
    shown = listed([str(label) for label in classes.tolist()], 4)
    if outputs is not None and len(classes) > outputs:
        raise DataError(
            f"the targets are {len(classes)} classes ({shown}) and the model gives {outputs} outputs; make the last "
            "layer as wide as there are classes"
        )
    if not encode or (targets == ignore_index_of(loss)).any():
        count = f" to {outputs - 1}" if outputs else ""
        raise DataError(
            f"the targets are {shown}, and `{loss_name(loss)}` counts classes from 0{count}. {_ENCODE_HINT}"
        )
    return _number_classes(targets)


def _prepare_probabilities(
    targets: np.ndarray[Any, Any], loss: Loss, encode: bool
) -> tuple[np.ndarray[Any, Any], list[str] | None]:
    low, high = targets.min(), targets.max()
    if low >= 0 and high <= 1:
        return targets, None
    is_binary = len(np.unique(targets)) == 2
    if encode and is_binary:
        return _number_classes(targets)
    hint = "; or add `--encode auto`, which numbers two classes" if is_binary else ""
    raise DataError(out_of_range_message(loss_name(loss), float(low), float(high)) + hint)
