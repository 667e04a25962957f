"""Keeps a panel live while its run trains: redrawn by time, and only as often as somebody watches."""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jupyter_train.panel.places import PLACES
from jupyter_train.panel.screen import Screen, busy_sayer, cell_id, kernel_id
from jupyter_train.panel.snapshot import outline, packed, with_curves
from jupyter_train.panel.watchers import WATCHERS

if TYPE_CHECKING:
    from jupyter_train.run import RunRecord
    from jupyter_train.store import Store

_log = logging.getLogger(__name__)

WATCHED_PERIOD_S = 0.25
UNWATCHED_PERIOD_S = 30.0
OUTLINE_PERIOD_S = 1.5
#: Redrawing may take this share of one processor, so that drawing costs training nothing to speak of.
_SHARE = 0.008


class LivePanel:
    """The panel of one run: `loading`, then live from the store, then its last state.

    A view that fails is logged, dropped and never stops training.
    """

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._store: Store | None = None
        self._run = ""
        self._kernel = kernel_id()
        self._outline: tuple[RunRecord, dict[str, Any]] | None = None
        self._outline_until = 0.0
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def loading(self, words: str) -> None:
        """Says what is being waited for."""
        self._try(lambda: self._screen.loading(words))

    def follow(self, store: Store, run: str) -> None:
        """Draws the run from now on."""
        self._store, self._run = store, run
        PLACES.full_at(run, cell_id())
        WATCHERS.watch(run, 3.0)  # whoever pressed Enter is looking, until their renderer has had time to say so
        WATCHERS.begin(run, busy_sayer())
        # display() finds its cell through context variables; a bare thread would print into another cell
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._loop,), name="jupyter_train panel", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Draws the last state, always."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(timeout=10)
        if self._run:
            WATCHERS.end(self._run)
            self._try(self._show)
        else:
            self._try(self._screen.clear)

    def _loop(self) -> None:
        next_quiet = time.monotonic() + UNWATCHED_PERIOD_S
        pause = 0.0
        while not self._ended.wait(WATCHED_PERIOD_S):
            pause -= WATCHED_PERIOD_S
            if pause > 0 and not WATCHERS.is_nudged(self._run):
                continue
            now = time.monotonic()
            if not WATCHERS.is_watched(self._run) and now < next_quiet:
                continue
            next_quiet = now + UNWATCHED_PERIOD_S
            began = time.thread_time()
            self._try(self._show)
            pause = (time.thread_time() - began) / _SHARE

    def _show(self) -> None:
        assert self._store is not None
        now = time.monotonic()
        is_stale = now > self._outline_until or self._ended.is_set() or WATCHERS.is_nudged(self._run)
        if self._outline is None or is_stale:
            self._outline, self._outline_until = outline(self._store, self._run, self._kernel), now + OUTLINE_PERIOD_S
        found = with_curves(*self._outline)
        WATCHERS.drawn(self._run, packed(found))
        self._screen.show(found)

    def _try(self, draw: Callable[[], None]) -> None:
        try:
            draw()
        except Exception:  # noqa: BLE001  a view never kills training
            _log.warning("the panel could not be drawn; training goes on", exc_info=True)
