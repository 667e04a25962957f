"""Ends a trial that takes longer than it may: at its next batch, or wherever it is where none comes."""

from __future__ import annotations

import threading
import time

from jupyter_train.training.interrupt import InterruptWatch, watch_now

_POLL_INTERVAL_S = 0.1
#: How long a trial that is to end may take to come to its next batch.
GRACE_S = 5.0


def timeout_message(limit_s: float | None) -> str:
    """Why a trial was ended that took longer."""
    return f"took longer than {limit_s:g} s (`--trial-timeout`)"


class TrialTimeout:
    """While entered, the code of the main thread has so long; left in time, it does nothing.

    Args:
        limit_s: In seconds; without an end if None.

    Attributes:
        message: Why the code was ended; empty where it was not.
    """

    def __init__(self, limit_s: float | None) -> None:
        self.message = ""
        self._limit_s = limit_s
        self._is_over = threading.Event()
        self._lock = threading.Lock()
        self._outer: InterruptWatch | None = None

    def __enter__(self) -> TrialTimeout:
        if self._limit_s is not None:
            self._outer = watch_now()
            threading.Thread(target=self._wait, name="jupyter_train trial timeout", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:  # what ends the code has come by now, or never will
            self._is_over.set()

    def _wait(self) -> None:
        assert self._limit_s is not None
        if self._is_over.wait(self._limit_s):
            return
        self.message = timeout_message(self._limit_s)
        until = time.monotonic() + GRACE_S
        while time.monotonic() < until:
            self._notify_watches()
            if self._is_over.wait(_POLL_INTERVAL_S):
                return
        with self._lock:
            watch = watch_now()
            if not self._is_over.is_set() and watch is not None:
                watch.cut()

    def _notify_watches(self) -> None:
        """Every watch that was entered since is notified."""
        watch = watch_now()
        while watch is not None and watch is not self._outer:
            watch.ended = self.message
            watch = watch.around
