"""Whether a validation can still come in a fit, told from its limits."""

from __future__ import annotations

import math

import pytorch_lightning as pl
from pytorch_lightning.callbacks import GradientAccumulationScheduler


def may_validate(trainer: pl.Trainer) -> bool:
    """False where a limit of epochs or steps ends the fit before its next validation; True where nobody knows.

    Asked at the end of an epoch. What ends a fit by time, or by a metric, is not known before.
    """
    if not trainer.enable_validation:
        return False
    epochs, batch = _next_validation(trainer)
    most = trainer.max_epochs
    if most is not None and most >= 0 and epochs >= most - trainer.current_epoch - 1:
        return False
    return _is_within_steps(trainer, epochs, batch)


def _next_validation(trainer: pl.Trainer) -> tuple[int, float]:
    """How many epochs are trained before the one that validates next, and after which of its batches that is."""
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
    """Whether `max_steps` lets that batch be trained."""
    if trainer.max_steps in (None, -1):
        return True
    left = trainer.max_steps - trainer.global_step
    length, accumulated = trainer.num_training_batches, trainer.accumulate_grad_batches
    if math.isinf(length) or _has_uneven_steps(trainer):
        return left > 0
    return epochs * math.ceil(length / accumulated) + (batch - 1) // accumulated < left


def _has_uneven_steps(trainer: pl.Trainer) -> bool:
    """Whether a batch's number of optimizer steps is not known before."""
    module, callbacks = trainer.lightning_module, trainer.callbacks  # type: ignore[attr-defined]
    return not module.automatic_optimization or any(isinstance(one, GradientAccumulationScheduler) for one in callbacks)
