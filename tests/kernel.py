"""A real kernel for tests: cells run, outputs collected, messages on every channel."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jupyter_client.manager import KernelManager


class Kernel:
    """A running ipykernel and its client."""

    def __init__(self, manager: KernelManager, client: Any) -> None:
        self.manager = manager
        self.client = client

    def run(self, code: str, timeout_s: float = 120) -> list[dict[str, Any]]:
        """Runs a cell to its end; gives its iopub messages."""
        return self.collect(self.execute(code), timeout_s)

    def execute(self, code: str) -> str:
        """Asks for a cell as a notebook's client does, and not as a console; gives the message's id."""
        return str(self.client.execute(code, allow_stdin=False))

    def collect(self, message_id: str, timeout_s: float = 120) -> list[dict[str, Any]]:
        """The iopub messages of an execution, until it is idle again."""
        found = []
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            message = self.client.get_iopub_msg(timeout=timeout_s)
            if message["parent_header"].get("msg_id") != message_id:
                continue
            found.append(message | {"seen_at": time.monotonic()})
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return found
        raise TimeoutError(code_of(found))

    def reply(self, message_id: str, timeout_s: float = 60) -> dict[str, Any]:
        """The shell reply to a request."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            message = self.client.get_shell_msg(timeout=timeout_s)
            if message["parent_header"].get("msg_id") == message_id:
                return message
        raise TimeoutError(message_id)

    def matches(self, cell: str) -> list[str]:
        """Completions at the end of a cell (or at `|`)."""
        place = cell.index("|") if "|" in cell else len(cell)
        reply = self.reply(self.client.complete(cell.replace("|", "", 1), place))
        return reply["content"]["matches"]


def code_of(messages: list[dict[str, Any]]) -> str:
    return " ".join(message["msg_type"] for message in messages)


def data_of(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mime bundles of all outputs, first displays and updates alike."""
    kinds = ("display_data", "update_display_data", "execute_result")
    return [message["content"]["data"] for message in messages if message["msg_type"] in kinds]


@contextmanager
def started(cwd: str) -> Iterator[Kernel]:
    """A kernel in `cwd`, with the environment of the test."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=cwd)
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
