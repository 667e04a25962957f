"""The kernel's Interrupt, or a SIGTERM, while training: the first ends the run well, a second Interrupt at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
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

    Args:
        timeout_s: After an Interrupt, how many seconds the code may take to come to its next batch; it is left where
            it is then. Without an end if None: what is half done is worth more than that.

    Attributes:
        count: How often Interrupt was pressed.
        is_terminated: Whether a SIGTERM came.
        is_starting: Whether the fit is on its way to its first batch: there is nothing to be saved yet, so that it is
            ended wherever it is.
        on_begun: Called once that is over.
        ended: Why other code ends the fit, such as a trial's time limit; empty while none does.
        around: The watch that this one is entered in.
    """

    def __init__(self, timeout_s: float | None = None) -> None:
        self.count = 0
        self.is_terminated = False
        self.ended = ""
        self.is_starting = False
        self.on_begun: Callable[[], None] = lambda: None
        self._is_start_ended = False
        self._is_heard = False
        self._previous: dict[int, Any] = {}
        self.around: InterruptWatch | None = None
        self._timeout_s = timeout_s
        self._timeout: threading.Timer | None = None
        self._is_cut = False
        self._is_inside = False
        self._lock = threading.Lock()

    @property
    def is_requested(self) -> bool:
        """True once the fit shall end."""
        return self.count > 0 or self.is_terminated or bool(self.ended)

    def __enter__(self) -> InterruptWatch:
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._on_signal) for number in WATCHED}
            owner = getattr(self._previous.get(signal.SIGINT), "__self__", None)
            self.around = owner if isinstance(owner, InterruptWatch) else None
            self._is_inside = True
        return self

    def __exit__(self, *_: object) -> None:
        try:
            with self._lock:  # what `cut` has sent is heard in here
                self._is_inside = False
        finally:  # whatever was raised in here
            self._is_inside = False
            if self._timeout is not None:
                self._timeout.cancel()
            for number, handler in self._previous.items():
                signal.signal(number, handler)

    def begin_start(self) -> None:
        """From now on a signal raises, until `has_begun`.

        Raises:
            StopTraining: One has come already.
        """
        self.is_starting = True
        if self.is_requested:
            raise StopTraining

    def has_begun(self) -> None:
        """The first batch is there, or none will come: from now on signals are counted."""
        if self.is_starting:
            self.is_starting = False
            self.on_begun()

    def end_start(self) -> None:
        """Raises `StopTraining` in the main thread, while it is starting. On any thread."""
        if self._previous and self.is_starting:
            self._is_start_ended = True
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    def cut(self) -> None:
        """Raises `AbortTraining` in the main thread, wherever that is: the code does not come to its next batch."""
        with self._lock:
            if self._is_inside and not self._is_heard:
                self._is_cut = True
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    def rest(self) -> None:
        """From now on nothing is raised any more: what has to be done after a second Interrupt is done to its end."""
        self._is_heard = True

    def pass_on(self) -> None:
        """Lets a SIGTERM do what it was sent for, now that everything is recorded."""
        if self.is_terminated:
            os.kill(os.getpid(), signal.SIGTERM)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._is_cut and number == signal.SIGINT:
            self._is_cut = False
            if self._is_inside:
                raise AbortTraining
            return
        self._count(number)
        if self._timeout_s is not None and self._timeout is None:
            self._timeout = threading.Timer(self._timeout_s, self.cut)
            self._timeout.daemon = True
            self._timeout.start()
        if self.is_starting:
            self.is_starting = False
            raise StopTraining
        if self.count > 1 and not self._is_heard:
            raise AbortTraining

    def _count(self, number: int) -> None:
        if number == signal.SIGTERM:
            self.is_terminated = True
        elif self._is_start_ended:  # by a command, not by a key
            self._is_start_ended = False
        else:
            self.count += 1
            if self.around is not None:
                self.around.count += 1


def watch_now() -> InterruptWatch | None:
    """The innermost watch that is entered. On any thread."""
    owner = getattr(signal.getsignal(signal.SIGINT), "__self__", None)
    return owner if isinstance(owner, InterruptWatch) else None


WATCHED = (signal.SIGINT, signal.SIGTERM)
