"""The kernel's Interrupt while training: the first one ends the run well, a second one at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class StopTraining(Exception):
    """Raised between two batches to leave `Trainer.fit`; never reaches the user."""


class AbortTraining(BaseException):
    """Raised wherever the code is, on the second Interrupt.

    Not a KeyboardInterrupt: Lightning answers that one with `sys.exit(1)`.
    """


class InterruptWatch:
    """While entered, counts SIGINT instead of raising KeyboardInterrupt; only in the main thread."""

    def __init__(self) -> None:
        self.count = 0
        self._previous: Any = None

    @property
    def is_asked(self) -> bool:
        """True once the user pressed Interrupt."""
        return self.count > 0

    def __enter__(self) -> InterruptWatch:
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self.count > 1:
            raise AbortTraining
