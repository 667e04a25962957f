"""The owner's end of the command table: polls for new commands and writes answers, on the writer's thread."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from jupyter_train.config.commands import Command
from jupyter_train.run import RunStatus
from jupyter_train.store import commands
from jupyter_train.store.command_queue import LOCAL, CommandQueue
from jupyter_train.store.commands import Answer
from jupyter_train.store.run_folder import RunFolder
from jupyter_train.store.runs import Store

#: How often the table is queried although the flag file has not changed: senders on other hosts cannot touch it.
_POLL_INTERVAL_S = 2.0


class CommandChannel:
    """Receives commands, sends answers and statuses. `exchange` runs on the writer's thread; the rest only appends."""

    def __init__(self, store: Store, run: str, folder: RunFolder, attempt: int = 1) -> None:
        self.inbox: CommandQueue = LOCAL.open(run)
        self._store = store
        self._run = run
        self._attempt = attempt
        self._flag = folder.command_flag
        self._flag_at = 0.0
        self._next_poll_at = 0.0
        self._outgoing: deque[Callable[[], None]] = deque()

    def answered(self, command: Command, answer: Answer) -> None:
        """Queues the answer to a command."""
        self._outgoing.append(lambda: commands.answer(self._store, self._run, command, answer))

    def set_status(self, status: RunStatus) -> None:
        """Queues a change of the run's status: PAUSED or RUNNING."""
        self._outgoing.append(lambda: self._store.set_status(self._run, status, self._attempt))

    def exchange(self) -> None:
        """Sends what is queued, then receives new commands; where the store raises, nothing is lost."""
        while self._outgoing:
            self._outgoing[0]()
            self._outgoing.popleft()
        if self._may_have_commands():
            for command in commands.waiting(self._store, self._run):
                self.inbox.put(command)

    def _may_have_commands(self) -> bool:
        """Whether to query the table: a file's mtime costs a microsecond, a query a millisecond."""
        now = time.monotonic()
        try:
            changed_at = self._flag.stat().st_mtime
        except OSError:
            changed_at = 0.0
        if changed_at == self._flag_at and now < self._next_poll_at:
            return False
        self._flag_at, self._next_poll_at = changed_at, now + _POLL_INTERVAL_S
        return True

    def close(self) -> None:
        """Refuses the commands that came after the fit had ended."""
        LOCAL.close(self._run)
        late = Answer(commands.REFUSED, "the fit had just ended", None)
        for command in self.inbox.take():
            self.answered(command, late)
        self._outgoing.append(lambda: commands.refuse_waiting(self._store, self._run, late))
