"""Commands on their way to the fits of this process. Needs no database library."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container

from jupyter_train.config.commands import Command


class CommandQueue:
    """Commands on their way to one fit: from the control channel at once, from the store when the writer looks.

    The training thread takes them out at batch boundaries; looking into an empty one costs nothing.

    Attributes:
        on_put: Told every command as it arrives, on whatever thread brings it.
    """

    def __init__(self) -> None:
        self.waiting: deque[Command] = deque()
        self.on_put: Callable[[Command], None] = lambda _command: None
        self._seen: set[int] = set()

    def put(self, command: Command) -> None:
        """Adds a command; a row of the store is taken once."""
        if command.row and command.row in self._seen:
            return
        self._seen.add(command.row)
        self.waiting.append(command)
        self.on_put(command)

    def __bool__(self) -> bool:
        return bool(self.waiting)

    def agree(self) -> None:
        """Called at the end of every batch: where several processes train together, all are given what came."""

    def take(self, verbs: Container[str] | None = None) -> list[Command]:
        """What waits, oldest first: all, or the named verbs; the others stay."""
        taken: list[Command] = []
        kept: list[Command] = []
        for command in [self.waiting.popleft() for _ in range(len(self.waiting))]:
            (taken if verbs is None or command.verb in verbs else kept).append(command)
        self.waiting.extendleft(reversed(kept))
        return taken


class LocalQueues:
    """The fits of this process, for commands that need no detour through a file."""

    def __init__(self) -> None:
        self._by_run: dict[str, CommandQueue] = {}

    def open(self, run: str) -> CommandQueue:
        """A fit of this run begins."""
        return self._by_run.setdefault(run, CommandQueue())

    def close(self, run: str) -> None:
        """It has ended."""
        self._by_run.pop(run, None)

    def of(self, run: str) -> CommandQueue | None:
        """The inbox of a fit in this process; None when the run is trained elsewhere or has ended."""
        return self._by_run.get(run)


#: This process's: the control channel's thread puts commands in, the training thread takes them out.
LOCAL = LocalQueues()
