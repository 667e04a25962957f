"""SIGINT and SIGTERM while a notebook is executed: the executing cell is interrupted, and no other begins."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from jupyter_train.exceptions import TrainingInterrupted

_WATCHED = (signal.SIGINT, signal.SIGTERM)


class SignalWatch:
    """While entered, the first signal interrupts the executing cell; a second, or one between cells, raises at once.

    Does nothing outside the main thread. A nested watch replaces the outer one.

    Attributes:
        end_cell: Interrupts the executing cell and returns whether there is one. Its argument says whether to give
            up on a cell that does not end, since a SIGKILL follows a SIGTERM.
    """

    def __init__(self) -> None:
        self.end_cell: Callable[[bool], bool] = lambda _is_limited: False
        self._message = ""
        self._previous: dict[int, Any] = {}

    @property
    def is_interrupted(self) -> bool:
        """Whether a signal has come."""
        return bool(self._message)

    def __enter__(self) -> SignalWatch:
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._on_signal) for number in _WATCHED}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raises once a signal has come.

        Raises:
            TrainingInterrupted: A signal has come.
        """
        if self._message:
            raise TrainingInterrupted(self._message)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        is_first = not self._message
        is_sigterm = number == signal.SIGTERM
        self._message = "ended by SIGTERM" if is_sigterm else "interrupted"
        if not (is_first and self.end_cell(is_sigterm)):
            raise TrainingInterrupted(self._message)
