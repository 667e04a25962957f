"""The exceptions of this package, as one tree.

JupyterTrainError
├── UsageError            what was typed cannot be run
│   ├── OptionError       an option or its value
│   ├── ModelError        the model given
│   ├── DataError         the data given
│   ├── ParameterError    a notebook parameter
│   ├── CommandError      a command to a running fit
│   ├── QueryError        a panel's query of a run
│   └── ChangedError      model, data or options differ from those the run started with
├── StoreError            the run store cannot be read or written
│   ├── StoreVersionError     written by a newer release
│   ├── UntrustedError        a folder or a file in it was not written by this user's runs
│   ├── DamagedError          recorded data cannot be read
│   ├── RunNotFoundError      no run by that name
│   └── AmbiguousRunError     several runs by that name
├── RunStateError         the run's status does not allow it
│   └── CommandRefusedError   the running fit could not do it
├── ProcessFailedError    training failed in the run's own process
└── NotebookError         a notebook cannot be read or executed
    └── RepeatFailedError     it started, and was not executed to its end
        └── CellFailedError   one of its cells failed

TrainingInterrupted       is a KeyboardInterrupt, so loops and queued cells stop too
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

#: A quoted value too long to be repeated in a message.
_VERY_LONG = re.compile("`([^`]{60})[^`]{940,}`")


class _OneLine(BaseException):
    """Shown in a notebook as one readable line instead of a traceback."""

    def _render_traceback_(self) -> list[str]:
        notes = "".join(f"; {note}" for note in getattr(self, "__notes__", []))
        return [f"{type(self).__name__}: {self}{notes}"]


class JupyterTrainError(_OneLine, Exception):
    """An expected failure; its message says what was seen, what was expected and what to type."""

    def __str__(self) -> str:
        return _VERY_LONG.sub(r"`\1…`", super().__str__())


class UsageError(JupyterTrainError, ValueError):
    """What was typed cannot be run."""


class OptionError(UsageError):
    """An option is unknown or its value does not fit."""


class ModelError(UsageError):
    """The model cannot be trained with these options."""


class DataError(UsageError):
    """The data cannot be trained on with these options."""


class SpaceError(UsageError):
    """A search space is no range and no choice, or empty."""


class StudyError(JupyterTrainError):
    """A search cannot start or be resumed."""


class ParameterError(UsageError):
    """A notebook parameter has a bad name or value."""


class CommandError(UsageError):
    """A command to a running fit is unknown, or its arguments do not fit."""


class QueryError(UsageError):
    """A panel's query is unknown, or comes with arguments that it does not take."""


class ChangedError(UsageError):
    """Model, data or options differ from those the run was started with."""


class StoreError(JupyterTrainError):
    """The run store cannot be read or written."""


class StoreVersionError(StoreError):
    """The store was written by a newer release."""


class UntrustedError(StoreError):
    """A folder or a file in it was not written by this user's runs; it was not used."""


class DamagedError(StoreError):
    """Recorded data cannot be read; the message says which."""


class RunNotFoundError(StoreError, LookupError):
    """No run matches that name."""


class AmbiguousRunError(StoreError, LookupError):
    """Several runs match that name."""


class RunStateError(JupyterTrainError):
    """The run's status does not allow the operation."""


class FencedError(RunStateError):
    """Another process has taken the run over; writes of this one are refused."""


class CommandRefusedError(RunStateError):
    """The running fit refused a command; the message says why."""


class ProcessFailedError(JupyterTrainError, RuntimeError):
    """Training failed in the run's own process; its traceback is in the run's log."""


class NotebookError(JupyterTrainError):
    """A notebook cannot be read or executed."""


class RepeatFailedError(NotebookError):
    """A notebook was started and not executed to its end, or its copies could not be written."""


class CellFailedError(RepeatFailedError):
    """A cell of the notebook failed; the output notebook is saved."""


class TrainingInterrupted(_OneLine, KeyboardInterrupt):
    """The kernel's Interrupt ended the run; everything recorded is kept."""


def did_you_mean(seen: str, known: Iterable[str]) -> str:
    """Gives `` Did you mean `x`?`` for the closest known word, or an empty string."""
    close = difflib.get_close_matches(seen, list(known), n=1, cutoff=0.6)
    return f" Did you mean `{close[0]}`?" if close else ""
