"""The kernel's control channel: carries a panel's questions to `queries`, answered even while a cell blocks."""

from __future__ import annotations

import contextlib
from typing import Any

from jupyter_train.exceptions import JupyterTrainError
from jupyter_train.panel.viewers import VIEWERS
from jupyter_train.service import queries
from jupyter_train.store.command_queue import LOCAL

MESSAGE = "jupyter_train_request"
REPLY = "jupyter_train_reply"
_AFTER_IDLE_S = 0.005
_ELSEWHERE = {"status": "elsewhere", "message": "this kernel does not train the run"}
_EXPECTED = ", ".join(f"`{name}`" for name in ("watch", *queries.QUERIES))


def listen(shell: object) -> None:
    """Answers our messages from now on; nothing happens outside ipykernel."""
    kernel = getattr(shell, "kernel", None)
    handlers = getattr(kernel, "control_handlers", None)
    if kernel is None or handlers is None:
        return

    import asyncio  # a kernel has it loaded; elsewhere it would be a third of what loading us takes

    def handle(stream: object, ident: object, parent: dict[str, Any]) -> None:
        content = parent.get("content")
        kernel.session.send(stream, REPLY, answer(content), parent, ident)
        with contextlib.suppress(RuntimeError):  # no loop in this thread: nothing to be said later
            asyncio.get_running_loop().call_later(_AFTER_IDLE_S, say_busy, content)

    handlers[MESSAGE] = handle


def say_busy(content: object) -> None:
    """Takes back the `idle` that ends every control message, while a cell trains."""
    if isinstance(content, dict):
        VIEWERS.say_busy(str(content.get("run")))


def answer(content: object) -> dict[str, Any]:
    """The reply to one message. Runs on the control thread: sets flags, or reads what the panel draws.

    Args:
        content: `run` (its key), `verb` (`watch`, or one of `queries.QUERIES`), and what that takes.

    Returns:
        `status` (`ok`, `elsewhere` where this kernel does not train the run, `error`), with `snapshot`, `found` or
        `message`.
    """
    if not isinstance(content, dict) or not isinstance(content.get("run"), str) or len(content["run"]) > 64:
        return {"status": "error", "message": "expected `run` and `verb`"}
    run, verb = content["run"], content.get("verb")
    if verb in ("watch", "snapshot"):
        VIEWERS.watch(run)
    if verb == "watch":
        return {"status": "ok"}
    if not isinstance(verb, str) or verb not in queries.QUERIES:
        return {"status": "error", "message": f"unknown verb; expected {_EXPECTED}"}
    if not _is_here(run, verb):
        return dict(_ELSEWHERE)
    try:
        return {"status": "ok"} | _named(verb, queries.ask(run, verb, content))
    except (JupyterTrainError, ValueError) as err:
        return {"status": "error", "message": str(err)}


def _is_here(run: str, verb: str) -> bool:
    """Whether this kernel trains a run, or shows it: else the panel queries the server."""
    return LOCAL.of(run) is not None if verb == "command" else VIEWERS.newest(run) is not None


def _named(verb: str, answer: dict[str, Any]) -> dict[str, Any]:
    """An answer under the name that the panel looks for."""
    if verb == "command":
        return dict(answer)
    return {"snapshot" if verb == "snapshot" else "found": answer}
