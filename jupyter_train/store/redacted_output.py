"""Masks what a worker process prints: its output goes to a file in the run folder."""

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
    """A text stream that masks complete lines and writes them to another stream.

    Args:
        out: The stream to write to.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._buffer = ""

    def writable(self) -> bool:
        """Always True."""
        return True

    def fileno(self) -> int:
        """The descriptor of the stream below; bytes written to it directly are not masked."""
        return self._out.fileno()

    def write(self, text: str) -> int:
        """Buffers text until its line is complete."""
        self._buffer += text
        complete, end, remainder = self._buffer.rpartition("\n")
        if end or len(self._buffer) > _MAX_LETTERS:
            self._out.write(mask(complete + end if end else remainder))
            self._buffer = remainder if end else ""
        return len(text)

    def flush(self) -> None:
        """Writes the buffered text although its line is not complete."""
        if self._buffer:
            buffered, self._buffer = self._buffer, ""
            self._out.write(mask(buffered))
        self._out.flush()


def mask_own_output() -> None:
    """Masks everything that Python prints in this process from now on; a traceback is masked as one text."""
    sys.stdout, sys.stderr = RedactedOutput(sys.stdout), RedactedOutput(sys.stderr)
    sys.excepthook = _print_masked
    threading.excepthook = lambda args: _print_masked(args.exc_type, args.exc_value, args.exc_traceback)


def _print_masked(kind: type[BaseException], error: BaseException | None, where: TracebackType | None) -> None:
    sys.stderr.write(mask("".join(traceback.format_exception(kind, error, where))))
    sys.stderr.flush()
