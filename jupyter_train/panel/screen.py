"""Where a panel is drawn: an output of a notebook cell, or a line of a terminal."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

from jupyter_train.panel.bundle import bundle, empty_bundle, loading_bundle
from jupyter_train.panel.status import LIVE_STATUSES
from jupyter_train.panel.text import TerminalLine

STILL_PERIOD_S = 5.0


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


def _kernel() -> Any:
    """The ipykernel we are in; None outside one."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None)


def cell_id() -> str:
    """Id of the cell being executed, where the front end says it; otherwise empty."""
    kernel = _kernel()
    parent = kernel.get_parent() if kernel is not None else {}
    return str((parent.get("metadata") or {}).get("cellId") or "")


def kernel_id() -> str:
    """Id of this kernel as the server knows it; `kernel` for kernels started elsewhere, empty outside one."""
    if _kernel() is None:
        return ""
    from ipykernel.connect import get_connection_file

    try:
        found = re.search(r"kernel-(.+)\.json$", get_connection_file())
    except RuntimeError:
        return "kernel"
    return found.group(1) if found else "kernel"


def busy_sayer() -> Callable[[], None]:
    """What publishes `busy` on behalf of the cell we are in; does nothing outside ipykernel."""
    kernel = _kernel()
    if kernel is None:
        return lambda: None
    parent = kernel.get_parent()
    content = {"execution_state": "busy"}

    def say() -> None:
        kernel.session.send(kernel.iopub_socket, "status", content, parent=parent)

    return say
