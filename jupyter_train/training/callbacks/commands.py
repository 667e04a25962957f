"""Applies commands to a running fit, between two batches."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping

from jupyter_train.config.commands import VERBS, Command
from jupyter_train.events import EventKind
from jupyter_train.exceptions import CommandRefusedError
from jupyter_train.run import RunStatus
from jupyter_train.store.command_channel import CommandChannel
from jupyter_train.store.command_queue import CommandQueue
from jupyter_train.store.commands import APPLIED, REFUSED, Answer
from jupyter_train.store.redaction import error_summary
from jupyter_train.store.writer import RunWriter
from jupyter_train.training.callbacks.on_nan import HALT
from jupyter_train.training.checkpoints.callback import RunCheckpoint
from jupyter_train.training.interrupt import InterruptWatch, StopTraining
from jupyter_train.training.lightning.ddp import NoCommandChannel
from jupyter_train.training.lightning.learning_rate import set_learning_rate
from jupyter_train.training.lightning.patches import LoopPatches, Moment

_PAUSED_POLL_INTERVAL_S = 0.05
#: Applied as soon as a batch has ended: Lightning decides right then whether to stop and whether to validate.
_AFTER_BATCH_VERBS = frozenset({"stop", "validate", HALT})
_SOURCE_TEXTS = {"panel": "from the panel", "python": "from Python", "command line": "from the command line"}


class FitCommands:
    """Applies queued commands at batch boundaries; each is recorded with its step and answered.

    Args:
        queue: Where commands arrive.
        channel: Where answers go.
        writer: Records events.
        checkpoint: Writes the checkpoints that commands request.
        interrupt: Ends a pause.
    """

    def __init__(
        self,
        queue: CommandQueue,
        channel: CommandChannel | NoCommandChannel,
        writer: RunWriter,
        checkpoint: RunCheckpoint,
        interrupt: InterruptWatch,
    ) -> None:
        self.stopped = ""
        self.patches: LoopPatches | None = None
        self.paused_s = 0.0
        self._channel = channel
        self._queue = queue
        self._writer = writer
        self._checkpoint = checkpoint
        self._interrupt = interrupt
        self._is_paused = False
        self._rates_to_hold: list[dict[str, Any]] = []
        self._verbs: dict[str, Callable[..., str]] = {
            "pause": self._pause,
            "resume": self._resume,
            "stop": self._stop,
            HALT: self._halt,
            "checkpoint": self._take_checkpoint,
            "validate": self._validate,
            "set_lr": self._set_lr,
            "set_max_epochs": _set_max_epochs,
            "set_patience": _set_patience,
            **{name: _refuse_study_command for name, verb in VERBS.items() if verb.is_for_study},
        }

    def apply_before_batch(self, trainer: pl.Trainer) -> bool:
        """Applies queued commands before a batch and blocks while paused; True where there was a command.

        Raises:
            StopTraining: An Interrupt ended a pause, or the run was stopped before anything was logged.
        """
        for arguments in self._rates_to_hold:
            set_learning_rate(trainer, **arguments)
        self._rates_to_hold.clear()
        is_any = self._apply_waiting(trainer, frozenset(self._verbs))
        if self.stopped and not trainer.callback_metrics:
            self._stop_now(trainer)  # callbacks at the epoch's end would miss metrics that no step has logged yet
        return is_any

    def apply_after_batch(self, trainer: pl.Trainer) -> bool:
        """Applies, after a batch, the commands that Lightning's decisions depend on; True where there was one."""
        self._queue.agree()
        return self._apply_waiting(trainer, _AFTER_BATCH_VERBS)

    def apply_in_validation(self, trainer: pl.Trainer) -> None:
        """Applies queued commands between two validation batches; a stop ends the fit at once.

        Raises:
            StopTraining: The run was stopped, or an Interrupt ended a pause.
        """
        if self._apply_waiting(trainer, frozenset(self._verbs)) and self.stopped:
            self._stop_now(trainer)

    def apply_stop_at_start(self, trainer: pl.Trainer) -> None:
        """Applies a queued `stop` after the fit was ended before its first batch."""
        for command in self._queue.take({"stop"}):
            self._apply(command, trainer)
            self.stopped = "stopped before its first batch"

    def _apply_waiting(self, trainer: pl.Trainer, verbs: frozenset[str]) -> bool:
        if not self._queue:
            return False
        accept = self._checkpoint.change_acceptor(trainer)
        is_any = self._apply_all(trainer, verbs, accept)
        if self._is_paused:
            self._wait(trainer, verbs, accept)
        return is_any

    def _apply_all(self, trainer: pl.Trainer, verbs: frozenset[str], accept: Callable[[], None]) -> bool:
        taken = self._queue.take(verbs)
        for command in taken:
            self._apply(command, trainer)
            accept()
        return bool(taken)

    def _apply(self, command: Command, trainer: pl.Trainer) -> None:
        step = trainer.global_step
        try:
            text_done = self._verbs[command.verb](trainer, **command.arguments)
        except CommandRefusedError as err:
            self._refuse(command, str(err), step)
            return
        except Exception as err:  # noqa: BLE001  a hook of the user's may run; a command never ends the training
            self._writer.log(traceback.format_exc())
            self._refuse(command, error_summary(err, 300), step)
            return
        text = f"{text_done} at step {step:,} ({_SOURCE_TEXTS.get(command.source, command.source)})"
        self._writer.event(EventKind.COMMAND, text, step, verb=command.verb, arguments=command.arguments)
        self._channel.answered(command, Answer(APPLIED, text, step))

    def _refuse(self, command: Command, reason: str, step: int) -> None:
        self._writer.event(EventKind.REFUSED, f"{command.verb.replace('_', '-')}: {reason}", step, verb=command.verb)
        self._channel.answered(command, Answer(REFUSED, reason, step))

    def _wait(self, trainer: pl.Trainer, verbs: frozenset[str], accept: Callable[[], None]) -> None:
        """Blocks until resumed, stopped or interrupted; other commands are applied meanwhile."""
        began = time.monotonic()
        try:
            while self._is_paused and not self._interrupt.is_requested:
                time.sleep(_PAUSED_POLL_INTERVAL_S)
                self._queue.agree()
                self._apply_all(trainer, verbs, accept)
        finally:
            self._set_paused(False)
            self.paused_s += time.monotonic() - began
        if self._interrupt.is_requested:
            self._stop_now(trainer)

    def _stop_now(self, trainer: pl.Trainer) -> NoReturn:
        self._checkpoint.save_last(trainer)
        raise StopTraining

    def _pause(self, _trainer: pl.Trainer) -> str:
        if self._is_paused:
            raise CommandRefusedError("the run is paused already")
        self._set_paused(True)
        return "paused"

    def _resume(self, _trainer: pl.Trainer) -> str:
        if not self._is_paused:
            raise CommandRefusedError("the run is not paused")
        self._set_paused(False)
        return "resumed"

    def _set_paused(self, is_paused: bool) -> None:
        """Sets the run's status; before the command is answered, so that its sender reads the new one."""
        if is_paused != self._is_paused:
            self._is_paused = is_paused
            self._channel.set_status(RunStatus.PAUSED if is_paused else RunStatus.RUNNING)

    def end(self, trainer: pl.Trainer, reason: str) -> None:
        """Ends the fit after this batch, STOPPED for the given reason."""
        self._set_paused(False)
        self.stopped = reason
        trainer.should_stop = True
        # a requested stop outranks --min-epochs and --min-steps
        trainer.fit_loop.min_epochs = 0
        trainer.fit_loop.epoch_loop.min_steps = None

    def _stop(self, trainer: pl.Trainer) -> str:
        kept = "the best and the last weights" if self._checkpoint.has_best else "the last weights"
        self.end(trainer, f"stopped at step {trainer.global_step:,}; {kept} are kept")
        return "stopped"

    def _halt(self, trainer: pl.Trainer, reason: str) -> str:
        at = f"step {trainer.global_step:,}"
        has_best = self._checkpoint.has_best
        kept = "the best weights from before are kept" if has_best else "there were no best weights before"
        self.end(trainer, f"{reason}; ended by `--on-nan stop` at {at}, {kept}")
        return "stopped"

    def _set_lr(self, trainer: pl.Trainer, **arguments: Any) -> str:
        """Sets the rate now; one set during validation is set again before the next batch.

        A scheduler that steps once an epoch does so after validation, and would change it.
        """
        text = set_learning_rate(trainer, **arguments)
        if trainer.validating and "lr" in arguments:
            self._rates_to_hold.append(arguments)
        return text

    def _validate(self, trainer: pl.Trainer) -> str:
        """Makes a validation due after this batch, once."""
        if trainer.validating or trainer.sanity_checking:
            raise CommandRefusedError("the run is validating already")
        if not trainer.enable_validation:
            raise CommandRefusedError("there is no validation data, or no `validation_step`")
        if self.patches is None or not hasattr(trainer.fit_loop.epoch_loop, "_should_check_val_fx"):
            raise CommandRefusedError("this pytorch-lightning release has no way to validate out of turn")
        self.patches.replace_once(Moment.VALIDATION_DUE, lambda _fetcher: True)
        return "validation requested"

    def _take_checkpoint(self, trainer: pl.Trainer) -> str:
        try:
            return f"checkpoint {self._checkpoint.save_now(trainer)} written"
        except OSError as err:
            raise CommandRefusedError(str(err.strerror or err)) from err


def _refuse_study_command(_trainer: pl.Trainer, **_arguments: object) -> str:
    raise CommandRefusedError("this is one fit; only a search takes this command")


def _set_max_epochs(trainer: pl.Trainer, epochs: int) -> str:
    min_epochs = trainer.current_epoch + 1
    if epochs < min_epochs:
        raise CommandRefusedError(
            f"epoch {trainer.current_epoch} is already running; give {min_epochs} or more, or stop the run"
        )
    trainer.fit_loop.max_epochs = epochs
    return f"epochs set to {epochs}"


def _set_patience(trainer: pl.Trainer, patience: int) -> str:
    stoppers: list[Any] = [
        callback for callback in trainer.early_stopping_callbacks if isinstance(callback, EarlyStopping)
    ]
    if not stoppers:
        raise CommandRefusedError("the run does not stop early; it was started without `--early-stop`")
    for stopper in stoppers:
        stopper.patience = patience
    return f"patience set to {patience}"
