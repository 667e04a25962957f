"""While a worker's run has not begun: Stop, SIGTERM and Interrupt end it, even in the middle of an import."""

from __future__ import annotations

import logging
import os
import select
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from types import FrameType

import sqlalchemy as sa

from jupyter_train.config.commands import Command
from jupyter_train.exceptions import JupyterTrainError
from jupyter_train.run import RunRecord, RunStatus
from jupyter_train.store import RunWriter, Store, commands
from jupyter_train.store.commands import APPLIED, Answer
from jupyter_train.training.interrupt import WATCHED, InterruptWatch

_POLL_INTERVAL_S = 0.25
#: Nothing can be decided where the store does not answer; it is tried again.
_FAULTS = (JupyterTrainError, sa.exc.SQLAlchemyError, OSError)
_log = logging.getLogger(__name__)
#: So long the fit itself has to end well, once it is there; a process that waits for others cannot.
_GRACE_S = 1.0


class StartWatch:
    """A thread that ends this process, from when it knows its run until the first batch.

    A signal is heard at once: its number comes through a pipe, whatever the main thread does. The main thread makes it.

    Args:
        store: Where the run is recorded.
        record: Its row: QUEUED, or ended and about to be resumed.
    """

    def __init__(self, store: Store, record: RunRecord) -> None:
        self._store = store
        self._run = record.key
        self._seen = record
        self._writer: RunWriter | None = None
        self._is_writer_expected = False
        self._is_over = False
        self._requested_end = ""
        self._requested_at = 0.0
        self._code = 0
        self._lock = threading.Lock()
        self._reading, writing = os.pipe()
        os.set_blocking(writing, False)
        for number in WATCHED:
            signal.signal(number, self._on_signal)  # without one nothing would be written to the pipe
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        threading.Thread(target=self._loop, name="jupyter_train start", daemon=True).start()

    def expect_writer(self) -> None:
        """`follow` will be called: that the run is RUNNING by then does not end this watch."""
        self._is_writer_expected = True

    def follow(self, writer: RunWriter, interrupt: InterruptWatch) -> None:
        """The run is recorded by this process now; the first batch ends this watch."""
        self._writer = writer
        interrupt.on_begun = self.close

    def close(self) -> None:
        """The run has begun, or has ended: from now on commands reach the fit. In the main thread."""
        with self._lock:
            self._is_over = True
        signal.set_wakeup_fd(-1)  # processes forked from now on must not write to it

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        """The thread decides; once it is over, a signal does what it was sent for."""
        if self._is_over:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def _loop(self) -> None:
        while not self._is_over:
            if select.select([self._reading], [], [], _POLL_INTERVAL_S)[0]:
                self._hear(os.read(self._reading, 64))
            try:
                self._look()
            except _FAULTS:
                pass
            except Exception:  # noqa: BLE001  a thread that has ended would apply no command
                _log.exception("looking after the start of %s", self._run)

    def _hear(self, numbers: bytes) -> None:
        for number in set(numbers) & set(WATCHED):
            if self._writer is not None or self._is_own_handler():  # else an `InterruptWatch` has heard it too
                self._request_end("ended by SIGTERM" if number == signal.SIGTERM else "interrupted", 128 + number)

    def _request_end(self, what: str, code: int) -> None:
        if not self._requested_end:
            self._requested_end, self._requested_at, self._code = what, time.monotonic(), code

    def _look(self) -> None:
        now = self._store.get(self._run)
        if self._writer is not None:
            self._look_at_start(self._writer)
        elif (now.status, now.attempt) == (self._seen.status, self._seen.attempt):
            self._look_at_waiting()
        elif now.status.is_live and not self._is_writer_expected:
            self._pass_on()
        elif now.status is RunStatus.STOPPED or self._requested_end:  # while it waited; or it has failed already
            self._end(self._code)

    def _look_at_waiting(self) -> None:
        if not self._requested_end:
            return
        is_new, message = self._seen.status is RunStatus.QUEUED, f"{self._requested_end} before it began"
        if not is_new or commands.end_queued(self._store, self._run, message):
            self._end(self._code)

    def _pass_on(self) -> None:
        """Another `InterruptWatch` has the run now: it gets the signal that came just before."""
        if self._requested_end and not self._is_own_handler():
            os.kill(os.getpid(), self._code - 128)
        self._is_over = not self._is_own_handler()

    def _is_own_handler(self) -> bool:
        return getattr(signal.getsignal(signal.SIGTERM), "__self__", None) is self

    def _look_at_start(self, writer: RunWriter) -> None:
        waiting = [command for command in commands.waiting(self._store, self._run) if command.verb == "stop"]
        if waiting:
            self._request_end("stopped", 0)
        if self._requested_end and time.monotonic() - self._requested_at > _GRACE_S:
            self._end(self._code, partial(self._record_end, writer, waiting))

    def _record_end(self, writer: RunWriter, waiting: list[Command]) -> None:
        message = f"{self._requested_end} before its first batch"
        for command in waiting:
            commands.answer(self._store, self._run, command, Answer(APPLIED, message, 0))
        writer.close(RunStatus.STOPPED, message)

    def _end(self, code: int, record: Callable[[], None] = lambda: None) -> None:
        """Ends this process, unless its run has just begun; those that share the work leave with it."""
        with self._lock:
            if not self._is_over:
                record()
                os._exit(code)
