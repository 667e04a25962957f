"""The SQLite file of a run's curves: its tables and how it is opened."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from jupyter_train.exceptions import FencedError

FORMAT = 1

_TABLES = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS series (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, count INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS blocks (
    series INTEGER NOT NULL, level INTEGER NOT NULL, number INTEGER NOT NULL, count INTEGER NOT NULL,
    rows BLOB NOT NULL, PRIMARY KEY (series, level, number)
);
CREATE TABLE IF NOT EXISTS media (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, step INTEGER NOT NULL, kind TEXT NOT NULL, path TEXT NOT NULL,
    size INTEGER NOT NULL, sha256 TEXT NOT NULL, caption TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS checkpoints (
    path TEXT PRIMARY KEY, kind TEXT NOT NULL, step INTEGER NOT NULL, epoch INTEGER NOT NULL,
    value REAL, size INTEGER NOT NULL, sha256 TEXT NOT NULL
);
"""


def create(path: Path) -> sqlite3.Connection:
    """Opens `path` for its one writer, with its tables and mode 0600."""
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    connection = sqlite3.connect(path, timeout=5.0, check_same_thread=False, isolation_level=None)
    connection.execute("PRAGMA journal_mode=PERSIST")  # a rollback journal that is not deleted and made anew
    connection.execute("PRAGMA synchronous=FULL")
    connection.executescript(_TABLES)
    connection.execute("INSERT OR IGNORE INTO meta VALUES ('format', ?)", (str(FORMAT),))
    return connection


def check_attempt(connection: sqlite3.Connection, attempt: int) -> None:
    """Raises when a later attempt has begun; to be called inside the transaction that writes.

    Raises:
        FencedError: It has.
    """
    row = connection.execute("SELECT value FROM meta WHERE name = 'attempt'").fetchone()
    if row is not None and int(row[0]) > attempt:
        raise FencedError(f"attempt {row[0]} of this run has begun elsewhere; attempt {attempt} records no more")


def begin_attempt(path: Path, attempt: int) -> None:
    """Shuts out everybody who writes for an earlier attempt, from now on.

    Raises:
        FencedError: A later one has begun already.
        sqlite3.Error: The file cannot be written.
    """
    connection = create(path)
    try:
        connection.execute("BEGIN IMMEDIATE")
        check_attempt(connection, attempt)
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('attempt', ?)", (str(attempt),))
        connection.execute("COMMIT")
    finally:
        connection.close()


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Opens `path` for a reader.

    Read-write where possible: after a kill the journal must be rolled back, which a read-only
    connection cannot do. In a read-only folder the file is read as it is.

    Raises:
        sqlite3.Error: It is missing or no database.
    """
    name = path.absolute().as_uri()
    mode = "rw" if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK) else "ro"
    connection = sqlite3.connect(f"{name}?mode={mode}", uri=True, timeout=5.0, check_same_thread=False)
    connection.execute("PRAGMA query_only=ON")
    return connection
