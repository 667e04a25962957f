"""Queues of commands for the fits of this process. Imports no database library."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container

from jupyter_train.config.commands import Command


class CommandQueue:
    """Commands for one fit: from the control channel at once, from the store when the writer polls it.

    The training thread takes them at batch boundaries; testing an empty queue costs nothing.

    Attributes:
        on_put: Called with every command as it arrives, on the thread that puts it.
    """

    def __init__(self) -> None:
        self.waiting: deque[Command] = deque()
        self.on_put: Callable[[Command], None] = lambda _command: None
        self._seen: set[int] = set()

    def put(self, command: Command) -> None:
        """Adds a command; the same row of the store only once."""
        if command.row and command.row in self._seen:
            return
        self._seen.add(command.row)
        self.waiting.append(command)
        self.on_put(command)

    def __bool__(self) -> bool:
        return bool(self.waiting)

    def agree(self) -> None:
        """Called at the end of every batch; a DDP queue gives every rank the same commands."""

    def take(self, verbs: Container[str] | None = None) -> list[Command]:
        """Removes and returns waiting commands, oldest first: all, or those with the named verbs."""
        taken: list[Command] = []
        kept: list[Command] = []
        for command in [self.waiting.popleft() for _ in range(len(self.waiting))]:
            (taken if verbs is None or command.verb in verbs else kept).append(command)
        self.waiting.extendleft(reversed(kept))
        return taken


class LocalQueues:
    """The queues of this process's fits, by run key."""

    def __init__(self) -> None:
        self._by_run: dict[str, CommandQueue] = {}

    def open(self, run: str) -> CommandQueue:
        """The queue of a run whose fit begins."""
        return self._by_run.setdefault(run, CommandQueue())

    def close(self, run: str) -> None:
        """Forgets the queue of a run whose fit has ended."""
        self._by_run.pop(run, None)

    def of(self, run: str) -> CommandQueue | None:
        """The queue of a run; None when another process trains it, or it has ended."""
        return self._by_run.get(run)


#: The queues of this process: the control channel's thread puts commands, the training thread takes them.
LOCAL = LocalQueues()
