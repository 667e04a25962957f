"""The kernel's Interrupt, or a SIGTERM, while training: the first ends the run well, a second Interrupt at once."""

from __future__ import annotations

import os
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
    """While entered, counts SIGINT instead of raising KeyboardInterrupt, and notes SIGTERM; only in the main thread.

    A batch system sends SIGTERM and, some seconds later, SIGKILL: the run is saved in between. One inside another, as
    a trial's inside its search's, lets that one know.
    """

    def __init__(self) -> None:
        self.count = 0
        self.is_terminated = False
        self._is_heard = False
        self._previous: dict[int, Any] = {}
        self._around: InterruptWatch | None = None

    @property
    def is_asked(self) -> bool:
        """True once the fit shall end."""
        return self.count > 0 or self.is_terminated

    def __enter__(self) -> InterruptWatch:
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._on_signal) for number in _WATCHED}
            owner = getattr(self._previous.get(signal.SIGINT), "__self__", None)
            self._around = owner if isinstance(owner, InterruptWatch) else None
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def rest(self) -> None:
        """From now on nothing is raised any more: what has to be done after a second Interrupt is done to its end."""
        self._is_heard = True

    def pass_on(self) -> None:
        """Lets a SIGTERM do what it was sent for, now that everything is recorded."""
        if self.is_terminated:
            os.kill(os.getpid(), signal.SIGTERM)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGTERM:
            self.is_terminated = True
            return
        self.count += 1
        if self._around is not None:
            self._around.count += 1
        if self.count > 1 and not self._is_heard:
            raise AbortTraining


_WATCHED = (signal.SIGINT, signal.SIGTERM)
