"""`Recorder`: the callback that records a fit's progress and ends it on an Interrupt."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping

from jupyter_train.events import EventKind
from jupyter_train.exceptions import FencedError
from jupyter_train.store.writer import RunWriter
from jupyter_train.training.callbacks.commands import FitCommands
from jupyter_train.training.callbacks.throughput import StepRate, total_steps
from jupyter_train.training.checkpoints.callback import RunCheckpoint
from jupyter_train.training.interrupt import InterruptWatch, StopTraining
from jupyter_train.training.lightning.safe_points import SafePoint
from jupyter_train.training.lightning.step_metrics import StepMetrics
from jupyter_train.training.lightning.unused_hooks import drop_unused_hooks
from jupyter_train.training.logging.run_logger import RunLogger
from jupyter_train.training.state.evidence import ReturnedLoss, WeightsHashRecorder, loss_of

if TYPE_CHECKING:
    from pytorch_lightning.utilities.types import STEP_OUTPUT

_PROGRESS_PERIOD_S = 0.1


@drop_unused_hooks
class Recorder(pl.Callback):
    """Records progress, learning rate and (where the module logs none) the training loss.

    Args:
        writer: The run's writer thread.
        logger: Where step values go.
        commands: Applies commands at every batch boundary.
        interrupt: Read at every batch boundary.
        checkpoint: Notified of every safe point.
    """

    def __init__(
        self,
        writer: RunWriter,
        logger: RunLogger,
        commands: FitCommands,
        interrupt: InterruptWatch,
        checkpoint: RunCheckpoint,
    ) -> None:
        self._checkpoint = checkpoint
        self._uses_safe_points = False
        self._steps: StepMetrics | None = None
        self._began_at_step = 0
        self._writer = writer
        self._logger = logger
        self._commands = commands
        self._interrupt = interrupt
        self._stage = "starting"
        self._began = 0.0
        self._due = 0.0
        self._rates = StepRate()
        self._total_steps: float = math.inf
        self._last_lr: dict[str, float] = {}
        self._records_loss: bool | None = None
        self._weights: WeightsHashRecorder | None = None
        self._returned: ReturnedLoss | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Records how many steps the fit will have."""
        self._began = time.monotonic()
        self._began_at_step = trainer.global_step
        self._total_steps = total_steps(trainer)
        self._stage = "training"
        self._rates.restart(trainer.global_step)
        self._write_progress(trainer)

    def before_batch(self, trainer: pl.Trainer) -> None:
        """Ends on an Interrupt, now that the last step is complete; applies commands; records a changed rate."""
        self._check_interrupt(trainer)
        self._on_commands_applied(trainer, self._commands.apply_before_batch(trainer))
        self._record_lr(trainer)

    def after_step(self, trainer: pl.Trainer) -> None:
        """Records the step and, at most every 100 ms, the progress; applies the commands due after a batch."""
        if self._steps is not None:
            self._steps.take()
        if self._returned is not None:
            self._compare_loss(self._returned, trainer)
        if self._interrupt.is_terminated:
            _clear_sigterm_flag(trainer)
        now = time.monotonic()
        if now >= self._due:
            self._due = now + _PROGRESS_PERIOD_S
            self._write_progress(trainer)
        self._on_commands_applied(trainer, self._commands.apply_after_batch(trainer))

    def at(self, moment: SafePoint, trainer: pl.Trainer) -> None:
        """Hashes the weights where that is due, then lets checkpoints be saved.

        In this order: a resumed attempt is expected to record again what comes after a checkpoint.
        """
        if self._weights is not None:
            self._weights.at(moment, trainer)
        if moment is SafePoint.BETWEEN_EPOCHS:
            self._settle(trainer)
        self._checkpoint.at(moment, trainer)

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: object) -> None:
        """Calls `before_batch` on releases of Lightning whose loops are not patched."""
        self.before_batch(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: STEP_OUTPUT, batch: object, batch_idx: int
    ) -> None:
        """Records the loss of modules that log none."""
        if self._records_loss is None:
            self._records_loss = not _logs_loss(trainer)
        if self._records_loss:
            self._record_loss(trainer, outputs)
        if self._returned is not None:
            self._returned.returned(outputs)
        if not self._uses_safe_points:
            self.after_step(trainer)
        elif not self._records_loss and self._returned is None:
            self._skip("on_train_batch_end")

    def _skip(self, hook: str) -> None:
        """Sets a hook of this callback to None: Lightning skips what is not callable (`_call_callback_hooks`, 2.6)."""
        setattr(self, hook, None)

    def use_safe_points(self, steps: StepMetrics | None) -> None:
        """Switches from the batch hooks to `before_batch` and `after_step`, called at safe points.

        Args:
            steps: Records each step's values; None where Lightning calls `RunLogger` with them.
        """
        self._uses_safe_points = True
        self._steps = steps
        self._skip("on_train_batch_start")

    def record_evidence(self, hashes: bool) -> None:
        """Records what a replay is verified by: the loss, and hashes of the weights.

        Args:
            hashes: Whether to hash the weights.
        """
        verification = self._writer.verification
        self._weights = WeightsHashRecorder(self._writer) if hashes else None
        self._returned = ReturnedLoss(verification) if verification is not None else None

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Sets the stage to `validating`, or `checking` in Lightning's sanity check."""
        self._stage = "checking" if trainer.sanity_checking else "validating"
        self._write_progress(trainer)

    def on_validation_batch_start(self, trainer: pl.Trainer, *_: object) -> None:
        """Ends on an Interrupt; applies commands."""
        self._check_interrupt(trainer)
        self._commands.apply_in_validation(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Sets the stage back to `training`."""
        self._stage = "training"
        self._rates.restart(trainer.global_step)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Records that the epoch ended."""
        self._write_progress(trainer, epoch_ended=True)
        if not self._uses_safe_points:
            self._checkpoint.at(SafePoint.BETWEEN_EPOCHS, trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Records the end, and why early stopping came to it."""
        self._stage = "ended"
        self._write_progress(trainer, epoch_ended=True)
        for callback in trainer.early_stopping_callbacks:
            if isinstance(callback, EarlyStopping) and callback.stopped_epoch:
                text = f"stopped early: {callback.monitor} did not improve for {callback.wait_count} checks"
                self._writer.event(EventKind.EARLY_STOP, text, trainer.global_step)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Records the end of a fit with nothing left to train, for which Lightning calls no train hook."""
        if self._stage == "starting":
            self._total_steps = total_steps(trainer)
            self.on_train_end(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        """State with which a resumed run records what an uninterrupted one would have."""
        return {"last_lr": self._last_lr.copy(), "records_loss": self._records_loss, "stride": self._logger.stride}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores that state."""
        self._last_lr = dict(state_dict["last_lr"])
        self._records_loss = state_dict["records_loss"]
        self._logger.stride = state_dict["stride"]

    def _check_interrupt(self, trainer: pl.Trainer) -> None:
        self._interrupt.has_begun()
        if self._interrupt.is_requested:
            self._write_progress(trainer)
            self._checkpoint.save_last(trainer)
            raise StopTraining
        if self._writer.fenced:
            raise FencedError(self._writer.fenced)

    def _on_commands_applied(self, trainer: pl.Trainer, is_changed: bool) -> None:
        """Recomputes the number of steps and restarts the speed, which a pause would distort."""
        if is_changed:
            self._total_steps = total_steps(trainer)
            self._rates.restart(trainer.global_step)
            self._write_progress(trainer)

    def _record_lr(self, trainer: pl.Trainer) -> None:
        optimizers = trainer.optimizers
        many = len(optimizers) > 1
        for number, optimizer in enumerate(optimizers):
            groups = optimizer.param_groups
            for index, group in enumerate(groups):
                name = "lr" + (f"/{number}" if many else "") + (f"/group{index}" if len(groups) > 1 else "")
                lr = group["lr"]
                if self._last_lr.get(name) != lr:
                    self._last_lr[name] = float(lr)
                    self._logger.epoch = trainer.current_epoch
                    self._logger.record([(name, float(lr))], trainer.global_step)

    def _record_loss(self, trainer: pl.Trainer, outputs: STEP_OUTPUT) -> None:
        """Records the loss that `training_step` returned, for modules that log none."""
        loss = loss_of(outputs)
        if loss is not None:
            self._logger.epoch = trainer.current_epoch
            self._logger.record([("train_loss", loss.detach().clone())], max(0, trainer.global_step - 1))

    def _compare_loss(self, returned: ReturnedLoss, trainer: pl.Trainer) -> None:
        if self._records_loss:
            returned.set_series("train_loss")
        else:
            returned.compare(trainer)
        if returned.is_known:
            self._returned = None

    def _settle(self, trainer: pl.Trainer) -> None:
        """Ends the replay check once the last epoch of the earlier attempt has been trained again."""
        verification = self._writer.verification
        if verification is not None and not verification.is_settled and trainer.current_epoch > verification.to_epoch:
            self._writer.settle()

    def _write_progress(self, trainer: pl.Trainer, epoch_ended: bool = False) -> None:
        """Records progress; `epoch` counts completed epochs, which is the index of the running one."""
        step = trainer.global_step
        epochs_done = trainer.current_epoch + (1 if epoch_ended and self._stage != "ended" else 0)
        epochs = trainer.max_epochs if trainer.max_epochs not in (None, -1) else None
        self._writer.progress(
            stage=self._stage,
            epoch=epochs_done,
            epochs=epochs,
            step=step,
            steps=self._total_steps if math.isfinite(self._total_steps) else None,
            steps_per_s=self._rates.now(step),
            eta_s=self._eta_s(step),
        )

    def _eta_s(self, step: int) -> float | None:
        """Seconds left at the mean speed so far, validation included; None before the first step or without a limit."""
        if not step or not math.isfinite(self._total_steps):
            return None
        spent_s = time.monotonic() - self._began - self._commands.paused_s
        steps_done = step - self._began_at_step
        return max(0.0, spent_s * (self._total_steps - step) / steps_done) if steps_done else None


def _clear_sigterm_flag(trainer: pl.Trainer) -> None:
    """Clears Lightning's SIGTERM flag, which would end the fit before the batch's validation is decided.

    `Recorder` ends it before the next batch instead. `_signal_connector.received_sigterm` is of Lightning 2.6.
    """
    connector: Any = getattr(trainer, "_signal_connector", None)
    if connector is not None:
        connector.received_sigterm = False


def _logs_loss(trainer: pl.Trainer) -> bool:
    """True where the module itself logs a training loss; called in the first training step."""
    names = [*trainer.logged_metrics, *trainer.callback_metrics]
    return any("loss" in name.lower() and not name.lower().startswith("val") for name in names)
