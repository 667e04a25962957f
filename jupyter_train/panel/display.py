"""Where a panel is drawn: an output of a notebook cell, or a line of a terminal."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

from jupyter_train.panel.bundle import bundle, empty_bundle, loading_bundle, small_bundle
from jupyter_train.panel.redraw_schedule import PanelPart
from jupyter_train.panel.status import LIVE_STATUSES
from jupyter_train.panel.terminal import TerminalLine, table

STILL_PERIOD_S = 5.0
#: How `jupyter_client` names its messages: session, process, number.
_PYTHONS_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{24}_\d+_\d+")


class Display(Protocol):
    """Where a panel is drawn.

    Attributes:
        is_line: Whether a run is one line of text there while it trains.
    """

    is_line: bool

    def loading(self, message: str) -> None:
        """Says what is being waited for."""

    def show(self, snapshot: dict[str, Any], part: PanelPart = PanelPart.WHOLE) -> int:
        """Draws a snapshot, or a part of it, in place of what was there; gives how many bytes that was."""

    def clear(self) -> None:
        """Takes away what was drawn."""


class NotebookDisplay:
    """One output of the cell, replaced in place through its display id.

    Args:
        is_replaced: Whether the front end does replace outputs; where it does not, the last state is printed.
    """

    is_line = False

    def __init__(self, is_replaced: bool = True) -> None:
        self._is_replaced = is_replaced
        self._handle: Any = None
        self._still: dict[str, Any] | None = None
        self._still_until = 0.0

    def loading(self, message: str) -> None:
        """One calm line."""
        self._draw(loading_bundle(message))

    def show(self, snapshot: dict[str, Any], part: PanelPart = PanelPart.WHOLE) -> int:
        """The run's bundle; where only curves are due, its still picture is redrawn every few seconds."""
        now = time.monotonic()
        has_ended = snapshot["status"] not in LIVE_STATUSES
        if part is PanelPart.SMALL and not has_ended:
            return self._draw(small_bundle(snapshot))
        if has_ended or part is PanelPart.WHOLE or now > self._still_until:
            self._still, self._still_until = None, now + STILL_PERIOD_S
        self._still = bundle(snapshot, self._still)
        if has_ended and not self._is_replaced:
            sys.stdout.write(table(snapshot) + "\n")
        return self._draw(self._still)

    def clear(self) -> None:
        """Nothing."""
        self._draw(empty_bundle())

    def _draw(self, content: dict[str, Any]) -> int:
        from IPython.display import display

        if self._handle is None:
            self._handle = display(content, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(content, raw=True)
        return sum(len(part if isinstance(part, str) else json.dumps(part)) for part in content.values())


def current_display() -> Display:
    """A notebook output inside a kernel; a line of text in a terminal."""
    if kernel_id():
        return NotebookDisplay(is_replaced=not is_console(_kernel().get_parent()))
    return TerminalLine(sys.stderr)


def is_console(request: dict[str, Any]) -> bool:
    """Whether a request to execute was typed in `jupyter console` or one like it, which ignores updates of outputs.

    Those are Python's clients that let the user answer questions; a tool that repeats a notebook does not.

    Args:
        request: The message.
    """
    is_pythons = _PYTHONS_ID.fullmatch(str((request.get("header") or {}).get("msg_id"))) is not None
    is_cell = bool((request.get("metadata") or {}).get("cellId"))
    return is_pythons and not is_cell and bool((request.get("content") or {}).get("allow_stdin"))


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
        match = re.search(r"kernel-(.+)\.json$", get_connection_file())
    except RuntimeError:
        return "kernel"
    return match.group(1) if match else "kernel"


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
