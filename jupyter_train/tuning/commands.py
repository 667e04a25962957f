"""Applies commands to a search while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jupyter_train.config import TuneConfig, search_methods
from jupyter_train.config.commands import VERBS, Command
from jupyter_train.events import EventKind
from jupyter_train.exceptions import CommandRefusedError, JupyterTrainError
from jupyter_train.run import RunStatus
from jupyter_train.store import RunWriter
from jupyter_train.store.command_channel import CommandChannel
from jupyter_train.store.commands import APPLIED, REFUSED, Answer
from jupyter_train.tuning.enqueue import checked, narrowed
from jupyter_train.tuning.study_storage import StudyStorage

STOPPED = "stopped; every finished trial is kept, and the study can be resumed"

#: Samplers that choose all values of a trial together, as long as each is searched where it always was.
_TOGETHER = ("gp", "cmaes", "qmc", "nsga2")


class StudyCommands:
    """Applies the commands that arrive; each is recorded with the number of trials done, and answered.

    Args:
        config: What is searched.
        storage: The trials, in Optuna's journal.
        writer: Records events.
        channel: Commands arrive here, answers go there.

    Attributes:
        stopped: Why no further trial begins; empty while they do.
        is_paused: Whether the next trial waits.
    """

    def __init__(self, config: TuneConfig, storage: StudyStorage, writer: RunWriter, channel: CommandChannel) -> None:
        self.stopped = ""
        self.is_paused = False
        self._config = config
        self._storage = storage
        self._writer = writer
        self._channel = channel
        self._verbs: dict[str, Callable[..., str]] = {
            "stop": self._stop,
            "pause": self._pause,
            "resume": self._resume,
            "add_trial": self._add_trial,
            "narrow": self._narrow,
        }

    def apply_commands(self, done: int) -> bool:
        """Applies the waiting commands; True when there was one.

        Args:
            done: How many trials have ended.
        """
        taken = self._channel.inbox.take()
        for command in taken:
            self._apply(command, done)
        return bool(taken)

    def _apply(self, command: Command, done: int) -> None:
        try:
            work = self._verbs.get(command.verb)
            if work is None:
                known = ", ".join(VERBS[verb].name for verb in self._verbs)
                raise CommandRefusedError(f"a search takes {known}; {VERBS[command.verb].name} is for one trial")
            text = f"{work(**command.arguments)} after trial {done}"
        except JupyterTrainError as err:
            self._writer.event(EventKind.REFUSED, str(err), done, verb=command.verb)
            self._channel.answered(command, Answer(REFUSED, str(err), done))
            return
        self._writer.event(EventKind.COMMAND, text, done, verb=command.verb, arguments=command.arguments)
        self._channel.answered(command, Answer(APPLIED, text, done))

    def _stop(self) -> str:
        self.stopped, self.is_paused = STOPPED, False
        return "stopped"

    def _pause(self) -> str:
        return self._set_paused(True, "paused")

    def _resume(self) -> str:
        return self._set_paused(False, "resumed")

    def _set_paused(self, is_paused: bool, answer: str) -> str:
        if self.is_paused == is_paused:
            raise CommandRefusedError("the search is paused already" if is_paused else "the search is not paused")
        self.is_paused = is_paused
        self._channel.set_status(RunStatus.PAUSED if is_paused else RunStatus.RUNNING)
        return answer

    def _add_trial(self, values: Mapping[str, Any]) -> str:
        text = " ".join(f"{name}={value}" for name, value in values.items())
        self._storage.enqueue(checked(values, self._config, f"add-trial {text}"), is_extra=True)
        return f"{text} is enqueued,"

    def _narrow(self, ranges: Mapping[str, Any]) -> str:
        spaces = {name: narrowed(name, text, self._config) for name, text in ranges.items()}
        self._storage.narrow(spaces)
        text = "narrowed to " + " ".join(f"{name}={space}" for name, space in spaces.items())
        sampler = search_methods.name_of(self._config.sampler)
        if sampler in _TOGETHER:
            text += f" (`{sampler}` draws it apart from the others from now on)"
        return text
