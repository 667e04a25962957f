"""Safe points of a fit: moments at which no batch, step or validation is unfinished, for which Lightning has no hook.

Between `on_train_batch_end` and the next `on_train_batch_start` Lightning validates, steps plateau schedulers and
counts; a checkpoint taken in a hook cannot know which of these are done. On untested releases of Lightning the batch
hooks are used instead, and a checkpoint is not known to be exact.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Protocol

import pytorch_lightning as pl

_TESTED = ("2.6.",)


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


def is_tested() -> bool:
    """True for releases of Lightning whose loops are known here."""
    return str(getattr(pl, "__version__", "")).startswith(_TESTED)


def listen(trainer: pl.Trainer, listener: SafePointListener) -> bool:
    """Tells `listener` of every moment of a fit; False, and nothing done, on a release that is not known."""
    if not is_tested():
        return False
    fit_loop: Any = trainer.fit_loop
    epoch_loop: Any = fit_loop.epoch_loop
    connector: Any = trainer._logger_connector

    def end_of_step() -> None:
        listener.after_step(trainer)

    def end_of_batch(_fetcher: Any) -> None:
        listener.at(SafePoint.BETWEEN_BATCHES, trainer)
        if not _is_over(trainer, epoch_loop):
            listener.before_batch(trainer)

    after(connector, "update_train_step_metrics", end_of_step)
    after(epoch_loop, "on_run_start", lambda _fetcher: listener.before_batch(trainer))
    after(epoch_loop, "on_advance_end", end_of_batch)
    after(fit_loop, "on_advance_end", lambda: listener.at(SafePoint.BETWEEN_EPOCHS, trainer))
    before(epoch_loop.val_loop, "run", lambda: _at_validation(trainer, listener))
    return True


def _is_over(trainer: pl.Trainer, epoch_loop: Any) -> bool:
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


def _at_validation(trainer: pl.Trainer, listener: SafePointListener) -> None:
    if not trainer.sanity_checking:
        listener.at(SafePoint.BEFORE_VALIDATION, trainer)


def after(owner: Any, name: str, work: Callable[..., None]) -> None:
    """Does more whenever a method of this one object has returned."""
    theirs = getattr(owner, name)

    def both(*arguments: Any) -> Any:
        found = theirs(*arguments)
        work(*arguments)
        return found

    setattr(owner, name, both)


def before(owner: Any, name: str, work: Callable[[], None]) -> None:
    """Does more whenever a method of this one object is about to be called."""
    theirs = getattr(owner, name)

    def both(*arguments: Any) -> Any:
        work()
        return theirs(*arguments)

    setattr(owner, name, both)


def once(owner: Any, name: str, work: Callable[[Callable[..., Any]], Any]) -> None:
    """Calls `work` instead of a method of this one object, the next time; it is given the method."""
    theirs = getattr(owner, name)

    def instead(*arguments: Any) -> Any:
        setattr(owner, name, theirs)
        return work(lambda: theirs(*arguments))

    setattr(owner, name, instead)
