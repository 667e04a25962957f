"""Keeps a panel live while its run trains: redrawn by time, and only as often as somebody watches."""

from __future__ import annotations

import contextvars
import logging
import re
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from jupyter_train.panel.bundle import bundle, empty_bundle, loading_bundle
from jupyter_train.panel.snapshot import outline, with_curves
from jupyter_train.panel.status import LIVE_STATUSES
from jupyter_train.panel.text import TerminalLine

if TYPE_CHECKING:
    from jupyter_train.run import RunRecord
    from jupyter_train.store import Store

_log = logging.getLogger(__name__)

WATCHED_PERIOD_S = 0.25
UNWATCHED_PERIOD_S = 30.0
STILL_PERIOD_S = 5.0
OUTLINE_PERIOD_S = 1.5
LEASE_S = 12.0
#: Redrawing may take this share of one processor, so that drawing costs training nothing to speak of.
_SHARE = 0.008


class Watchers:
    """Which runs somebody is looking at; renewed by renderers over the control channel."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._busy: dict[str, Callable[[], None]] = {}
        self._lock = threading.Lock()

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
        """Somebody is looking at this run, for `lease_s` seconds from now."""
        self._until[run] = time.monotonic() + lease_s

    def is_watched(self, run: str) -> bool:
        """True while a lease holds."""
        return self._until.get(run, 0.0) > time.monotonic()

    def end(self, run: str) -> None:
        """The run has ended."""
        with self._lock:
            self._busy.pop(run, None)
            self._until.pop(run, None)


#: This kernel's watchers: the control thread renews leases, panels ask.
WATCHERS = Watchers()


class Screen(Protocol):
    """Where a panel is drawn."""

    def loading(self, words: str) -> None:
        """Says what is being waited for."""

    def show(self, snapshot: dict[str, Any]) -> None:
        """Draws a snapshot in place of what was there."""

    def clear(self) -> None:
        """Takes away what was drawn."""


class NotebookScreen:
    """One output of the cell, replaced in place through its display id."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._still: dict[str, Any] | None = None
        self._still_until = 0.0

    def loading(self, words: str) -> None:
        """One calm line."""
        self._draw(loading_bundle(words))

    def show(self, snapshot: dict[str, Any]) -> None:
        """The run's bundle; its still picture is drawn anew every few seconds, and when the run has ended."""
        now = time.monotonic()
        if snapshot["status"] not in LIVE_STATUSES or now > self._still_until:
            self._still, self._still_until = None, now + STILL_PERIOD_S
        self._still = bundle(snapshot, self._still)
        self._draw(self._still)

    def clear(self) -> None:
        """Nothing."""
        self._draw(empty_bundle())

    def _draw(self, content: dict[str, Any]) -> None:
        from IPython.display import display

        if self._handle is None:
            self._handle = display(content, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(content, raw=True)


def screen_here() -> Screen:
    """A notebook output inside a kernel; a line of text in a terminal."""
    if kernel_id():
        return NotebookScreen()
    return TerminalLine(sys.stderr)


def kernel_id() -> str:
    """Id of this kernel as the server knows it; `kernel` for kernels started elsewhere, empty outside one."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None or not hasattr(shell, "kernel"):
        return ""
    from ipykernel.connect import get_connection_file

    try:
        found = re.search(r"kernel-(.+)\.json$", get_connection_file())
    except RuntimeError:
        return "kernel"
    return found.group(1) if found else "kernel"


def busy_sayer() -> Callable[[], None]:
    """What publishes `busy` on behalf of the cell we are in; does nothing outside ipykernel."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return lambda: None
    parent = kernel.get_parent()
    content = {"execution_state": "busy"}

    def say() -> None:
        kernel.session.send(kernel.iopub_socket, "status", content, parent=parent)

    return say


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
        while not self._ended.wait(max(WATCHED_PERIOD_S, pause)):
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
        if self._outline is None or self._ended.is_set() or now > self._outline_until:
            self._outline, self._outline_until = outline(self._store, self._run, self._kernel), now + OUTLINE_PERIOD_S
        self._screen.show(with_curves(*self._outline))

    def _try(self, draw: Callable[[], None]) -> None:
        try:
            draw()
        except Exception:  # noqa: BLE001  a view never kills training
            _log.warning("the panel could not be drawn; training goes on", exc_info=True)
