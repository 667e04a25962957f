"""Changes the learning rate of a running fit, together with the scheduler that would overwrite it.

A scheduler computes the next rate from its base rates, its initial rates or the rate of the last step. All of these
are multiplied by one factor, so that **the rest of the schedule keeps its shape and is scaled**. Setting a rate of
`x` where the schedule is at `y` is a factor of `x / y`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch

from jupyter_train.exceptions import CommandRefusedError

if TYPE_CHECKING:
    from torch.optim.lr_scheduler import LRScheduler

#: Rates that OneCycleLR, CyclicLR and others store in each parameter group.
_GROUP_RATES = ("initial_lr", "max_lr", "min_lr", "base_lr")
#: Lists of schedulers with one rate per group; `_last_lr` is read by `get_last_lr` (torch.optim.lr_scheduler, 2.x).
_SCHEDULER_RATES = ("base_lrs", "max_lrs", "_last_lr")
#: One rate of a scheduler for all groups.
_SCHEDULER_MIN_RATE = "eta_min"


def set_learning_rate(
    trainer: pl.Trainer, lr: float | None = None, factor: float | None = None, group: int | None = None
) -> str:
    """Sets or multiplies the learning rate of all parameter groups, or of one; returns a sentence for the event.

    Args:
        trainer: Between two batches.
        lr: The new rate.
        factor: Multiplies the rate, where `lr` is None.
        group: Index of a group, counted over all optimizers; all if None.

    Raises:
        CommandRefusedError: There is no such group, or the current rate is 0 and cannot be scaled.
    """
    groups = [(optimizer, param_group) for optimizer in trainer.optimizers for param_group in optimizer.param_groups]
    if not groups:
        raise CommandRefusedError("the run has no optimizer")
    if group is not None and group >= len(groups):
        known = f"there are 0 to {len(groups) - 1}" if len(groups) > 1 else "the only one is 0"
        raise CommandRefusedError(f"there is no parameter group {group}; {known}")
    chosen = groups if group is None else [groups[group]]
    factors = {id(param_group): _factor(float(param_group["lr"]), lr, factor) for _, param_group in chosen}
    for optimizer, param_group in chosen:
        _scale_group(param_group, factors[id(param_group)], lr)
        index = next(i for i, candidate in enumerate(optimizer.param_groups) if candidate is param_group)
        for config in trainer.lr_scheduler_configs:
            for scheduler in _nested_schedulers(config.scheduler):
                if getattr(scheduler, "optimizer", None) is optimizer:
                    _scale_scheduler(scheduler, index, factors[id(param_group)])
    text = f"learning rate set to {lr:g}" if lr is not None else f"learning rate multiplied by {factor:g}"
    return text + (f" in group {group}" if group is not None else "")


def _factor(current_lr: float, lr: float | None, factor: float | None) -> float:
    if factor is not None:
        return factor
    assert lr is not None
    if current_lr == 0:
        raise CommandRefusedError("the schedule is at a rate of 0 now and cannot be scaled to another; try again later")
    return lr / current_lr


def _scale_group(group: dict[str, Any], factor: float, lr: float | None) -> None:
    for name in ("lr", *_GROUP_RATES):
        if name in group:
            group[name] = _scaled(group[name], factor)
    if lr is not None and not isinstance(group["lr"], torch.Tensor):
        group["lr"] = lr  # without the rounding of the factor


def _scaled(rate: torch.Tensor | float, factor: float) -> torch.Tensor | float:
    """The scaled rate; a tensor is changed in place, since a compiled optimizer reads that very tensor."""
    return rate.mul_(factor) if isinstance(rate, torch.Tensor) else rate * factor


def _scale_scheduler(scheduler: LRScheduler, index: int, factor: float) -> None:
    for name in _SCHEDULER_RATES:
        rates = getattr(scheduler, name, None)
        if isinstance(rates, list) and index < len(rates):
            rates[index] = rates[index] * factor
    if index == 0 and isinstance(getattr(scheduler, _SCHEDULER_MIN_RATE, None), float | int):
        setattr(scheduler, _SCHEDULER_MIN_RATE, getattr(scheduler, _SCHEDULER_MIN_RATE) * factor)


def _nested_schedulers(scheduler: LRScheduler) -> list[Any]:
    """A scheduler and, recursively, those that SequentialLR and ChainedScheduler keep in `_schedulers` (torch 2.x)."""
    inner = [scheduler for nested in getattr(scheduler, "_schedulers", []) for scheduler in _nested_schedulers(nested)]
    return [scheduler, *inner]
