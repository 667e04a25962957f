"""Safe points of a fit: moments at which no batch, step or validation is unfinished, for which Lightning has no hook.

Between `on_train_batch_end` and the next `on_train_batch_start` Lightning validates, steps plateau schedulers and
counts; a checkpoint taken in a hook cannot know which of these are done. On untested releases of Lightning the batch
hooks are used instead, and a checkpoint is not known to be exact.
"""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import pytorch_lightning as pl

from jupyter_train.training.lightning.patches import LoopPatches, Moment

if TYPE_CHECKING:
    from pytorch_lightning.loops.training_epoch_loop import _TrainingEpochLoop


class SafePoint(StrEnum):
    """Where a fit is, and so where it would resume."""

    BETWEEN_BATCHES = "between batches"
    BETWEEN_EPOCHS = "between epochs"
    BEFORE_VALIDATION = "before validation"


class SafePointListener(Protocol):
    """Is called between batches."""

    def after_step(self, trainer: pl.Trainer) -> None:
        """A batch and its hooks are done; Lightning has not yet decided whether to validate or stop."""

    def before_batch(self, trainer: pl.Trainer) -> None:
        """The next batch has not been read yet."""

    def at(self, moment: SafePoint, trainer: pl.Trainer) -> None:
        """The fit is at a safe point."""


def notify(patches: LoopPatches, listener: SafePointListener) -> None:
    """Registers a listener for every safe point of a fit."""
    trainer = patches.trainer
    epoch_loop: Any = trainer.fit_loop.epoch_loop

    def after_batch(_fetcher: object) -> None:
        listener.at(SafePoint.BETWEEN_BATCHES, trainer)
        if not _is_over(trainer, epoch_loop):
            listener.before_batch(trainer)

    patches.register(Moment.STEP_END, partial(listener.after_step, trainer))
    patches.register(Moment.BEFORE_FIRST_BATCH, lambda _fetcher: listener.before_batch(trainer))
    patches.register(Moment.AFTER_BATCH, after_batch)
    patches.register(Moment.EPOCH_END, lambda: listener.at(SafePoint.BETWEEN_EPOCHS, trainer))
    patches.register(Moment.BEFORE_VALIDATION, lambda: _before_validation(trainer, listener))


def _is_over(trainer: pl.Trainer, epoch_loop: _TrainingEpochLoop) -> bool:
    """True where no batch of this epoch follows, by `_TrainingEpochLoop.done` (2.6)."""
    progress = epoch_loop.batch_progress
    if progress.is_last_batch or progress.current.ready == trainer.num_training_batches:
        return True
    has_limit = epoch_loop.max_steps != -1 or trainer.should_stop
    return has_limit and bool(epoch_loop._is_training_done or (trainer.should_stop and epoch_loop.done))


def ends_inside_an_epoch(trainer: pl.Trainer) -> bool:
    """True where `max_steps`, or a stop, ends the fit before the epoch's last batch; `_can_stop_early` is of 2.6."""
    is_over = trainer.max_steps not in (None, -1) and trainer.global_step >= trainer.max_steps
    is_stopped = trainer.should_stop and trainer.fit_loop._can_stop_early
    return (is_over or is_stopped) and not trainer.fit_loop.epoch_loop.batch_progress.is_last_batch


def _before_validation(trainer: pl.Trainer, listener: SafePointListener) -> None:
    if not trainer.sanity_checking:
        listener.at(SafePoint.BEFORE_VALIDATION, trainer)
