"""The owner's side of commands: looks for new ones and delivers answers, on the writer's thread."""

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

#: How often the table is asked although the flag in the run folder says nothing: for askers on other hosts.
_ASK_PERIOD_S = 2.0


class CommandChannel:
    """Commands in, answers and statuses out. `exchange` runs on the writer's thread; the rest only appends."""

    def __init__(self, store: Store, run: str, folder: RunFolder, attempt: int = 1) -> None:
        self.inbox: CommandQueue = LOCAL.open(run)
        self._store = store
        self._run = run
        self._attempt = attempt
        self._flag = folder.command_flag
        self._flag_at = 0.0
        self._due = 0.0
        self._outgoing: deque[Callable[[], None]] = deque()

    def answered(self, command: Command, given: Answer) -> None:
        """Says what became of a command."""
        self._outgoing.append(lambda: commands.answer(self._store, self._run, command, given))

    def set_status(self, status: RunStatus) -> None:
        """Says that the run is paused, or running again."""
        self._outgoing.append(lambda: self._store.set_status(self._run, status, self._attempt))

    def exchange(self) -> None:
        """Delivers what waits and takes new commands; raises what the store raises, and nothing is lost then."""
        while self._outgoing:
            self._outgoing[0]()
            self._outgoing.popleft()
        if self._may_have_mail():
            for command in commands.waiting(self._store, self._run):
                self.inbox.put(command)

    def _may_have_mail(self) -> bool:
        """A look at a file's time costs a microsecond, a query a thousand."""
        now = time.monotonic()
        try:
            changed_at = self._flag.stat().st_mtime
        except OSError:
            changed_at = 0.0
        if changed_at == self._flag_at and now < self._due:
            return False
        self._flag_at, self._due = changed_at, now + _ASK_PERIOD_S
        return True

    def close(self) -> None:
        """The fit has ended: commands that came too late are answered with that."""
        LOCAL.close(self._run)
        late = Answer(commands.REFUSED, "the fit had just ended", None)
        for command in self.inbox.take():
            self.answered(command, late)
        self._outgoing.append(lambda: commands.refuse_waiting(self._store, self._run, late))
