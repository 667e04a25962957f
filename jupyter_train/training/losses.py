"""Losses by name, the targets they expect, and the shapes of outputs and targets."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable
from enum import Enum

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


class TargetKind(Enum):
    """The kind of targets that a loss takes."""

    CLASSES = "class numbers, or a probability for every class"
    PROBABILITIES = "numbers from 0 to 1"
    NUMBERS = "numbers"
    UNKNOWN = "whatever it takes"


_CLASS_LOSSES = (functional.cross_entropy, functional.nll_loss, nn.CrossEntropyLoss, nn.NLLLoss)
_PROBABILITY_LOSSES = (
    functional.binary_cross_entropy,
    functional.binary_cross_entropy_with_logits,
    nn.BCELoss,
    nn.BCEWithLogitsLoss,
)
_NUMBER_LOSSES = (
    functional.mse_loss,
    functional.l1_loss,
    functional.huber_loss,
    functional.smooth_l1_loss,
    nn.MSELoss,
    nn.L1Loss,
    nn.HuberLoss,
    nn.SmoothL1Loss,
)


def resolve_loss(loss: object) -> Loss:
    """The loss for a name of `LOSSES`; a function or object as it is.

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
    return loss


def target_kind_of(loss: Loss) -> TargetKind:
    """The kind of targets that a loss takes; UNKNOWN for a custom one."""
    while isinstance(loss, functools.partial):
        loss = loss.func
    for kind, losses in (
        (TargetKind.CLASSES, _CLASS_LOSSES),
        (TargetKind.PROBABILITIES, _PROBABILITY_LOSSES),
        (TargetKind.NUMBERS, _NUMBER_LOSSES),
    ):
        if any(
            isinstance(loss, candidate) if inspect.isclass(candidate) else loss is candidate for candidate in losses
        ):
            return kind
    return TargetKind.UNKNOWN


def loss_name(loss: Loss) -> str:
    """The name of a loss: `cross_entropy`, `MSELoss`."""
    names = [name for name, candidate in LOSSES.items() if candidate is loss]
    return names[0] if names else getattr(loss, "__name__", type(loss).__name__)


def ignore_index_of(loss: Loss) -> int:
    """The `ignore_index` of a classification loss; torch's default -100 where it sets none."""
    arguments = (
        loss.keywords if isinstance(loss, functools.partial) else vars(loss) if isinstance(loss, nn.Module) else {}
    )
    return int(arguments.get("ignore_index", -100))


def match_shapes(outputs: torch.Tensor, targets: torch.Tensor, loss: Loss) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs and targets in the shapes and dtypes that the loss expects.

    A column `(n, 1)` becomes `(n,)`: broadcast, the two would give `(n, n)` pairs. Class indices may have any dtype,
    and one-hot rows are probabilities.

    Args:
        outputs: Of the model, `(n, ...)`.
        targets: Of the data, `(n, ...)`.
        loss: Will be called with them.

    Raises:
        DataError: The loss takes no such targets.
        ModelError: The number of outputs is not what the loss needs.
    """
    kind = target_kind_of(loss)
    if kind is TargetKind.CLASSES:
        return outputs, _to_class_targets(outputs, targets, loss)
    if outputs.ndim == targets.ndim + 1 and outputs.shape[-1] == 1:
        outputs = outputs.squeeze(-1)
    elif targets.ndim == outputs.ndim + 1 and targets.shape[-1] == 1:
        targets = targets.squeeze(-1)
    is_custom = kind is TargetKind.UNKNOWN and outputs.shape != targets.shape  # such as class indices
    if outputs.is_floating_point() and not is_custom:
        targets = targets.to(outputs.dtype)
    if kind is not TargetKind.UNKNOWN and outputs.shape != targets.shape:
        raise ModelError(
            f"the model gives outputs of shape {_shape_text(outputs)} for targets of shape {_shape_text(targets)}, and "
            f"`{loss_name(loss)}` compares them one by one; make the last layer as wide as the targets"
        )
    return outputs, targets


def _to_class_targets(outputs: torch.Tensor, targets: torch.Tensor, loss: Loss) -> torch.Tensor:
    if targets.ndim and (outputs.ndim < 2 or outputs.shape[1] == 1):
        raise ModelError(
            f"the model gives one output a row, and `{loss_name(loss)}` needs one for every class; make the last layer "
            "as wide as there are classes, or take `--loss bce_with_logits` for two classes"
        )
    if outputs.shape == targets.shape:
        if not targets.is_floating_point() and not bool((targets.sum(1) == 1).all()):
            raise DataError(
                f"targets of shape {_shape_text(targets)} name no class, or several, in a row, and `{loss_name(loss)}` "
                "takes one a row; take `--loss bce_with_logits` for several"
            )
        return targets.to(outputs.dtype)
    if targets.ndim == outputs.ndim and targets.shape[1] == 1:
        targets = targets.squeeze(1)
    _check_class_dimension(outputs, targets, loss)
    if not targets.is_floating_point():
        return targets.long()
    numbers = targets.long()
    if not torch.equal(numbers.to(targets.dtype), targets):
        raise DataError(
            f"the targets are numbers such as {_first_fraction(targets):g}, and `{loss_name(loss)}` takes classes; "
            "take `--loss mse` for numbers"
        )
    return numbers


def _check_class_dimension(outputs: torch.Tensor, targets: torch.Tensor, loss: Loss) -> None:
    """Checks that outputs `(n, classes, ...)` and class indices `(n, ...)` have the same rows, pixels or tokens.

    Raises:
        ModelError: They have not.
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
        f"the model gives outputs of shape {_shape_text(outputs)} for targets of shape {_shape_text(targets)}, and "
        f"`{loss_name(loss)}` has the classes in the second place, `(n, classes, ...)` for `(n, ...)`; {fix}"
    )


