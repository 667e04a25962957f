"""`Recorder`: the callback that follows a fit, tells the writer where it is, and obeys an Interrupt."""

from __future__ import annotations

import math
import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping

from jupyter_train.exceptions import FencedError
from jupyter_train.store.writer import RunWriter
from jupyter_train.training.callbacks.commands import FitCommands
from jupyter_train.training.callbacks.throughput import Rate, total_steps
from jupyter_train.training.checkpoints.callback import RunCheckpoint
from jupyter_train.training.interrupt import InterruptWatch, StopTraining
from jupyter_train.training.lightning.safe_points import SafePoint
from jupyter_train.training.lightning.step_metrics import StepMetrics
from jupyter_train.training.lightning.unused_hooks import lean
from jupyter_train.training.logging.run_logger import RunLogger
from jupyter_train.training.state.evidence import ReturnedLoss, WeightsLog, loss_of

_PROGRESS_PERIOD_S = 0.1


@lean
class Recorder(pl.Callback):
    """Records progress, learning rate and (where the module logs none) the training loss.

    Args:
        writer: The run's writer thread.
        logger: Where step values go.
        steering: Carries out commands at every batch boundary.
        interrupt: Asked at every batch boundary.
        checkpoint: Told of the moments at which it may take one.
    """

    def __init__(
        self,
        writer: RunWriter,
        logger: RunLogger,
        steering: FitCommands,
        interrupt: InterruptWatch,
        checkpoint: RunCheckpoint,
    ) -> None:
        self._checkpoint = checkpoint
        self._is_told_moments = False
        self._steps: StepMetrics | None = None
        self._began_at_step = 0
        self._writer = writer
        self._logger = logger
        self._steering = steering
        self._interrupt = interrupt
        self._stage = "starting"
        self._began = 0.0
        self._due = 0.0
        self._rates = Rate()
        self._total_steps: float = math.inf
        self._last_lr: dict[str, float] = {}
        self._records_loss: bool | None = None
        self._weights: WeightsLog | None = None
        self._returned: ReturnedLoss | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Knows now how long the fit will be."""
        self._began = time.monotonic()
        self._began_at_step = trainer.global_step
        self._total_steps = total_steps(trainer)
        self._stage = "training"
        self._rates.restart(trainer.global_step)
        self._tell(trainer)

    def before_batch(self, trainer: pl.Trainer) -> None:
        """Obeys an Interrupt, so that the step before is whole, and commands; records a changed learning rate."""
        self._obey(trainer)
        self._followed(trainer, self._steering.obey(trainer))
        self._record_lr(trainer)

    def after_step(self, trainer: pl.Trainer) -> None:
        """Records the step, and, at most every 100 ms, where the run is; obeys what Lightning asks for next."""
        if self._steps is not None:
            self._steps.take()
        if self._returned is not None:
            self._compare_loss(self._returned, trainer)
        if self._interrupt.is_terminated:
            _outrank_lightning(trainer)
        now = time.monotonic()
        if now >= self._due:
            self._due = now + _PROGRESS_PERIOD_S
            self._tell(trainer)
        self._followed(trainer, self._steering.obey_after_batch(trainer))

    def at(self, moment: SafePoint, trainer: pl.Trainer) -> None:
        """Takes a hash of the weights where one is due, and lets checkpoints be taken.

        In this order: what is recorded after a checkpoint is expected to come again.
        """
        if self._weights is not None:
            self._weights.at(moment, trainer)
        if moment is SafePoint.BETWEEN_EPOCHS:
            self._settle(trainer)
        self._checkpoint.at(moment, trainer)

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Stands in for `before_batch` on releases of Lightning whose loops are not known."""
        self.before_batch(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Records the loss of modules that log none."""
        if self._records_loss is None:
            self._records_loss = not _logs_loss(trainer)
        if self._records_loss:
            self._record_loss(trainer, outputs)
        if self._returned is not None:
            self._returned.returned(outputs)
        if not self._is_told_moments:
            self.after_step(trainer)
        elif not self._records_loss and self._returned is None:
            self._skip("on_train_batch_end")

    def _skip(self, hook: str) -> None:
        """Makes Lightning pass over one of our hooks: it skips what cannot be called."""
        setattr(self, hook, None)

    def is_told(self, steps: StepMetrics | None) -> None:
        """From now on `before_batch` and `after_step` are called by themselves.

        Args:
            steps: Takes each step's values; None where Lightning asks our logger for them.
        """
        self._is_told_moments = True
        self._steps = steps
        self._skip("on_train_batch_start")

    def keep_evidence(self, hashes: bool) -> None:
        """From now on what says that weights are those of before is recorded, and found among what is.

        Args:
            hashes: Whether hashes of the weights are.
        """
        verification = self._writer.verification
        self._weights = WeightsLog(self._writer) if hashes else None
        self._returned = ReturnedLoss(verification) if verification is not None else None

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Says that it validates."""
        self._stage = "checking" if trainer.sanity_checking else "validating"
        self._tell(trainer)

    def on_validation_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        """Obeys an Interrupt, and commands."""
        self._obey(trainer)
        self._steering.obey_in_validation(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Says that it trains again."""
        self._stage = "training"
        self._rates.restart(trainer.global_step)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Says which epoch ended."""
        self._tell(trainer, epoch_ended=True)
        if not self._is_told_moments:
            self._checkpoint.at(SafePoint.BETWEEN_EPOCHS, trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Says why a run ended before its time."""
        self._stage = "ended"
        self._tell(trainer, epoch_ended=True)
        for callback in trainer.early_stopping_callbacks:
            if isinstance(callback, EarlyStopping) and callback.stopped_epoch:
                text = f"stopped early: {callback.monitor} did not improve for {callback.wait_count} checks"
                self._writer.event("early_stop", text, trainer.global_step)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Says where a fit is that had nothing left to do: Lightning does not begin it."""
        if self._stage == "starting":
            self._total_steps = total_steps(trainer)
            self.on_train_end(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know, so that it records what an unbroken one would have."""
        return {"last_lr": self._last_lr.copy(), "records_loss": self._records_loss, "stride": self._logger.stride}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from there."""
        self._last_lr = dict(state_dict["last_lr"])
        self._records_loss = state_dict["records_loss"]
        self._logger.stride = state_dict["stride"]

    def _obey(self, trainer: pl.Trainer) -> None:
        self._interrupt.has_begun()
        if self._interrupt.is_asked:
            self._tell(trainer)
            self._checkpoint.take_last(trainer)
            raise StopTraining
        if self._writer.fenced:
            raise FencedError(self._writer.fenced)

    def _followed(self, trainer: pl.Trainer, is_changed: bool) -> None:
        """After a command the end may be elsewhere, and a pause is not speed."""
        if is_changed:
            self._total_steps = total_steps(trainer)
            self._rates.restart(trainer.global_step)
            self._tell(trainer)

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

    def _record_loss(self, trainer: pl.Trainer, outputs: Any) -> None:
        """The loss `training_step` returned, for modules that log none themselves."""
        loss = loss_of(outputs)
        if loss is not None:
            self._logger.epoch = trainer.current_epoch
            self._logger.record([("train_loss", loss.detach().clone())], max(0, trainer.global_step - 1))

    def _compare_loss(self, returned: ReturnedLoss, trainer: pl.Trainer) -> None:
        if self._records_loss:
            returned.recorded_as("train_loss")
        else:
            returned.compare(trainer)
        if returned.is_known:
            self._returned = None

    def _settle(self, trainer: pl.Trainer) -> None:
        """Once the epoch that an earlier attempt came to is over, what has not come again never will."""
        verification = self._writer.verification
        if verification is not None and not verification.is_settled and trainer.current_epoch > verification.to_epoch:
            self._writer.settle()

    def _tell(self, trainer: pl.Trainer, epoch_ended: bool = False) -> None:
        """Says where the run is; `epoch` counts those that are over, which is the number of the one that runs."""
        step = trainer.global_step
        done = trainer.current_epoch + (1 if epoch_ended and self._stage != "ended" else 0)
        epochs = trainer.max_epochs if trainer.max_epochs not in (None, -1) else None
        self._writer.progress(
            stage=self._stage,
            epoch=done,
            epochs=epochs,
            step=step,
            steps=self._total_steps if math.isfinite(self._total_steps) else None,
            steps_per_s=self._rates.now(step),
            eta_s=self._eta_s(step),
        )

    def _eta_s(self, step: int) -> float | None:
        """Seconds left, by the whole time so far (validation included)."""
        if not step or not math.isfinite(self._total_steps):
            return None
        spent_s = time.monotonic() - self._began - self._steering.paused_s
        done = step - self._began_at_step
        return max(0.0, spent_s * (self._total_steps - step) / done) if done else None


def _outrank_lightning(trainer: pl.Trainer) -> None:
    """Lightning would leave on a SIGTERM in the middle of what follows a batch; we do right after it."""
    connector: Any = getattr(trainer, "_signal_connector", None)
    if connector is not None:
        connector.received_sigterm = False


def _logs_loss(trainer: pl.Trainer) -> bool:
    """True when the module itself logs a training loss (called inside the first training step)."""
    names = [*trainer.logged_metrics, *trainer.callback_metrics]
    return any("loss" in name.lower() and not name.lower().startswith("val") for name in names)
