"""Stops a process where it holds no lock of the store: one that did would block every other process."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from pathlib import Path
from typing import Any

import psutil


def stop_between_transactions(process: int, *databases: Path | str) -> None:
    """SIGSTOP, tried until the process was caught outside a transaction."""
    for _ in range(500):
        os.kill(process, signal.SIGSTOP)
        _wait_until_stopped(process)
        if all(_is_free(path) for path in databases):
            return
        os.kill(process, signal.SIGCONT)
        time.sleep(0.01)
    raise AssertionError("the process is always inside a transaction")


def _wait_until_stopped(process: int) -> None:
    """The signal is sent before it is heeded: a thread on another processor continues for a moment."""
    while any(psutil.Process(thread.id).status() != psutil.STATUS_STOPPED for thread in _threads(process)):
        time.sleep(0.001)


def _threads(process: int) -> list[Any]:
    return psutil.Process(process).threads()


def _is_free(path: Path | str) -> bool:
    connection = sqlite3.connect(path, timeout=0.05, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()
    return True