def _first_fraction(targets: torch.Tensor) -> float:
    return float(targets[targets != targets.trunc()][0])


def check_probabilities(targets: torch.Tensor, loss: Loss) -> None:
    """Checks the targets of a binary loss, which would be unbounded below for others.

    Raises:
        DataError: Some are not from 0 to 1.
    """
    if target_kind_of(loss) is not TargetKind.PROBABILITIES or not targets.numel():
        return
    low, high = float(targets.min()), float(targets.max())
    if low < 0 or high > 1:
        raise DataError(out_of_range_message(loss_name(loss), low, high))


def out_of_range_message(loss: str, low: float, high: float) -> str:
    """The error message for targets outside 0 to 1."""
    return (
        f"`{loss}` takes targets from 0 to 1, and these go from {low:g} to {high:g}; give 0 and 1, as "
        f"`(y == {high:g})` does of two classes"
    )


def _shape_text(tensor: torch.Tensor) -> str:
    return f"({', '.join(map(str, tensor.shape))}{',' if tensor.ndim == 1 else ''})"


def weighted_loss(
    loss: Loss, outputs: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The weighted mean of the rows' losses, as scikit-learn's `sample_weight` defines it, and the total weight.

    Weights of 1 give the loss's own mean, class weights and `ignore_index` included.

    Args:
        loss: Called without reduction.
        outputs: As `match_shapes` returns them.
        targets: As `match_shapes` returns them.
        weights: `(n,)`.

    Raises:
        OptionError: The loss has no `reduction`.
    """
    losses = _without_reduction(loss)(outputs, targets)
    if losses.ndim == 0 or len(losses) != len(weights):
        raise OptionError(_NO_ROW_LOSSES)
    shares = weights.to(losses.dtype).reshape(-1, *[1] * (losses.ndim - 1)).expand_as(losses)
    counted = (
        shares * _row_weights_of_mean(loss, targets, losses) if target_kind_of(loss) is TargetKind.CLASSES else shares
    )
    total = counted.sum()
    return (losses * shares).sum() / torch.where(total > 0, total, torch.ones_like(total)), total


_NO_ROW_LOSSES = (
    "`--loss` gives one number for a batch, and the rows have weights; give a loss with `reduction`, such as "
    "`nn.HuberLoss()`"
)


def _without_reduction(loss: Loss) -> Loss:
    if isinstance(loss, nn.Module) and hasattr(loss, "reduction"):
        unreduced = copy.copy(loss)
        unreduced.reduction = "none"  # type: ignore[assignment]
        return unreduced
    if "reduction" not in inspect.signature(loss).parameters:
        raise OptionError(_NO_ROW_LOSSES)
    row_losses: Loss = functools.partial(loss, reduction="none")  # type: ignore[call-arg]
    return row_losses


def _row_weights_of_mean(loss: Loss, targets: torch.Tensor, losses: torch.Tensor) -> torch.Tensor:
    """The weight of each row in the loss's own mean: its class weight, 0 for `ignore_index`."""
    counts = torch.ones_like(losses)
    if targets.shape != losses.shape:
        return counts  # a probability for every class
    is_kept = targets != ignore_index_of(loss)
    arguments = loss.keywords if isinstance(loss, functools.partial) else {}
    class_weights = arguments.get("weight", getattr(loss, "weight", None))
    if class_weights is not None:
        counts = class_weights.to(losses)[targets * is_kept]
    return counts * is_kept
