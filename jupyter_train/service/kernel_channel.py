"""Messages a renderer sends on the kernel's control channel, answered even while a cell blocks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

MESSAGE = "jupyter_train_request"
REPLY = "jupyter_train_reply"
_AFTER_IDLE_S = 0.005
_ELSEWHERE = {"status": "elsewhere", "message": "this kernel does not train the run"}


def listen(shell: Any) -> None:
    """Answers our messages from now on; nothing happens outside ipykernel."""
    kernel = getattr(shell, "kernel", None)
    handlers = getattr(kernel, "control_handlers", None)
    if kernel is None or handlers is None:
        return

    import asyncio  # a kernel has it loaded; elsewhere it would be a third of what loading us takes

    def handle(stream: Any, ident: Any, parent: dict[str, Any]) -> None:
        content = parent.get("content")
        kernel.session.send(stream, REPLY, answer(content), parent, ident)
        with contextlib.suppress(RuntimeError):  # no loop in this thread: nothing to be said later
            asyncio.get_running_loop().call_later(_AFTER_IDLE_S, say_busy, content)

    handlers[MESSAGE] = handle


def say_busy(content: Any) -> None:
    """Takes back the `idle` that ends every control message, while a cell trains."""
    from jupyter_train.panel.viewers import VIEWERS

    if isinstance(content, dict):
        VIEWERS.say_busy(str(content.get("run")))


def answer(content: Any) -> dict[str, Any]:
    """The reply to one request. Runs on the control thread: sets flags, or reads what somebody wants to see."""
    from jupyter_train.panel.viewers import VIEWERS

    if not isinstance(content, dict) or not isinstance(content.get("run"), str) or len(content["run"]) > 64:
        return {"status": "error", "message": "expected `run` and `verb`"}
    run, verb = content["run"], content.get("verb")
    if verb == "watch":
        VIEWERS.watch(run)
        return {"status": "ok"}
    if verb == "snapshot":
        VIEWERS.watch(run)
        found = VIEWERS.newest(run)
        return {"status": "ok", "snapshot": found} if found else dict(_ELSEWHERE)
    if verb == "command":
        return _pass_on(run, content.get("command"), content.get("arguments"))
    if isinstance(verb, str) and verb in _LOOKS:
        return _look(run, _LOOKS[verb], content) if VIEWERS.newest(run) else dict(_ELSEWHERE)
    return {"status": "error", "message": f"unknown verb; expected `watch`, `snapshot`, `command`, {_LOOK_NAMES}"}


def _look(run: str, look: Callable[[Any, str, dict[str, Any]], Any], content: dict[str, Any]) -> dict[str, Any]:
    """Reads the store, for a panel whose server cannot see this kernel's disk."""
    from jupyter_train.exceptions import JupyterTrainError
    from jupyter_train.store import open_store

    try:
        return {"status": "ok", "found": look(open_store(), run, content)}
    except (JupyterTrainError, ValueError) as err:
        return {"status": "error", "message": str(err)}


def _curves(store: Any, run: str, content: dict[str, Any]) -> Any:
    from jupyter_train.panel import curves
    from jupyter_train.store import RunFolder

    first, last = content.get("first"), content.get("last")
    if not isinstance(first, int) or not isinstance(last, int):
        raise ValueError("expected steps as `first` and `last`")
    curves.check_window(first, last)
    return curves.between(RunFolder(store.get(run).folder).metrics, first, last)


def _details(store: Any, run: str, _content: dict[str, Any]) -> Any:
    from jupyter_train.panel.details import details

    return details(store, run)


def _bundle(store: Any, run: str, _content: dict[str, Any]) -> Any:
    from jupyter_train.panel.bundle import bundle
    from jupyter_train.panel.snapshot import snapshot

    return bundle(snapshot(store, run))


def _note(store: Any, run: str, content: dict[str, Any]) -> Any:
    from jupyter_train.panel.details import checked_note, set_note

    return set_note(store, run, checked_note(content.get("note")))


_LOOKS: dict[str, Callable[[Any, str, dict[str, Any]], Any]] = {
    "curves": _curves,
    "details": _details,
    "bundle": _bundle,
    "note": _note,
}
_LOOK_NAMES = ", ".join(f"`{name}`" for name in _LOOKS)


def _pass_on(run: str, verb: Any, arguments: Any) -> dict[str, Any]:
    """Puts a command where the training thread looks at its next batch boundary."""
    from jupyter_train.config.commands import command
    from jupyter_train.exceptions import CommandError
    from jupyter_train.panel.viewers import VIEWERS
    from jupyter_train.store.command_queue import LOCAL

    if not isinstance(verb, str) or not isinstance(arguments, dict):
        return {"status": "error", "message": "expected `command` and `arguments`"}
    inbox = LOCAL.of(run)
    if inbox is None:
        return dict(_ELSEWHERE)
    try:
        inbox.put(command(verb, arguments, "panel"))
    except CommandError as err:
        return {"status": "error", "message": str(err)}
    VIEWERS.nudge(run)
    return {"status": "ok", "message": "asked"}
