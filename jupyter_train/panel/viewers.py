"""Who looks at which run in this kernel: renewed by renderers, read by panels."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from jupyter_train.panel.redraw_schedule import ByteBudget, Viewing

LEASE_S = 12.0
#: How long a panel is drawn as often as possible after a request of the user.
NUDGE_S = 2.0
#: Of so many runs the newest snapshot is kept.
_MAX_KEPT = 16


class Viewers:
    """Which runs are being looked at; renewed by renderers over the control channel."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._busy: dict[str, Callable[[], None]] = {}
        self._nudged_until: dict[str, float] = {}
        self._newest: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        #: Whether a renderer of this package was ever heard in this kernel.
        self.has_renderer = False
        #: What panels without one may send.
        self.budget = ByteBudget(time.monotonic())

    def begin(self, run: str, say_busy: Callable[[], None]) -> None:
        """A cell is blocked by this run from now on."""
        with self._lock:
            self._busy[run] = say_busy

    def say_busy(self, run: str) -> None:
        """Says again that the kernel is busy, if it is.

        Every control message ends with the kernel saying `idle`, which front ends take for the end of the cell.
        The lock makes sure that nothing is said after the run's end.
        """
        with self._lock:
            if run in self._busy:
                self._busy[run]()

    def watch(self, run: str, lease_s: float = LEASE_S) -> None:
        """A viewer looks at this run, for `lease_s` seconds from now."""
        self.has_renderer = True
        self._until[run] = time.monotonic() + lease_s

    def is_watched(self, run: str) -> bool:
        """True while a lease holds."""
        return self._until.get(run, 0.0) > time.monotonic()

    def looking(self, run: str) -> Viewing:
        """Who looks at it."""
        return Viewing(self.is_watched(run), self.is_nudged(run), self.has_renderer)

    def nudge(self, run: str) -> None:
        """Something is about to change that the user waits to see."""
        self._nudged_until[run] = time.monotonic() + NUDGE_S

    def is_nudged(self, run: str) -> bool:
        """True for a short time after a nudge."""
        return self._nudged_until.get(run, 0.0) > time.monotonic()

    def drawn(self, run: str, packed: dict[str, Any]) -> None:
        """Keeps the newest snapshot, for renderers that no update reaches: a page reloaded while the cell runs."""
        self._newest.pop(run, None)
        self._newest[run] = packed
        while len(self._newest) > _MAX_KEPT:
            self._newest.pop(next(iter(self._newest)))

    def newest(self, run: str) -> dict[str, Any] | None:
        """The newest packed snapshot of a run this kernel trains or has trained."""
        return self._newest.get(run)

    def end(self, run: str) -> None:
        """The run has ended."""
        with self._lock:
            self._busy.pop(run, None)
            self._until.pop(run, None)
            self._nudged_until.pop(run, None)


#: This kernel's watchers: the control thread renews leases, panels read them.
VIEWERS = Viewers()
