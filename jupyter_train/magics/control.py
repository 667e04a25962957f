"""Messages a renderer sends on the kernel's control channel, answered even while a cell blocks."""

from __future__ import annotations

from typing import Any

MESSAGE = "jupyter_train_request"
REPLY = "jupyter_train_reply"


def listen(shell: Any) -> None:
    """Answers our messages from now on; nothing happens outside ipykernel."""
    kernel = getattr(shell, "kernel", None)
    handlers = getattr(kernel, "control_handlers", None)
    if handlers is None:
        return

    def handle(stream: Any, ident: Any, parent: dict[str, Any]) -> None:
        kernel.session.send(stream, REPLY, answer(parent.get("content")), parent, ident)

    handlers[MESSAGE] = handle


def answer(content: Any) -> dict[str, Any]:
    """The reply to one request. Runs on the control thread: sets flags, nothing else."""
    from jupyter_train.panel.live import watch

    if not isinstance(content, dict) or not isinstance(content.get("run"), str) or len(content["run"]) > 64:
        return {"status": "error", "message": "expected `run` and `verb`"}
    if content.get("verb") == "watch":
        watch(content["run"])
        return {"status": "ok"}
    return {"status": "error", "message": "unknown verb; expected `watch`"}
