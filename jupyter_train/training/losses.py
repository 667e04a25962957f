"""Losses by name: what they expect of targets, and outputs and targets brought into the shapes that they take."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable
from enum import Enum
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from jupyter_train.exceptions import DataError, ModelError, OptionError, did_you_mean

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

LOSSES: dict[str, Loss] = {
    "cross_entropy": functional.cross_entropy,
    "nll": functional.nll_loss,
    "bce_with_logits": functional.binary_cross_entropy_with_logits,
    "bce": functional.binary_cross_entropy,
    "mse": functional.mse_loss,
    "mae": functional.l1_loss,
    "l1": functional.l1_loss,
    "huber": functional.huber_loss,
    "smooth_l1": functional.smooth_l1_loss,
}


class Expects(Enum):
    """What a loss takes as targets."""

    CLASSES = "class numbers, or a probability for every class"
    SHARES = "numbers from 0 to 1"
    NUMBERS = "numbers"
    UNKNOWN = "whatever it takes"


_CLASSES = (functional.cross_entropy, functional.nll_loss, nn.CrossEntropyLoss, nn.NLLLoss)
_SHARES = (
    functional.binary_cross_entropy,
    functional.binary_cross_entropy_with_logits,
    nn.BCELoss,
    nn.BCEWithLogitsLoss,
)
_NUMBERS = (
    functional.mse_loss,
    functional.l1_loss,
    functional.huber_loss,
    functional.smooth_l1_loss,
    nn.MSELoss,
    nn.L1Loss,
    nn.HuberLoss,
    nn.SmoothL1Loss,
)


def loss_named(loss: Any) -> Loss:
    """The loss meant by a word, or the function or object given.

    Raises:
        OptionError: It is no loss.
    """
    if isinstance(loss, str):
        if loss not in LOSSES:
            raise OptionError(
                f"`--loss {loss}`: no such loss.{did_you_mean(loss, LOSSES)} Known are {', '.join(LOSSES)}; or give "
                "an expression such as `nn.CrossEntropyLoss(label_smoothing=0.1)`"
            )
        return LOSSES[loss]
    if inspect.isclass(loss) or not callable(loss):
        raise OptionError("`--loss`: expected a function or loss object taking `(outputs, targets)`")
    return loss  # type: ignore[no-any-return]


def expected_by(loss: Loss) -> Expects:
    """What a loss takes as targets; UNKNOWN for one of the user's own."""
    while isinstance(loss, functools.partial):
        loss = loss.func
    for expects, known in ((Expects.CLASSES, _CLASSES), (Expects.SHARES, _SHARES), (Expects.NUMBERS, _NUMBERS)):
        if any(isinstance(loss, one) if inspect.isclass(one) else loss is one for one in known):
            return expects
    return Expects.UNKNOWN


def name_of(loss: Loss) -> str:
    """A loss as people write it: `cross_entropy`, `MSELoss`."""
    names = [name for name, known in LOSSES.items() if known is loss]
    return names[0] if names else getattr(loss, "__name__", type(loss).__name__)


def ignored_label(loss: Loss) -> int:
    """The class number that a classification loss passes over."""
    given = loss.keywords if isinstance(loss, functools.partial) else vars(loss) if isinstance(loss, nn.Module) else {}
    return int(given.get("ignore_index", -100))


