"""Keeps a panel live while its run trains: redrawn by time, and only as often as somebody watches."""

from __future__ import annotations

import contextvars
import logging
import re
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from jupyter_train.panel.bundle import bundle, empty_bundle, loading_bundle
from jupyter_train.panel.snapshot import snapshot
from jupyter_train.panel.text import TerminalLine
from jupyter_train.store import Store

_log = logging.getLogger(__name__)

WATCHED_PERIOD_S = 0.25
UNWATCHED_PERIOD_S = 30.0
LEASE_S = 12.0
#: A redraw may take this share of the time between redraws, so that drawing costs training nothing to speak of.
_SHARE = 0.02

_watched_until: dict[str, float] = {}


def watch(run: str, lease_s: float = LEASE_S) -> None:
    """A renderer says that somebody is looking at this run; good for `lease_s` seconds."""
    _watched_until[run] = time.monotonic() + min(lease_s, 60.0)


def is_watched(run: str) -> bool:
    """True while a renderer's lease holds."""
    return _watched_until.get(run, 0.0) > time.monotonic()


class Screen(Protocol):
    """Where a panel is drawn."""

    def show(self, content: dict[str, Any]) -> None:
        """Draws a mime bundle in place of the one before."""


class NotebookScreen:
    """One output of the cell, replaced in place through its display id."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, content: dict[str, Any]) -> None:
        """Displays the first bundle, updates with the next ones."""
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


class LivePanel:
    """The panel of one run: `loading`, then live from the store, then its last state.

    A view that fails is logged, dropped and never stops training.
    """

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._store: Store | None = None
        self._run = ""
        self._kernel = kernel_id()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def loading(self, words: str) -> None:
        """Says what is being waited for."""
        self._draw(lambda: loading_bundle(words))

    def follow(self, store: Store, run: str) -> None:
        """Draws the run from now on."""
        self._store, self._run = store, run
        watch(run, 3.0)  # whoever pressed Enter is looking, until their renderer has had time to say so
        # display() finds its cell through context variables; a bare thread would print into another cell
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._loop,), name="jupyter_train panel", daemon=True
        )
        self._thread.start()

    def finish(self) -> None:
        """Draws the last state, always."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(timeout=10)
        if self._run:
            _watched_until.pop(self._run, None)
            self._draw(self._content)
        else:
            self._draw(empty_bundle)

    def _loop(self) -> None:
        next_quiet = time.monotonic() + UNWATCHED_PERIOD_S
        pause = 0.0
        while not self._ended.wait(max(WATCHED_PERIOD_S, pause)):
            now = time.monotonic()
            if not is_watched(self._run) and now < next_quiet:
                continue
            next_quiet = now + UNWATCHED_PERIOD_S
            self._draw(self._content)
            pause = (time.monotonic() - now) / _SHARE

    def _content(self) -> dict[str, Any]:
        assert self._store is not None
        return bundle(snapshot(self._store, self._run, self._kernel))

    def _draw(self, content: Callable[[], dict[str, Any]]) -> None:
        try:
            self._screen.show(content())
        except Exception:  # noqa: BLE001  a view never kills training
            _log.warning("the panel could not be drawn; training goes on", exc_info=True)
