"""Carries out commands to a running fit, between two batches."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping

from jupyter_train.config.commands import VERBS, Command
from jupyter_train.exceptions import CommandRefusedError
from jupyter_train.run import RunStatus
from jupyter_train.store.command_channel import CommandChannel
from jupyter_train.store.command_queue import CommandQueue
from jupyter_train.store.commands import APPLIED, REFUSED, Answer
from jupyter_train.store.redaction import one_line
from jupyter_train.store.writer import RunWriter
from jupyter_train.training.callbacks.on_nan import HALT
from jupyter_train.training.checkpoints.callback import RunCheckpoint
from jupyter_train.training.interrupt import InterruptWatch, StopTraining
from jupyter_train.training.lightning.ddp import NoCommandChannel
from jupyter_train.training.lightning.learning_rate import set_learning_rate

_PAUSED_POLL_INTERVAL_S = 0.05
#: What is done as soon as a batch has ended: Lightning looks right then whether to stop and whether to validate.
_AT_END = frozenset({"stop", "validate", HALT})
_FROM = {"panel": "from the panel", "python": "from Python", "command line": "from the command line"}


class FitCommands:
    """Takes commands out of the inbox at batch boundaries; each is recorded with its step and answered.

    Args:
        inbox: Where commands arrive.
        mailbox: Where answers go.
        writer: Records events.
        checkpoint: Writes a checkpoint when asked.
        interrupt: Ends a pause.
    """

    def __init__(
        self,
        inbox: CommandQueue,
        mailbox: CommandChannel | NoCommandChannel,
        writer: RunWriter,
        checkpoint: RunCheckpoint,
        interrupt: InterruptWatch,
    ) -> None:
        self.stopped = ""
        self.paused_s = 0.0
        self._mailbox = mailbox
        self._inbox = inbox
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
            "validate": _validate,
            "set_lr": self._set_lr,
            "set_max_epochs": _set_max_epochs,
            "set_patience": _set_patience,
            **{name: _refuse_what_is_of_a_study for name, verb in VERBS.items() if verb.is_of_study},
        }

    def obey(self, trainer: pl.Trainer) -> bool:
        """Before a batch: carries out what waits, and waits itself while paused; True when there was anything.

        Raises:
            StopTraining: An Interrupt ended a pause, or the run was stopped before anything was logged.
        """
        for arguments in self._rates_to_hold:
            set_learning_rate(trainer, **arguments)
        self._rates_to_hold.clear()
        is_any = self._obey(trainer, frozenset(self._verbs))
        if self.stopped and not trainer.callback_metrics:
            self._end_here(trainer)  # an epoch's end would miss the metrics that nobody could log yet
        return is_any

    def obey_after_batch(self, trainer: pl.Trainer) -> bool:
        """After a batch: what Lightning must know before it decides what comes next."""
        self._inbox.agree()
        return self._obey(trainer, _AT_END)

    def obey_in_validation(self, trainer: pl.Trainer) -> None:
        """Between two validation batches; a stop ends the fit there and then.

        Raises:
            StopTraining: The run was stopped, or an Interrupt ended a pause.
        """
        if self._obey(trainer, frozenset(self._verbs)) and self.stopped:
            self._end_here(trainer)

    def obey_at_start(self, trainer: pl.Trainer) -> None:
        """After a fit was ended before its first batch: carries out the stop that was asked for, if one was."""
        for command in self._inbox.take({"stop"}):
            self._apply(command, trainer)
            self.stopped = "stopped before its first batch"

    def _obey(self, trainer: pl.Trainer, verbs: frozenset[str]) -> bool:
        if not self._inbox:
            return False
        accept = self._checkpoint.accepting(trainer)
        is_any = self._apply_all(trainer, verbs, accept)
        if self._is_paused:
            self._wait(trainer, verbs, accept)
        return is_any

    def _apply_all(self, trainer: pl.Trainer, verbs: frozenset[str], accept: Callable[[], None]) -> bool:
        taken = self._inbox.take(verbs)
        for command in taken:
            self._apply(command, trainer)
            accept()
        return bool(taken)

    def _apply(self, command: Command, trainer: pl.Trainer) -> None:
        step = trainer.global_step
        try:
            done = self._verbs[command.verb](trainer, **command.arguments)
        except CommandRefusedError as err:
            self._refuse(command, str(err), step)
            return
        except Exception as err:  # noqa: BLE001  a hook of the user's may run; a command never ends the training
            self._writer.log(traceback.format_exc())
            self._refuse(command, one_line(traceback.format_exception_only(err)[-1], 300), step)
            return
        text = f"{done} at step {step:,} ({_FROM.get(command.source, command.source)})"
        self._writer.event("command", text, step, verb=command.verb, arguments=command.arguments)
        self._mailbox.answered(command, Answer(APPLIED, text, step))

    def _refuse(self, command: Command, reason: str, step: int) -> None:
        self._writer.event("refused", f"{command.verb.replace('_', '-')}: {reason}", step, verb=command.verb)
        self._mailbox.answered(command, Answer(REFUSED, reason, step))

    def _wait(self, trainer: pl.Trainer, verbs: frozenset[str], accept: Callable[[], None]) -> None:
        """Blocks until resumed, stopped or interrupted; other commands are carried out meanwhile."""
        began = time.monotonic()
        try:
            while self._is_paused and not self._interrupt.is_asked:
                time.sleep(_PAUSED_POLL_INTERVAL_S)
                self._inbox.agree()
                self._apply_all(trainer, verbs, accept)
        finally:
            self._set_paused(False)
            self.paused_s += time.monotonic() - began
        if self._interrupt.is_asked:
            self._end_here(trainer)

    def _end_here(self, trainer: pl.Trainer) -> NoReturn:
        self._checkpoint.take_last(trainer)
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
        """The status goes out before the answer: whoever has the answer finds the run so."""
        if is_paused != self._is_paused:
            self._is_paused = is_paused
            self._mailbox.set_status(RunStatus.PAUSED if is_paused else RunStatus.RUNNING)

    def end(self, trainer: pl.Trainer, words: str) -> None:
        """Makes the fit end as soon as it can, STOPPED for the reason given."""
        self._set_paused(False)
        self.stopped = words
        trainer.should_stop = True
        # a stop that somebody asked for outranks --min-epochs and --min-steps
        trainer.fit_loop.min_epochs = 0
        trainer.fit_loop.epoch_loop.min_steps = None

    def _stop(self, trainer: pl.Trainer) -> str:
        kept = "the best and the last weights" if self._checkpoint.has_best else "the last weights"
        self.end(trainer, f"stopped at step {trainer.global_step:,}; {kept} are kept")
        return "stopped"

    def _halt(self, trainer: pl.Trainer, words: str) -> str:
        at = f"step {trainer.global_step:,}"
        has_best = self._checkpoint.has_best
        kept = "the best weights from before are kept" if has_best else "there were no best weights before"
        self.end(trainer, f"{words}; ended by `--on-nan stop` at {at}, {kept}")
        return "stopped"

    def _set_lr(self, trainer: pl.Trainer, **arguments: Any) -> str:
        """Sets the rate now; one set during validation is set again for the next batch.

        A scheduler that steps once an epoch does so after validation, and would change it.
        """
        done = set_learning_rate(trainer, **arguments)
        if trainer.validating and "lr" in arguments:
            self._rates_to_hold.append(arguments)
        return done

    def _take_checkpoint(self, trainer: pl.Trainer) -> str:
        try:
            return f"checkpoint {self._checkpoint.take_now(trainer)} written"
        except OSError as err:
            raise CommandRefusedError(str(err.strerror or err)) from err


def _refuse_what_is_of_a_study(_trainer: pl.Trainer, **_arguments: Any) -> str:
    raise CommandRefusedError("this is one fit; only a search takes that")


def _set_max_epochs(trainer: pl.Trainer, epochs: int) -> str:
    least = trainer.current_epoch + 1
    if epochs < least:
        raise CommandRefusedError(
            f"epoch {trainer.current_epoch} is already running; give {least} or more, or stop the run"
        )
    trainer.fit_loop.max_epochs = epochs
    return f"epochs set to {epochs}"


def _set_patience(trainer: pl.Trainer, patience: int) -> str:
    stoppers: list[Any] = [one for one in trainer.early_stopping_callbacks if isinstance(one, EarlyStopping)]
    if not stoppers:
        raise CommandRefusedError("the run does not stop early; it was started without `--early-stop`")
    for stopper in stoppers:
        stopper.patience = patience
    return f"patience set to {patience}"


def _validate(trainer: pl.Trainer) -> str:
    """Makes Lightning think that a validation is due after this batch, once."""
    epoch_loop: Any = trainer.fit_loop.epoch_loop
    if trainer.validating or trainer.sanity_checking:
        raise CommandRefusedError("the run is validating already")
    if not trainer.enable_validation:
        raise CommandRefusedError("there is no validation data, or no `validation_step`")
    if not hasattr(epoch_loop, "_should_check_val_fx"):
        raise CommandRefusedError("this pytorch-lightning release cannot be told to validate out of turn")

    def once(_fetcher: Any) -> bool:
        del epoch_loop._should_check_val_fx  # the class's own holds again
        return True

    epoch_loop._should_check_val_fx = once
    return "validation asked for"
