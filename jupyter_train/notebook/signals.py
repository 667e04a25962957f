"""Interrupt and SIGTERM while a notebook is repeated: the cell under way ends well, and no other begins."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from jupyter_train.exceptions import TrainingInterrupted

_WATCHED = (signal.SIGINT, signal.SIGTERM)


class SignalWatch:
    """While entered, the first signal ends the cell under way; a second, or one between cells, raises at once.

    Only in the main thread; elsewhere it does nothing. One inside another takes its place for the time.

    Attributes:
        end_cell: Asked to end the cell under way: gives whether there is one. Told whether to give up on one that
            does not end, since a SIGKILL follows a SIGTERM.
    """

    def __init__(self) -> None:
        self.end_cell: Callable[[bool], bool] = lambda _is_limited: False
        self._words = ""
        self._previous: dict[int, Any] = {}

    @property
    def is_asked(self) -> bool:
        """Whether a signal came."""
        return bool(self._words)

    def __enter__(self) -> SignalWatch:
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._on_signal) for number in _WATCHED}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raises where a signal came: what it interrupted is over.

        Raises:
            TrainingInterrupted: It did.
        """
        if self._words:
            raise TrainingInterrupted(self._words)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        is_first = not self._words
        is_sigterm = number == signal.SIGTERM
        self._words = "ended by SIGTERM" if is_sigterm else "interrupted"
        if not (is_first and self.end_cell(is_sigterm)):
            raise TrainingInterrupted(self._words)
