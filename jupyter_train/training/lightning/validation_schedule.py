"""Whether a fit can still validate before its limits end it."""

from __future__ import annotations

import math

import pytorch_lightning as pl
from pytorch_lightning.callbacks import GradientAccumulationScheduler


def may_validate(trainer: pl.Trainer) -> bool:
    """False where `max_epochs` or `max_steps` ends the fit before its next validation; True where that is not known.

    Called at the end of an epoch. An end by time, or by early stopping, cannot be known before.
    """
    if not trainer.enable_validation:
        return False
    epochs, batch = _next_validation(trainer)
    max_epochs = trainer.max_epochs
    if max_epochs is not None and max_epochs >= 0 and epochs >= max_epochs - trainer.current_epoch - 1:
        return False
    return _is_within_steps(trainer, epochs, batch)


def _next_validation(trainer: pl.Trainer) -> tuple[int, float]:
    """Epochs that are trained before the next one that validates, and the number of that one's batch it follows."""
    every, interval, length = trainer.check_val_every_n_epoch, trainer.val_check_batch, trainer.num_training_batches
    if interval is None:  # by time
        return (_epochs_before(trainer, every or 1), 1)
    if math.isinf(interval):
        return (_epochs_before(trainer, every or 1), length)
    if every is not None:
        return (_epochs_before(trainer, every), interval)
    batches = int(interval - trainer.fit_loop.epoch_loop.batch_progress.total.ready % interval)
    if math.isinf(length) or not length:
        return (0, batches)
    epochs = (batches - 1) // int(length)
    return (epochs, batches - epochs * length)


def _epochs_before(trainer: pl.Trainer, every: int) -> int:
    return -(trainer.current_epoch + 2) % every


def _is_within_steps(trainer: pl.Trainer, epochs: int, batch: float) -> bool:
    """Whether that batch is trained before `max_steps` is reached."""
    if trainer.max_steps in (None, -1):
        return True
    steps_left = trainer.max_steps - trainer.global_step
    length, accumulated = trainer.num_training_batches, trainer.accumulate_grad_batches
    if math.isinf(length) or _has_uneven_steps(trainer):
        return steps_left > 0
    return epochs * math.ceil(length / accumulated) + (batch - 1) // accumulated < steps_left


def _has_uneven_steps(trainer: pl.Trainer) -> bool:
    """Whether the number of optimizer steps per batch cannot be known before."""
    module, callbacks = trainer.lightning_module, trainer.callbacks  # type: ignore[attr-defined]
    return not module.automatic_optimization or any(
        isinstance(callback, GradientAccumulationScheduler) for callback in callbacks
    )
