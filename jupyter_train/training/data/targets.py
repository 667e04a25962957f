"""Targets of rows as the loss takes them: class numbers from 0, shares, numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from jupyter_train.exceptions import DataError
from jupyter_train.store.text_columns import listed
from jupyter_train.training.data.encoder import label_of
from jupyter_train.training.losses import Expects, Loss, expected_by, ignored_label, name_of, not_shares

_ENCODE = "Add `--encode auto` to number them, or number them yourself: `np.unique(y, return_inverse=True)[1]`"


def prepared(
    targets: np.ndarray[Any, Any], loss: Loss | None, encode: bool, width: Callable[[], int | None]
) -> tuple[np.ndarray[Any, Any], list[str] | None]:
    """Targets as the loss takes them, and the classes where they were numbered for it.

    Class numbers may come as floats or in a column `(n, 1)`. Other classes (`-1` and `1`, `1` to `K`, texts) are
    numbered in their order when `encode` allows it, as scikit-learn does.

    Args:
        targets: `(n, ...)`, real numbers or texts.
        loss: What is trained by; None where the module decides.
        encode: Whether classes may be numbered.
        width: Gives how many outputs the model has for a row; None where nobody knows. Asked only in doubt.

    Raises:
        DataError: The loss would not take them, or take them for something else.
    """
    expects = expected_by(loss) if loss is not None else Expects.UNKNOWN
    is_text = targets.dtype.kind in "OUS"
    if is_text and expects is Expects.NUMBERS:
        raise DataError(
            f"the targets are texts such as `{targets.flat[0]}`, and `{name_of_given(loss)}` takes numbers; make them "
            "some, with `.astype(float)`, or take `--loss cross_entropy` for classes"
        )
    if expects is Expects.CLASSES and targets.ndim == 2 and targets.shape[1] == 1:
        targets = targets[:, 0]
    if is_text:
        return _numbered(targets)
    assert loss is None or callable(loss)
    if loss is not None and expects is Expects.CLASSES and targets.ndim == 1:
        return _classes(_whole(targets, loss), loss, encode, width)
    if expects is Expects.CLASSES and targets.ndim == 2 and (outputs := width()) not in (None, targets.shape[1]):
        raise DataError(
            f"the targets have {targets.shape[1]} columns, one for each class, and the model gives {outputs} outputs; "
            f"make the last layer {targets.shape[1]} wide"
        )
    if loss is not None and expects is Expects.SHARES and targets.size:
        return _shares(targets, loss, encode)
    return targets, None


def refuse_mixed(targets: Any) -> None:
    """Raises where some targets are texts and others are numbers: `1` and `"1"` would be one class.

    Raises:
        DataError: They are.
    """
    if str(getattr(targets, "dtype", "")) != "object":  # a tensor may lie on a device
        return
    array = np.asarray(targets)
    texts = [one for one in array.flat if isinstance(one, str)]
    numbers = [one for one in array.flat if isinstance(one, int | float | np.number) and one == one]  # no NaN
    if texts and numbers:
        raise DataError(
            f"the targets are texts such as `{texts[0]!r}` and others such as `{numbers[0]!r}`; make them all texts, "
            "with `.astype(str)`"
        )


def name_of_given(loss: Loss | None) -> str:
    """How people write the loss; empty where there is none."""
    return name_of(loss) if loss is not None else ""


def whole_classes(targets: np.ndarray[Any, Any], loss: Loss | None) -> np.ndarray[Any, Any]:
    """Class numbers that came as floats or in a column as whole numbers `(n,)`; other targets as they are.

    Raises:
        DataError: Some are no class numbers.
    """
    if loss is None or expected_by(loss) is not Expects.CLASSES:
        return targets
    if targets.ndim == 2 and targets.shape[1] == 1:
        targets = targets[:, 0]
    return _whole(targets, loss) if targets.ndim == 1 else targets


def words_of(labels: list[str]) -> str:
    """What the panel says of numbered classes."""
    numbers = [f"`{label}` is {number}" for number, label in enumerate(labels)]
    return f"classes: {listed(numbers, 4)}"


def _numbered(targets: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], list[str]]:
    labels, numbers = np.unique(targets.astype(str) if targets.dtype.kind in "OUS" else targets, return_inverse=True)
    return numbers.reshape(targets.shape).astype("int64"), [label_of(label) for label in labels.tolist()]


def _whole(targets: np.ndarray[Any, Any], loss: Loss) -> np.ndarray[Any, Any]:
    if targets.dtype.kind != "f":
        return targets
    numbers = targets.astype("int64")
    broken = np.flatnonzero(numbers != targets)
    if len(broken):
        raise DataError(
            f"the targets are numbers such as {targets[broken[0]]:g}, and `{name_of(loss)}` takes classes; take "
            "`--loss mse` for numbers, or give a probability for every class, `(n, K)`"
        )
    return numbers


def _classes(
    targets: np.ndarray[Any, Any], loss: Loss, encode: bool, width: Callable[[], int | None]
) -> tuple[np.ndarray[Any, Any], list[str] | None]:
    known = np.unique(targets)
    known = known[known != ignored_label(loss)].astype("int64")
    if not len(known) or (known[0] == 0 and known[-1] == len(known) - 1):
        return targets, None
    outputs = width() if known[0] >= 0 else None
    is_fitting = known[0] >= 0 and (outputs is None or known[-1] < outputs)
    if is_fitting:
        return targets, None
    shown = listed([str(label) for label in known.tolist()], 4)
    if outputs is not None and len(known) > outputs:
        raise DataError(
            f"the targets are {len(known)} classes ({shown}) and the model gives {outputs} outputs; make the last "
            "layer as wide as there are classes"
        )
    if not encode or (targets == ignored_label(loss)).any():
        count = f" to {outputs - 1}" if outputs else ""
        raise DataError(f"the targets are {shown}, and `{name_of(loss)}` counts classes from 0{count}. {_ENCODE}")
    return _numbered(targets)


def _shares(targets: np.ndarray[Any, Any], loss: Loss, encode: bool) -> tuple[np.ndarray[Any, Any], list[str] | None]:
    low, high = targets.min(), targets.max()
    if low >= 0 and high <= 1:
        return targets, None
    is_two = len(np.unique(targets)) == 2
    if encode and is_two:
        return _numbered(targets)
    hint = "; or add `--encode auto`, which numbers two classes" if is_two else ""
    raise DataError(not_shares(name_of(loss), float(low), float(high)) + hint)
