"""What a process of our own prints, with secrets masked: it goes to a file in the run folder."""

from __future__ import annotations

import io
import sys
import threading
import traceback
from types import TracebackType
from typing import TextIO

from jupyter_train.store.redaction import mask

_MAX_LETTERS = 64 * 1024


class RedactedOutput(io.TextIOBase):
    """Passes whole lines on.

    Args:
        out: Where to.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._waiting = ""

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """The descriptor below: what is written there directly is not masked."""
        return self._out.fileno()

    def write(self, text: str) -> int:
        """Keeps the text until its line is whole."""
        self._waiting += text
        whole, end, rest = self._waiting.rpartition("\n")
        if end or len(self._waiting) > _MAX_LETTERS:
            self._out.write(mask(whole + end if end else rest))
            self._waiting = rest if end else ""
        return len(text)

    def flush(self) -> None:
        """Passes on what waits, though its line is not whole."""
        if self._waiting:
            waiting, self._waiting = self._waiting, ""
            self._out.write(mask(waiting))
        self._out.flush()


def mask_own_output() -> None:
    """From now on what Python prints in this process is masked, tracebacks as a whole."""
    sys.stdout, sys.stderr = RedactedOutput(sys.stdout), RedactedOutput(sys.stderr)
    sys.excepthook = _print_masked
    threading.excepthook = lambda told: _print_masked(told.exc_type, told.exc_value, told.exc_traceback)


def _print_masked(kind: type[BaseException], error: BaseException | None, where: TracebackType | None) -> None:
    sys.stderr.write(mask("".join(traceback.format_exception(kind, error, where))))
    sys.stderr.flush()
