"""`RunCheckpoint`: the callback that saves the checkpoints of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint

from jupyter_train.config import TrainConfig
from jupyter_train.events import CheckpointKind, EventKind
from jupyter_train.exceptions import CommandRefusedError
from jupyter_train.store.redaction import one_line
from jupyter_train.store.run_folder import RunFolder
from jupyter_train.store.writer import RunWriter
from jupyter_train.training.checkpoints.async_writer import AsyncWriter, checkpoint_bytes, has_nan
from jupyter_train.training.checkpoints.best import BestCheckpoint
from jupyter_train.training.checkpoints.last_safe_point import LastSafePoint
from jupyter_train.training.checkpoints.monitor import MonitoredMetric
from jupyter_train.training.checkpoints.on_disk import WrittenCheckpoints
from jupyter_train.training.checkpoints.ranking import Ranking
from jupyter_train.training.checkpoints.schedule import Schedule
from jupyter_train.training.checkpoints.snapshots import SnapshotTaker
from jupyter_train.training.interrupt import AbortTraining, StopTraining
from jupyter_train.training.lightning.patches import is_tested
from jupyter_train.training.lightning.safe_points import SafePoint, ends_inside_an_epoch
from jupyter_train.training.lightning.unused_hooks import drop_unused_hooks


@drop_unused_hooks
class RunCheckpoint(Checkpoint):
    """Saves checkpoints at safe points: the best by the monitored metric, the last, and requested ones.

    A better epoch is copied in memory at once and written when writing has its share of time (1 %), at the latest
    when training ends, however it ends.

    `on_value` is called with every new value of the monitored metric. Where `is_worth_keeping` is set, nothing is
    written before the end, and then only the best epoch, where it returns True for its value.

    Args:
        folder: The run's folder.
        writer: Records complete checkpoints.
        config: Monitored metric, how many of the best to keep, how often to write.
        is_keeping: False where checkpointing is off, and on ranks other than 0.
    """

    def __init__(self, folder: RunFolder, writer: RunWriter, config: TrainConfig, is_keeping: bool) -> None:
        self.on_value: Callable[[pl.Trainer, float], None] = lambda _trainer, _value: None
        self.is_worth_keeping: Callable[[float | None], bool] | None = None
        self._monitored = MonitoredMetric(config, writer)
        self._folder = folder
        self._writer = writer
        self._is_keeping = is_keeping
        self._async_writer = AsyncWriter(folder, writer, config.checkpoint == "async")
        self._schedule = Schedule(config.checkpoint_minutes)
        self._written = WrittenCheckpoints(folder)
        self._last_taken: tuple[int, SafePoint, int] | None = None
        ranking = Ranking(config.keep_best, self._monitored.is_better)
        self._best = BestCheckpoint(ranking, self._async_writer, self._written)
        self._monitored.on_change = self._best.restart
        self._safe_point = LastSafePoint()
        self._snapshots = SnapshotTaker(writer, self._async_writer, self._written, self._best, self._safe_point)

    def add_state(self, extra: Callable[[], dict[str, Any]]) -> None:
        """Sets what returns the part of a checkpoint that is not the fit's."""
        self._snapshots.extra = extra

    @property
    def monitors(self) -> str | None:
        """The name of the monitored metric."""
        return self._monitored.name

    @property
    def has_best(self) -> bool:
        """Whether there are weights of a best epoch."""
        return self._best.has_any

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compares the monitored metric."""
        if not trainer.sanity_checking:
            self._compare(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compares a metric of training."""
        self._compare(trainer)
        self._monitored.check_logged(trainer)

    def at(self, moment: SafePoint, trainer: pl.Trainer) -> None:
        """Saves the checkpoints that are due at a safe point."""
        if not self._is_keeping:
            return
        self._safe_point.note(trainer, moment)
        if moment is SafePoint.BEFORE_VALIDATION:
            extra = self._snapshots.extra if self._can_save else None
            self._safe_point.begin_validation(trainer, self._writer.mark(), extra)
        if self._best.improved_to is not None:
            self._take_best(trainer, moment)
        if self.is_worth_keeping is not None:
            return
        is_due = self._written.needs_first or self._schedule.is_first_due(lambda: checkpoint_bytes(trainer))
        if is_due or self._is_ending(moment, trainer):
            self._best.write()
            self._take_last(trainer, moment)

    def _is_ending(self, moment: SafePoint, trainer: pl.Trainer) -> bool:
        """Whether the fit is about to end inside an epoch: an extended run resumes here, before the epoch's end.

        After a stop Lightning validates at once: a resumed run starts before that.
        """
        if moment is SafePoint.BETWEEN_EPOCHS or not ends_inside_an_epoch(trainer):
            return False
        if moment is SafePoint.BEFORE_VALIDATION:
            return trainer.should_stop
        return self._last_taken is None or self._last_taken[:2] != (trainer.global_step, SafePoint.BEFORE_VALIDATION)

    def note_epoch_start(self, trainer: pl.Trainer) -> None:
        """Notes one more safe point, before the first batch of an epoch is read.

        Not in an attempt's first epoch: a resumed one is not restored yet, and nothing is new.
        """
        if self._is_keeping and self._safe_point.is_known:
            self._safe_point.note(trainer, SafePoint.BETWEEN_BATCHES)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Saves `last` when user code fails, unless the state has changed since the last safe point."""
        if isinstance(exception, StopTraining | AbortTraining) or not self._can_save:
            return
        try:
            if self._has_trained(trainer) and self._safe_point.holds(trainer):
                self._take_last(trainer, self._safe_point.moment, self._safe_point.random(), must_wait=True)
        except Exception as err:  # noqa: BLE001  what the user sees is why training failed, not why saving did
            self._writer.event(EventKind.CHECKPOINT, f"no last checkpoint: {one_line(str(err), 300)}")

    def change_acceptor(self, trainer: pl.Trainer) -> Callable[[], None]:
        """A function to call after commands were applied: a checkpoint may hold what they have changed.

        It does nothing where the running validation itself had changed something before.
        """
        is_whole = self._is_keeping and trainer.validating and self._safe_point.holds(trainer)
        return lambda: self._safe_point.accept(trainer) if is_whole else None

    def save_last(self, trainer: pl.Trainer) -> None:
        """Writes a `last` checkpoint, between batches or inside a validation, before it returns.

        Writes none where the validation may have changed what it would hold.
        """
        if not self._can_save or not self._has_trained(trainer):
            return
        if not trainer.validating or self._safe_point.holds(trainer):
            self._best.write()
            self._take_last(trainer, self._moment_of(trainer), must_wait=True)

    def save_now(self, trainer: pl.Trainer) -> str:
        """Writes a `manual` checkpoint, which is never replaced; returns its file name.

        Raises:
            OSError: It could not be written.
            CommandRefusedError: The running validation may have changed what it would hold.
        """
        moment = self._moment_of(trainer)
        if self._is_keeping and trainer.validating and not self._safe_point.holds(trainer):
            raise CommandRefusedError(
                "this validation may have changed weights or states for its time; try again when it is over"
            )
        if not trainer.is_global_zero:
            return ""
        snapshot = self._snapshots.take(trainer, CheckpointKind.MANUAL, moment)
        if not self._async_writer.save(CheckpointKind.MANUAL, snapshot, must_wait=True):
            raise OSError(self._async_writer.problem)
        self._written.arrived(snapshot.row.step)
        return snapshot.row.path.rpartition("/")[2]

    def finish(self, trainer: pl.Trainer) -> None:
        """Saves `last` and writes queued snapshots; called however training ended."""
        try:
            if self._can_save and trainer.global_step:
                self._finish(trainer)
            elif self.is_worth_keeping is not None and self._is_keeping:
                self._finish_trial(self.is_worth_keeping)
            if self.is_worth_keeping is None:
                self._monitored.report_missing(trainer)
        finally:
            self._async_writer.close()

    def _finish(self, trainer: pl.Trainer) -> None:
        is_whole = trainer.state.finished
        if is_whole and self._best.improved_to is not None:
            self._take_best(trainer, SafePoint.BETWEEN_EPOCHS, must_wait=True)
        self._best.write()
        if is_whole and not self._has_last_of(trainer):
            self._take_last(trainer, SafePoint.BETWEEN_EPOCHS, self._safe_point.random(), must_wait=True)

    def _finish_trial(self, is_worth_keeping: Callable[[float | None], bool]) -> None:
        held = self._best.held
        if is_worth_keeping(held[0] if held is not None else None) and not self._writer.fenced:
            self._best.write(must_wait=True)

    def describe_repeated(self, trainer: pl.Trainer, how: str) -> str:
        """A sentence on the steps that a resume of this interrupted attempt repeats; empty where there are none.

        Args:
            trainer: Its fit is over, and everything is written.
            how: What happened to the run.
        """
        if not self._can_save:
            return ""
        place = "in whose middle" if self._safe_point.has_begun_a_batch(trainer) else "after which"
        return self._written.describe_repeated(trainer.global_step, f"{place} the run {how}")

    @property
    def _can_save(self) -> bool:
        return self._is_keeping and not self._writer.fenced and self.is_worth_keeping is None

    def _has_trained(self, trainer: pl.Trainer) -> bool:
        """False before an attempt's first batch is done: a resumed one may not be restored yet."""
        return bool(trainer.global_step) and (self._safe_point.is_known or not is_tested())

    def _moment_of(self, trainer: pl.Trainer) -> SafePoint:
        return SafePoint.BEFORE_VALIDATION if trainer.validating else SafePoint.BETWEEN_BATCHES

    def _has_last_of(self, trainer: pl.Trainer) -> bool:
        """Whether the last checkpoint is one from which an extended run would resume."""
        if self._last_taken is None or self._last_taken[0] != trainer.global_step:
            return False
        return self._last_taken[1] is SafePoint.BETWEEN_EPOCHS or ends_inside_an_epoch(trainer)

    def _compare(self, trainer: pl.Trainer) -> None:
        value = self._monitored.read(trainer)
        if value is not None:
            self._best.compare(value)
            self.on_value(trainer, value)

    def _take_best(self, trainer: pl.Trainer, moment: SafePoint, must_wait: bool = False) -> None:
        value, self._best.improved_to = self._best.improved_to, None
        assert value is not None
        if has_nan(trainer.lightning_module.state_dict()):
            text = f"the weights of step {trainer.global_step:,} hold NaN: the best ones before them stay"
            self._writer.event(EventKind.CHECKPOINT, text, trainer.global_step)
            return
        self._best.expect(value)
        must_wait = self.is_worth_keeping is None and (must_wait or not self._async_writer.is_async)
        self._best.held = value, self._snapshots.take(trainer, CheckpointKind.BEST, moment, None, value, must_wait)
        if self.is_worth_keeping is None and (must_wait or not self._async_writer.is_async):
            self._best.write(must_wait=True)

    def _take_last(
        self, trainer: pl.Trainer, moment: SafePoint, random: dict[str, Any] | None = None, must_wait: bool = False
    ) -> None:
        position = (trainer.global_step, moment, self._safe_point.batches)
        if self._last_taken == position:
            if must_wait:
                self._async_writer.wait()
            return
        must_wait = must_wait or not self._async_writer.is_async
        with self._schedule.measured(lambda: self._async_writer.spent_s):
            snapshot = self._snapshots.take(trainer, CheckpointKind.LAST, moment, random, is_shared=must_wait)

            def replaced() -> list[str]:
                earlier = self._written.last_arrived(snapshot.row.path, snapshot.row.step)
                return earlier + self._best.ranking.take_outdated()

            snapshot.replaced = replaced
            self._last_taken = position
            if not self._async_writer.save(CheckpointKind.LAST, snapshot, must_wait):
                self._last_taken = None

    def state_dict(self) -> dict[str, Any]:
        """State of the monitored metric, for a resumed run."""
        return self._monitored.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores that state; the best checkpoints on disk are read from the store."""
        self._monitored.load_state_dict(state_dict)
        self._best.load(self._folder, self._monitored.is_comparable)

    def prepare_resume(self) -> None:
        """Reads the existing checkpoints of a resumed run: the next `last` replaces the present one."""
        self._written.prepare_resume()
