"""Optuna's journal file, written by one process: its own format, without its lock and its flush at every line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend, JournalFileBackend

from jupyter_train.store.private_files import open_to_append, open_to_read

#: `JournalOperation.SET_TRIAL_STATE_VALUES`: what must survive a loss of power is how a trial ended.
_ENDS = 6


class Journal(BaseJournalBackend):
    """The file, and its lines in memory.

    Only the process that owns the study writes. A line that a kill has torn is dropped when the file is opened.

    Args:
        path: The file; Optuna's own `JournalFileBackend` reads it.
    """

    def __init__(self, path: Path) -> None:
        whole = _whole_lines(path)
        self._lines: list[dict[str, Any]] = [json.loads(line) for line in whole.splitlines()]
        self._file = open_to_append(path, buffering=0)  # open as long as the study is
        self._file.truncate(len(whole))

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """See `BaseJournalBackend`."""
        return self._lines[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """See `BaseJournalBackend`."""
        encoded = [json.dumps(log, separators=(",", ":")) for log in logs]
        self._file.write("".join(line + "\n" for line in encoded).encode())
        self._lines += [json.loads(line) for line in encoded]
        if any(log["op_code"] == _ENDS for log in logs):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Lets go of the file."""
        self._file.close()


def reader(path: Path) -> JournalFileBackend:
    """Optuna's own, for those who only look."""
    return JournalFileBackend(str(path))


def _whole_lines(path: Path) -> bytes:
    if not path.exists():
        return b""
    with open_to_read(path) as file:
        content = file.read()
    return content[: content.rfind(b"\n") + 1]
