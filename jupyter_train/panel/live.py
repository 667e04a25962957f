"""Keeps a panel live while its run trains: redrawn by time, and only as often as it is watched."""

from __future__ import annotations

import contextvars
import logging
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jupyter_train.exceptions import RunNotFoundError, StoreError
from jupyter_train.panel.display import Display, busy_sayer, cell_id, kernel_id
from jupyter_train.panel.output_cells import PLACES
from jupyter_train.panel.redraw_schedule import POLL_INTERVAL_S, PanelPart, RedrawSchedule
from jupyter_train.panel.snapshot import outline, packed, with_curves
from jupyter_train.panel.status import LIVE_STATUSES
from jupyter_train.panel.summary_line import with_newest
from jupyter_train.panel.viewers import VIEWERS
from jupyter_train.run import RunStatus

if TYPE_CHECKING:
    from jupyter_train.run import RunRecord
    from jupyter_train.store import Store

_log = logging.getLogger(__name__)

OUTLINE_PERIOD_S = 1.5
_POLL_INTERVAL_S = 0.5
#: Points a series where nothing but a picture is drawn.
_FEW_BUCKETS = 60


class LivePanel:
    """The panel of one run: `loading`, then live from the store, then its last state.

    A view that fails is logged, dropped and never stops training.
    """

    def __init__(self, screen: Display) -> None:
        self._screen = screen
        self._store: Store | None = None
        self._run = ""
        self._kernel = kernel_id()
        self._outline: tuple[RunRecord, dict[str, Any]] | None = None
        self._outline_until = 0.0
        self._ended = threading.Event()
        self._is_afar = False
        self._thread: threading.Thread | None = None

    def loading(self, message: str) -> None:
        """Says what is being waited for."""
        self._try(lambda: self._screen.loading(message))

    def follow(self, store: Store, run: str) -> None:
        """Draws the run from now on."""
        VIEWERS.begin(run, busy_sayer())
        self._start(store, run, self._loop)

    def follow_from_afar(self, store: Store, run: str) -> None:
        """Draws a run that another process trains, until it ends; the cell continues meanwhile."""
        self._is_afar = True
        self._start(store, run, self._loop_until_it_ends)

    def follow_elsewhere(self, store: Store, record: RunRecord) -> None:
        """A run that has just begun in another process: live in a notebook, one line in a terminal.

        There a moving one would write over what is being typed.
        """
        if self._kernel:
            self.follow_from_afar(store, record.key)
            return
        self.finish()
        sys.stderr.write(f"{record.ref} runs in its own process; `%runs show {record.ref}` shows it\n")

    def _start(self, store: Store, run: str, loop: Callable[[], None]) -> None:
        self._store, self._run = store, run
        PLACES.full_at(run, cell_id())
        # display() finds its cell through context variables; a bare thread would print into another cell
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(loop,), name="jupyter_train panel", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Draws the last state, always; a run that another process trains is drawn until it ends."""
        if self._is_afar:
            return
        self._ended.set()
        if self._thread is not None:
            self._thread.join(timeout=10)
        if self._run:
            VIEWERS.end(self._run)
            self._try(self._show)
        else:
            self._try(self._screen.clear)

    def _loop(self) -> None:
        pace = RedrawSchedule(self._screen.is_line, VIEWERS.budget, time.monotonic())
        while not self._ended.wait(POLL_INTERVAL_S):
            part = pace.due(time.monotonic(), VIEWERS.looking(self._run))
            if part is PanelPart.NOTHING:
                continue
            began, sizes = time.thread_time(), [0]
            self._try(lambda part=part, sizes=sizes: sizes.append(self._show(part, is_last=False)))  # type: ignore[misc]
            pace.drawn(time.monotonic(), sizes[-1], time.thread_time() - began)

    def _loop_until_it_ends(self) -> None:
        threading.Thread(target=self._wait_for_the_end, name="jupyter_train wait", daemon=True).start()
        self._try(self._show)
        self._loop()
        self._try(self._show)
        VIEWERS.end(self._run)

    def _wait_for_the_end(self) -> None:
        assert self._store is not None
        while not self._ended.wait(_POLL_INTERVAL_S):
            try:
                status = self._store.status_of(self._store.get(self._run))
            except RunNotFoundError:
                break  # it was deleted
            except StoreError:
                continue
            if status is not RunStatus.QUEUED and not status.is_live:
                break
        self._ended.set()

    def _show(self, part: PanelPart = PanelPart.WHOLE, is_last: bool = True) -> int:
        """Draws a part of the panel; gives its size in bytes. The last state is drawn once, and whole."""
        assert self._store is not None
        now = time.monotonic()
        is_stale = now > self._outline_until or self._ended.is_set() or VIEWERS.is_nudged(self._run)
        if self._outline is None or is_stale:
            self._outline, self._outline_until = outline(self._store, self._run, self._kernel), now + OUTLINE_PERIOD_S
        if not is_last and self._outline[1]["status"] not in LIVE_STATUSES:
            return 0
        if part is PanelPart.LINE:
            return self._screen.show(with_newest(*self._outline), part)
        if part is PanelPart.SMALL:
            return self._screen.show(with_curves(*self._outline, _FEW_BUCKETS), part)
        full = with_curves(*self._outline)
        VIEWERS.drawn(self._run, packed(full))
        return self._screen.show(full, part)

    def _try(self, draw: Callable[[], object]) -> None:
        try:
            draw()
        except StoreError as err:
            _log.debug("the panel waits: %s", err)  # the run says itself that it cannot be recorded
        except Exception:  # noqa: BLE001  a view never kills training
            _log.warning("the panel could not be drawn; training continues", exc_info=True)
