"""Every error this package raises on purpose, drawn as one tree.

JupyterTrainError
├── UsageError            what was typed cannot be carried out
│   ├── OptionError       an option or its value
│   ├── ModelError        the model given
│   ├── DataError         the data given
│   ├── ParameterError    a notebook parameter
│   ├── CommandError      a command to a running fit
│   ├── QueryError        what a panel asks of a run
│   └── ChangedError      model, data or options are not those the run was begun with
├── StoreError            the run store cannot be read or written
│   ├── StoreVersionError     written by a newer release
│   ├── UntrustedError        a folder, or what lies in it, is not what this user's runs wrote
│   ├── DamagedError          what was recorded can no longer be read
│   ├── RunNotFoundError      no run by that name
│   └── AmbiguousRunError     several runs by that name
├── RunStateError         the run's status does not allow it
│   └── CommandRefusedError   the running fit could not do it
├── ProcessFailedError    training failed in the run's own process
└── NotebookError         a notebook cannot be read or repeated
    └── RepeatFailedError     it began, and did not come to its end
        └── CellFailedError   one of its cells failed

TrainingInterrupted       is a KeyboardInterrupt, so loops and queued cells stop too
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

#: What was typed, where it is longer than anybody wants it back.
_VERY_LONG = re.compile("`([^`]{60})[^`]{940,}`")


class _OneLine(BaseException):
    """Shown in a notebook as one readable line instead of a traceback."""

    def _render_traceback_(self) -> list[str]:
        notes = "".join(f"; {note}" for note in getattr(self, "__notes__", []))
        return [f"{type(self).__name__}: {self}{notes}"]


class JupyterTrainError(_OneLine, Exception):
    """Anything that goes wrong in a way we can explain: seen, expected, next thing to type."""

    def __str__(self) -> str:
        return _VERY_LONG.sub(r"`\1…`", super().__str__())


class UsageError(JupyterTrainError, ValueError):
    """What was typed cannot be carried out."""


class OptionError(UsageError):
    """An option is unknown or its value does not fit."""


class ModelError(UsageError):
    """The model given cannot be trained as asked."""


class DataError(UsageError):
    """The data given cannot be trained on as asked."""


class SpaceError(UsageError):
    """What is searched is no range and no choice, or an empty one."""


class StudyError(JupyterTrainError):
    """A search cannot begin or go on."""


class ParameterError(UsageError):
    """A notebook parameter has a bad name or value."""


class CommandError(UsageError):
    """A command to a running fit is unknown, or its arguments do not fit."""


class QueryError(UsageError):
    """A panel asks what nothing answers, or sends something else with it than it takes."""


class ChangedError(UsageError):
    """Model, data or options are not those the run was begun with."""


class StoreError(JupyterTrainError):
    """The run store cannot be read or written."""


class StoreVersionError(StoreError):
    """The store was written by a newer release."""


class UntrustedError(StoreError):
    """What lies in a folder is not what this user's runs wrote there; it was not used."""


class DamagedError(StoreError):
    """What was recorded can no longer be read; the message says what."""


class RunNotFoundError(StoreError, LookupError):
    """No run answers to that name."""


class AmbiguousRunError(StoreError, LookupError):
    """Several runs answer to that name."""


class RunStateError(JupyterTrainError):
    """The run's status does not allow what was asked."""


class FencedError(RunStateError):
    """Another process has taken the run over; what this one writes is refused."""


class CommandRefusedError(RunStateError):
    """The running fit could not carry a command out; the message says why."""


class ProcessFailedError(JupyterTrainError, RuntimeError):
    """Training failed in the run's own process; its traceback is in the run's log."""


class NotebookError(JupyterTrainError):
    """A notebook cannot be read or repeated."""


class RepeatFailedError(NotebookError):
    """A notebook was begun and could not be executed to its end, or its copies could not be written."""


class CellFailedError(RepeatFailedError):
    """A cell of the repeated notebook failed; the output notebook is saved."""


class TrainingInterrupted(_OneLine, KeyboardInterrupt):
    """The kernel's Interrupt ended the run; everything recorded so far is kept."""


def did_you_mean(seen: str, known: Iterable[str]) -> str:
    """Gives `` Did you mean `x`?`` for the closest known word, or an empty string."""
    close = difflib.get_close_matches(seen, list(known), n=1, cutoff=0.6)
    return f" Did you mean `{close[0]}`?" if close else ""
