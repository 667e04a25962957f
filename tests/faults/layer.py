"""Fails the n-th call that makes something durable: a write, an fsync, a rename, an SQL statement, a commit."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import threading
from typing import Any

KINDS = {"EIO": errno.EIO, "ENOSPC": errno.ENOSPC}
#: Instead of an error: the process dies right before the call.
KILL = "kill"


class FaultLayer:
    """Counts durable calls of this process and fails one of them, or all from one on until so many have failed.

    Args:
        number: The call that fails, from 1; 0 for none.
        kind: `EIO`, `ENOSPC` or `kill`.
        length: How many calls fail in a row.
        under: Only files below this folder count.
    """

    def __init__(self, number: int, kind: str, length: int = 1, under: str = "") -> None:
        self.made: list[str] = []
        self.failed: list[str] = []
        self._range = range(number, number + length) if number else range(0)
        self._kind = kind
        self._under = under
        self._lock = threading.Lock()
        self._is_over = False

    @property
    def calls(self) -> int:
        """How many were made."""
        return len(self.made)

    def hit(self, what: str) -> OSError | None:
        """Counts a call; gives the error it shall raise."""
        with self._lock:
            if self._is_over:
                return None
            self.made.append(what)
            if self.calls not in self._range:
                return None
            self.failed.append(what)
        if self._kind == KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        number = KINDS[self._kind]
        return OSError(number, os.strerror(number))

    def rest(self) -> None:
        """No call counts or fails any more: what follows only looks at what there is."""
        with self._lock:
            self._is_over = True

    def install(self) -> None:
        """From now on, for the rest of this process."""
        for name in ("fsync", "replace", "open"):
            setattr(os, name, self._failing(name, getattr(os, name)))
        from jupyter_train.training.checkpoints import format

        theirs = format._HashingFile.write

        def write(file: Any, data: Any) -> int:
            if err := self.hit("write"):
                file.error = err
                raise err
            return theirs(file, data)

        format._HashingFile.write = write
        sqlite3.connect = sqlite3.dbapi2.connect = self._connect(sqlite3.connect)

    def _failing(self, name: str, theirs: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            is_reading = name == "open" and not arguments[1] & (os.O_WRONLY | os.O_RDWR)
            is_elsewhere = name != "fsync" and self._under not in str(arguments[0])
            if not is_reading and not is_elsewhere and (err := self.hit(name)):
                raise err
            return theirs(*arguments, **options)

        return call

    def _connect(self, theirs: Any) -> Any:
        layer = self

        class Cursor(sqlite3.Cursor):
            def execute(self, sql: str, *arguments: Any) -> Any:
                layer.check(sql)
                return super().execute(sql, *arguments)

            def executemany(self, sql: str, *arguments: Any) -> Any:
                layer.check(sql)
                return super().executemany(sql, *arguments)

        class Connection(sqlite3.Connection):
            def cursor(self, *_: Any) -> Any:
                return super().cursor(Cursor)

            def execute(self, *arguments: Any) -> Any:
                return self.cursor().execute(*arguments)

            def executemany(self, *arguments: Any) -> Any:
                return self.cursor().executemany(*arguments)

            def executescript(self, sql: str) -> Any:
                layer.check(sql)
                return super().executescript(sql)

        def connect(*arguments: Any, **options: Any) -> Any:
            return theirs(*arguments, factory=Connection, **options)

        return connect

    def check(self, sql: str) -> None:
        """Raises what SQLite would for a statement that must fail."""
        word = sql.lstrip().partition(" ")[0].upper()
        if word in ("SELECT", "PRAGMA", "ROLLBACK"):
            return
        if err := self.hit(f"SQL {word}"):
            full = err.errno == errno.ENOSPC
            raise sqlite3.OperationalError("database or disk is full" if full else "disk I/O error")
