"""A run's log: appended in batches, secrets masked, rotated so that it never takes more than two files."""

from __future__ import annotations

import os
import threading
from collections import deque

from jupyter_train.store.private_files import open_to_append
from jupyter_train.store.redaction import mask
from jupyter_train.store.run_folder import RunFolder
from jupyter_train.store.text_columns import storable


class LogFile:
    """Takes lines from any thread; `flush` writes them.

    Where lines come faster than they are written, the oldest waiting lines are dropped and the log says how many.
    A full file becomes `log-older.txt` and replaces the one before it: the newest lines are always there.
    """

    MAX_BYTES = 8 * 1024 * 1024
    MAX_WAITING = 1024 * 1024

    def __init__(self, folder: RunFolder) -> None:
        self._path = folder.log
        self._older = folder.older_log
        self._lines: deque[str] = deque()
        self._waiting = 0
        self._left_out = 0
        self._lock = threading.Lock()
        self._size = self._path.stat().st_size if self._path.exists() else 0

    def append(self, text: str) -> None:
        """Adds a line, or several."""
        text = text.rstrip("\n")[: self.MAX_WAITING]
        with self._lock:
            self._lines.append(text)
            self._waiting += len(text) + 1
            while self._waiting > self.MAX_WAITING and len(self._lines) > 1:
                self._waiting -= len(self._lines.popleft()) + 1
                self._left_out += 1

    def flush(self) -> None:
        """Writes the waiting lines.

        Raises:
            OSError: The file cannot be written; the lines keep waiting.
        """
        with self._lock:
            lines, left_out = list(self._lines), self._left_out
            self._lines.clear()
            self._waiting = self._left_out = 0
        if not lines:
            return
        head = f"… {left_out:,} lines left out\n" if left_out else ""
        content = (head + storable(mask("\n".join(lines))) + "\n").encode()
        try:
            self._write(content)
        except OSError:
            for line in reversed(lines):
                self._put_back(line)
            with self._lock:
                self._left_out += left_out
            raise

    def _write(self, content: bytes) -> None:
        if self._size and self._size + len(content) > self.MAX_BYTES:
            os.replace(self._path, self._older)
            self._size = 0
        with open_to_append(self._path) as file:
            file.write(content)
        self._size += len(content)

    def _put_back(self, line: str) -> None:
        with self._lock:
            self._lines.appendleft(line)
            self._waiting += len(line) + 1
