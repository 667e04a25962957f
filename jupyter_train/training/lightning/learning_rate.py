"""Changes the learning rate of a running fit, together with the schedule that would overwrite it.

A scheduler computes the next rate from what it remembers: base rates, the rates it started from, or the rate of
the step before. All of it is multiplied by the same factor, so that **the rest of the schedule keeps its shape and
is scaled**. Setting a rate of `x` where the schedule is at `y` is a factor of `x / y`.
"""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch

from jupyter_train.exceptions import CommandRefusedError

#: Rates that OneCycleLR, CyclicLR and others keep in each parameter group.
_IN_GROUPS = ("initial_lr", "max_lr", "min_lr", "base_lr")
#: Rates, one per group, that schedulers keep themselves.
_IN_SCHEDULERS = ("base_lrs", "max_lrs", "_last_lr")
#: One rate for all groups.
_OF_ALL = "eta_min"


def set_learning_rate(
    trainer: pl.Trainer, lr: float | None = None, factor: float | None = None, group: int | None = None
) -> str:
    """Sets or multiplies the learning rate of all parameter groups, or of one.

    Args:
        trainer: Between two batches.
        lr: The new rate.
        factor: What to multiply the rate by instead.
        group: Index of a group, counted over all optimizers; all if None.

    Raises:
        CommandRefusedError: There is no such group, or a rate of 0 would have to be scaled.
    """
    groups = [(optimizer, found) for optimizer in trainer.optimizers for found in optimizer.param_groups]
    if not groups:
        raise CommandRefusedError("the run has no optimizer")
    if group is not None and group >= len(groups):
        known = f"0 to {len(groups) - 1}" if len(groups) > 1 else "0 alone"
        raise CommandRefusedError(f"there is no parameter group {group}; known: {known}")
    chosen = groups if group is None else [groups[group]]
    factors = {id(found): _factor(float(found["lr"]), lr, factor) for _, found in chosen}
    for optimizer, found in chosen:
        _scale_group(found, factors[id(found)], lr)
        index = next(i for i, one in enumerate(optimizer.param_groups) if one is found)
        for config in trainer.lr_scheduler_configs:
            for scheduler in _all_of(config.scheduler):
                if getattr(scheduler, "optimizer", None) is optimizer:
                    _scale_scheduler(scheduler, index, factors[id(found)])
    words = f"learning rate set to {lr:g}" if lr is not None else f"learning rate multiplied by {factor:g}"
    return words + (f" in group {group}" if group is not None else "")


def _factor(now: float, lr: float | None, factor: float | None) -> float:
    if factor is not None:
        return factor
    assert lr is not None
    if now == 0:
        raise CommandRefusedError("the schedule is at a rate of 0 now and cannot be scaled to another; try again later")
    return lr / now


def _scale_group(group: dict[str, Any], factor: float, lr: float | None) -> None:
    for name in ("lr", *_IN_GROUPS):
        if name in group:
            group[name] = _times(group[name], factor)
    if lr is not None and not isinstance(group["lr"], torch.Tensor):
        group["lr"] = lr  # exactly what was asked for


def _times(rate: Any, factor: float) -> Any:
    """Scaled in place where it is a tensor: a compiled optimizer looks at that very tensor."""
    return rate.mul_(factor) if isinstance(rate, torch.Tensor) else rate * factor


def _scale_scheduler(scheduler: Any, index: int, factor: float) -> None:
    for name in _IN_SCHEDULERS:
        rates = getattr(scheduler, name, None)
        if isinstance(rates, list) and index < len(rates):
            rates[index] = rates[index] * factor
    if index == 0 and isinstance(getattr(scheduler, _OF_ALL, None), float | int):
        setattr(scheduler, _OF_ALL, getattr(scheduler, _OF_ALL) * factor)


def _all_of(scheduler: Any) -> list[Any]:
    """A scheduler and, where it is made of others, those too."""
    inner = [one for part in getattr(scheduler, "_schedulers", []) for one in _all_of(part)]
    return [scheduler, *inner]
