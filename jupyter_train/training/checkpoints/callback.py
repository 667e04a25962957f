"""Which checkpoints a run keeps: the best by the monitored metric, the last, and any asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psutil
import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint

from jupyter_train.config import TrainConfig
from jupyter_train.exceptions import CommandRefusedError
from jupyter_train.store.metrics import reader
from jupyter_train.store.redaction import one_line
from jupyter_train.store.run_folder import RunFolder
from jupyter_train.store.writer import RunWriter
from jupyter_train.training.checkpoints.async_writer import (
    AsyncWriter,
    Snapshot,
    checkpoint_bytes,
    copy_to_host,
    has_nan,
    tensor_bytes,
)
from jupyter_train.training.checkpoints.last_safe_point import LastSafePoint
from jupyter_train.training.checkpoints.monitor import MonitoredMetric
from jupyter_train.training.checkpoints.on_disk import WrittenCheckpoints
from jupyter_train.training.checkpoints.ranking import Ranking
from jupyter_train.training.checkpoints.schedule import Schedule
from jupyter_train.training.interrupt import AbortTraining, StopTraining
from jupyter_train.training.lightning.safe_points import SafePoint, ends_inside_an_epoch, is_tested
from jupyter_train.training.lightning.unused_hooks import drop_unused_hooks

#: Copying needs this much more memory than the checkpoint has; else it is written straight from the model.
_ROOM = 2.0
#: Of states of at least this size there is one copy in memory at a time.
_LARGE_BYTES = 64 * 1024 * 1024


@drop_unused_hooks
class RunCheckpoint(Checkpoint):
    """Takes checkpoints at moments when nothing is half done, and says in the store which there are.

    A better epoch is copied in memory at once and written when writing has its share of time (1 %), at the latest
    when training ends, however it ends.

    `on_value` is told every new value of the monitored metric. Where `is_worth_keeping` is given, nothing is written
    before the end, and then the best epoch alone, if it is.

    Args:
        folder: The run's folder.
        writer: Announces what is complete.
        config: Monitored metric, how many of the best to keep, how often to write.
        is_keeping: False where nothing is kept, or another process keeps it.
    """

    def __init__(self, folder: RunFolder, writer: RunWriter, config: TrainConfig, is_keeping: bool) -> None:
        self.extra: Callable[[], dict[str, Any]] = dict
        self.on_value: Callable[[pl.Trainer, float], None] = lambda _trainer, _value: None
        self.is_worth_keeping: Callable[[float | None], bool] | None = None
        self._monitored = MonitoredMetric(config, writer)
        self._folder = folder
        self._writer = writer
        self._is_keeping = is_keeping
        self._async_writer = AsyncWriter(folder, writer, config.checkpoint == "async")
        self._schedule = Schedule(config.checkpoint_minutes)
        self._ranking = Ranking(config.keep_best, self._monitored.is_better)
        self._written = WrittenCheckpoints(folder)
        self._last_taken: tuple[int, SafePoint, int] | None = None
        self._monitored.on_change = self._restart
        self._pending_best: tuple[float, Snapshot] | None = None
        self._improved_to: float | None = None
        self._safe_point = LastSafePoint()

    @property
    def monitors(self) -> str | None:
        """The metric that tells the best epoch now."""
        return self._monitored.name

    @property
    def has_best(self) -> bool:
        """Whether the weights of a best epoch are kept, or about to be."""
        return self._ranking.has_any or self._improved_to is not None

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compares the monitored metric."""
        if not trainer.sanity_checking:
            self._compare(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compares a metric of training."""
        self._compare(trainer)
        self._monitored.check_logged(trainer)

    def at(self, moment: SafePoint, trainer: pl.Trainer) -> None:
        """Takes what is due; called whenever nothing of the fit is half done."""
        if not self._is_keeping:
            return
        self._safe_point.note(trainer, moment)
        if moment is SafePoint.BEFORE_VALIDATION:
            self._safe_point.begin_validation(trainer, self._writer.mark(), self.extra if self._can_save else None)
        if self._improved_to is not None:
            self._take_best(trainer, moment)
        if self.is_worth_keeping is not None:
            return
        is_due = self._written.needs_first or self._schedule.is_first_due(lambda: checkpoint_bytes(trainer))
        if is_due or self._is_ending(moment, trainer):
            self._write_best()
            self._take_last(trainer, moment)

    def _is_ending(self, moment: SafePoint, trainer: pl.Trainer) -> bool:
        """Whether the fit is about to end inside an epoch: a longer run goes on here, before the epoch's end.

        After a stop Lightning validates at once: a run that goes on begins before that.
        """
        if moment is SafePoint.BETWEEN_EPOCHS or not ends_inside_an_epoch(trainer):
            return False
        if moment is SafePoint.BEFORE_VALIDATION:
            return trainer.should_stop
        return self._last_taken is None or self._last_taken[:2] != (trainer.global_step, SafePoint.BEFORE_VALIDATION)

    def note_epoch_start(self, trainer: pl.Trainer) -> None:
        """The first batch of an epoch is about to be read: one more moment at which nothing is half done.

        Not in an attempt's first epoch: a resumed one has not been put back yet, and there is nothing new.
        """
        if self._is_keeping and self._safe_point.is_known:
            self._safe_point.note(trainer, SafePoint.BETWEEN_BATCHES)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Keeps what there is when the user's code fails, unless something is half done already."""
        if isinstance(exception, StopTraining | AbortTraining) or not self._can_save:
            return
        try:
            if self._has_trained(trainer) and self._safe_point.holds(trainer):
                self._take_last(trainer, self._safe_point.moment, self._safe_point.random(), must_wait=True)
        except Exception as err:  # noqa: BLE001  what the user sees is why training failed, not why saving did
            self._writer.event("checkpoint", f"no last checkpoint: {one_line(str(err), 300)}")

    def change_acceptor(self, trainer: pl.Trainer) -> Callable[[], None]:
        """What is to be called once commands were carried out: what they have changed is no half-done state.

        A validation that had changed something itself by then stays one that has.
        """
        is_whole = self._is_keeping and trainer.validating and self._safe_point.holds(trainer)
        return lambda: self._safe_point.accept(trainer) if is_whole else None

    def save_last(self, trainer: pl.Trainer) -> None:
        """A checkpoint to go on from, between batches or inside a validation; written before this returns.

        There is none where the validation may have changed what it would hold.
        """
        if not self._can_save or not self._has_trained(trainer):
            return
        if not trainer.validating or self._safe_point.holds(trainer):
            self._write_best()
            self._take_last(trainer, self._moment_of(trainer), must_wait=True)

    def save_now(self, trainer: pl.Trainer) -> str:
        """Writes a checkpoint of this moment, which is kept; gives its name.

        Raises:
            OSError: It could not be written.
            CommandRefusedError: The validation that runs may have changed what it would hold.
        """
        moment = self._moment_of(trainer)
        if self._is_keeping and trainer.validating and not self._safe_point.holds(trainer):
            raise CommandRefusedError(
                "this validation may have changed weights or states for its time; ask when it is over"
            )
        if not trainer.is_global_zero:
            return ""
        snapshot = self._snapshot(trainer, "manual", moment, self._safe_point.random_at(moment))
        if not self._async_writer.save("manual", snapshot, must_wait=True):
            raise OSError(self._async_writer.problem)
        self._written.arrived(snapshot.row.step)
        return snapshot.row.path.rpartition("/")[2]

    def finish(self, trainer: pl.Trainer) -> None:
        """Takes `last` and writes what waits; called however training ended."""
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
        if is_whole and self._improved_to is not None:
            self._take_best(trainer, SafePoint.BETWEEN_EPOCHS, must_wait=True)
        self._write_best()
        if is_whole and not self._has_last_of(trainer):
            self._take_last(trainer, SafePoint.BETWEEN_EPOCHS, self._safe_point.random(), must_wait=True)

    def _finish_trial(self, is_worth_keeping: Callable[[float | None], bool]) -> None:
        best = self._pending_best
        if is_worth_keeping(best[0] if best is not None else None) and not self._writer.fenced:
            self._write_best(must_wait=True)

    def describe_repeated(self, trainer: pl.Trainer, how: str) -> str:
        """What a resume of this broken-off attempt repeats, in words; empty where that is nothing.

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
        """False before an attempt's first batch is over: a resumed one may not have been put back yet."""
        return bool(trainer.global_step) and (self._safe_point.is_known or not is_tested())

    def _moment_of(self, trainer: pl.Trainer) -> SafePoint:
        return SafePoint.BEFORE_VALIDATION if trainer.validating else SafePoint.BETWEEN_BATCHES

    def _has_last_of(self, trainer: pl.Trainer) -> bool:
        """Whether the last checkpoint is one from which a longer run would go on."""
        if self._last_taken is None or self._last_taken[0] != trainer.global_step:
            return False
        return self._last_taken[1] is SafePoint.BETWEEN_EPOCHS or ends_inside_an_epoch(trainer)

    def _compare(self, trainer: pl.Trainer) -> None:
        value = self._monitored.read(trainer)
        if value is not None and self._ranking.is_among_the_best(value):
            self._improved_to = value
        if value is not None:
            self.on_value(trainer, value)

    def _restart(self) -> None:
        """Another metric tells the best from now on."""
        self._async_writer.wait()  # what is on its way was the best by the one before
        self._pending_best = self._improved_to = None
        self._ranking.restart()

    def _take_best(self, trainer: pl.Trainer, moment: SafePoint, must_wait: bool = False) -> None:
        value, self._improved_to = self._improved_to, None
        assert value is not None
        if has_nan(trainer.lightning_module.state_dict()):
            text = f"the weights of step {trainer.global_step:,} hold NaN: the best ones before them stay"
            self._writer.event("checkpoint", text, trainer.global_step)
            return
        self._ranking.expect(value)
        if self._ranking.max_kept > 1:
            self._write_best()
        self._pending_best = None
        must_wait = self.is_worth_keeping is None and (must_wait or not self._async_writer.is_async)
        snapshot = self._snapshot(trainer, "best", moment, self._safe_point.random_at(moment), value, must_wait)
        self._pending_best = (value, snapshot)
        if self.is_worth_keeping is None and (must_wait or not self._async_writer.is_async):
            self._write_best(must_wait=True)

    def _write_best(self, must_wait: bool = False) -> None:
        if self._pending_best is None:
            return
        (value, snapshot), self._pending_best = self._pending_best, None
        path = snapshot.row.path

        def replaced() -> list[str]:
            self._written.arrived(snapshot.row.step)
            return self._ranking.arrived(value, path)

        snapshot.replaced = replaced
        snapshot.failed = lambda: self._ranking.failed(value)
        self._async_writer.save(path, snapshot, must_wait)

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
            snapshot = self._snapshot(
                trainer, "last", moment, random or self._safe_point.random_at(moment), is_shared=must_wait
            )

            def replaced() -> list[str]:
                earlier = self._written.last_arrived(snapshot.row.path, snapshot.row.step)
                return earlier + self._ranking.take_outdated()

            snapshot.replaced = replaced
            self._last_taken = position
            if not self._async_writer.save("last", snapshot, must_wait):
                self._last_taken = None

    def _snapshot(
        self,
        trainer: pl.Trainer,
        kind: str,
        moment: SafePoint,
        random: dict[str, Any],
        value: float | None = None,
        is_shared: bool = False,
    ) -> Snapshot:
        """A checkpoint of this moment, copied unless it is written before training goes on."""
        content = self._safe_point.content(trainer, moment, self.extra, random)
        size = tensor_bytes(content)
        if size >= _LARGE_BYTES and not is_shared:  # one copy at a time
            self._write_best()
            self._async_writer.wait()
        has_room = size * _ROOM <= psutil.virtual_memory().available
        about = reader.Checkpoint(
            self._written.new_path(kind, trainer.global_step),
            kind,
            trainer.global_step,
            trainer.current_epoch,
            value,
            0,
            "",
        )
        is_copied = has_room and not is_shared
        earlier = self._safe_point.marker if moment is SafePoint.BEFORE_VALIDATION else None
        at = earlier or self._writer.mark()
        snapshot = Snapshot(copy_to_host(content) if is_copied else content, about, at)
        if not is_copied and not is_shared:
            self._async_writer.write_synchronously()
        return snapshot

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know of the checkpoints so far."""
        return self._monitored.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from there."""
        # those on disk by the store, this very checkpoint among them where it was one of the best
        with reader.MetricReader(self._folder.metrics) as metrics:
            best = [
                checkpoint
                for checkpoint in metrics.checkpoints()
                if checkpoint.kind == "best" and checkpoint.value is not None
            ]
        self._monitored.load_state_dict(state_dict)
        counting = [
            (checkpoint.value, checkpoint.path)
            for checkpoint in best
            if self._monitored.is_comparable(checkpoint.step) and checkpoint.value is not None
        ]
        self._ranking.load(
            counting, [checkpoint.path for checkpoint in best if not self._monitored.is_comparable(checkpoint.step)]
        )

    def prepare_resume(self) -> None:
        """The run is resumed: the next `last` replaces those that are there."""
        self._written.prepare_resume()