def fitted(outputs: torch.Tensor, targets: torch.Tensor, loss: Loss) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs and targets in the shapes and types that mean to the loss what they mean to people.

    A column `(n, 1)` is `(n,)`: broadcast, the two would give `(n, n)` pairs. Class numbers may be of any type, and
    one-hot rows are probabilities.

    Args:
        outputs: Of the model, `(n, ...)`.
        targets: Of the data, `(n, ...)`.
        loss: What will be asked.

    Raises:
        DataError: The targets are none that the loss takes.
        ModelError: The outputs are not as many as the loss needs.
    """
    expects = expected_by(loss)
    if expects is Expects.CLASSES:
        return outputs, _classes(outputs, targets, loss)
    if outputs.ndim == targets.ndim + 1 and outputs.shape[-1] == 1:
        outputs = outputs.squeeze(-1)
    elif targets.ndim == outputs.ndim + 1 and targets.shape[-1] == 1:
        targets = targets.squeeze(-1)
    is_own = expects is Expects.UNKNOWN and outputs.shape != targets.shape  # such as class numbers
    if outputs.is_floating_point() and not is_own:
        targets = targets.to(outputs.dtype)
    if expects is not Expects.UNKNOWN and outputs.shape != targets.shape:
        raise ModelError(
            f"the model gives outputs of shape {_shown(outputs)} for targets of shape {_shown(targets)}, and "
            f"`{name_of(loss)}` compares them one by one; make the last layer as wide as the targets"
        )
    return outputs, targets


def _classes(outputs: torch.Tensor, targets: torch.Tensor, loss: Loss) -> torch.Tensor:
    if targets.ndim and (outputs.ndim < 2 or outputs.shape[1] == 1):
        raise ModelError(
            f"the model gives one output a row, and `{name_of(loss)}` needs one for every class; make the last layer "
            "as wide as there are classes, or take `--loss bce_with_logits` for two classes"
        )
    if outputs.shape == targets.shape:
        if not targets.is_floating_point() and not bool((targets.sum(1) == 1).all()):
            raise DataError(
                f"targets of shape {_shown(targets)} name no class, or several, in a row, and `{name_of(loss)}` takes "
                "one a row; take `--loss bce_with_logits` for several"
            )
        return targets.to(outputs.dtype)
    if targets.ndim == outputs.ndim and targets.shape[1] == 1:
        targets = targets.squeeze(1)
    _refuse_other_places(outputs, targets, loss)
    if not targets.is_floating_point():
        return targets.long()
    numbers = targets.long()
    if not torch.equal(numbers.to(targets.dtype), targets):
        raise DataError(
            f"the targets are numbers such as {_first_broken(targets):g}, and `{name_of(loss)}` takes classes; take "
            "`--loss mse` for numbers"
        )
    return numbers


def _refuse_other_places(outputs: torch.Tensor, targets: torch.Tensor, loss: Loss) -> None:
    """Raises where outputs and classes are not of the same rows, pixels or tokens.

    Raises:
        ModelError: They are not.
    """
    if outputs.shape[:1] + outputs.shape[2:] == targets.shape or outputs.ndim < 2:
        return
    is_last = outputs.shape[:-1] == targets.shape
    if outputs.ndim == 2 and targets.ndim == 2 and len(outputs) == len(targets):
        raise ModelError(
            f"the targets have {targets.shape[1]} columns, one for each class, and the model gives {outputs.shape[1]} "
            f"outputs; make the last layer {targets.shape[1]} wide"
        )
    fix = "move them there: `outputs.transpose(1, 2)`" if is_last and outputs.ndim == 3 else "make the two fit"
    raise ModelError(
        f"the model gives outputs of shape {_shown(outputs)} for targets of shape {_shown(targets)}, and "
        f"`{name_of(loss)}` has the classes in the second place, `(n, classes, ...)` for `(n, ...)`; {fix}"
    )


def _first_broken(targets: torch.Tensor) -> float:
    return float(targets[targets != targets.trunc()][0])


def check_shares(targets: torch.Tensor, loss: Loss) -> None:
    """Raises for targets that a binary loss would take, and could make as small as it likes.

    Raises:
        DataError: Some are not from 0 to 1.
    """
    if expected_by(loss) is not Expects.SHARES or not targets.numel():
        return
    low, high = float(targets.min()), float(targets.max())
    if low < 0 or high > 1:
        raise DataError(not_shares(name_of(loss), low, high))


def not_shares(loss: str, low: float, high: float) -> str:
    """What is said of targets outside 0 to 1."""
    return (
        f"`{loss}` takes targets from 0 to 1, and these go from {low:g} to {high:g}; give 0 and 1, as "
        f"`(y == {high:g})` does of two classes"
    )


def _shown(tensor: torch.Tensor) -> str:
    return f"({', '.join(map(str, tensor.shape))}{',' if tensor.ndim == 1 else ''})"


def weighted(
    loss: Loss, outputs: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean of the rows' losses by their weights, as scikit-learn takes it, and what the weights come to.

    Weights of 1 give the loss's own mean, class weights and an ignored class included.

    Args:
        loss: What is asked, row by row.
        outputs: In the shape that it takes.
        targets: In the shape that it takes.
        weights: `(n,)`.

    Raises:
        OptionError: The loss has only a number for the whole batch.
    """
    losses = _row_by_row(loss)(outputs, targets)
    if losses.ndim == 0 or len(losses) != len(weights):
        raise OptionError(_NO_ROWS)
    shares = weights.to(losses.dtype).reshape(-1, *[1] * (losses.ndim - 1)).expand_as(losses)
    counted = shares * _counts(loss, targets, losses) if expected_by(loss) is Expects.CLASSES else shares
    total = counted.sum()
    return (losses * shares).sum() / torch.where(total > 0, total, torch.ones_like(total)), total


_NO_ROWS = (
    "`--loss` gives one number for a batch, and the rows have weights; give a loss with `reduction`, such as "
    "`nn.HuberLoss()`"
)


def _row_by_row(loss: Loss) -> Loss:
    if isinstance(loss, nn.Module) and hasattr(loss, "reduction"):
        alone = copy.copy(loss)
        alone.reduction = "none"  # type: ignore[assignment]
        return alone
    if "reduction" not in inspect.signature(loss).parameters:
        raise OptionError(_NO_ROWS)
    alone_by_row: Loss = functools.partial(loss, reduction="none")  # type: ignore[call-arg]
    return alone_by_row


def _counts(loss: Loss, targets: torch.Tensor, losses: torch.Tensor) -> torch.Tensor:
    """What each row counts in the loss's own mean: its class's weight, nothing where its class is ignored."""
    counts = torch.ones_like(losses)
    if targets.shape != losses.shape:
        return counts  # a probability for every class
    is_kept = targets != ignored_label(loss)
    given = loss.keywords if isinstance(loss, functools.partial) else {}
    of_class = given.get("weight", getattr(loss, "weight", None))
    if of_class is not None:
        counts = of_class.to(losses)[targets * is_kept]
    return counts * is_kept
