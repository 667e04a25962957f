"""Creates and opens the SQLite file of a run's curves."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

from jupyter_train.exceptions import FencedError
from jupyter_train.store.private_files import open_private, open_to_read

FORMAT = 1
#: The last bytes of a journal that names a super-journal (sqlite.org/fileformat2.html).
_SUPER_JOURNAL = bytes.fromhex("d9d505f920a163d7")

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
    value REAL, size INTEGER NOT NULL, sha256 TEXT NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 1, place TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS attempts (
    number INTEGER PRIMARY KEY, at REAL NOT NULL, step INTEGER NOT NULL, checkpoint TEXT NOT NULL, place TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS superseded (
    attempt INTEGER NOT NULL, series TEXT NOT NULL, number INTEGER NOT NULL, rows BLOB NOT NULL,
    PRIMARY KEY (attempt, series, number)
);
"""
#: Columns that files of earlier releases lack.
_ADDED_COLUMNS = {"checkpoints": {"attempt": "INTEGER NOT NULL DEFAULT 1", "place": "TEXT NOT NULL DEFAULT ''"}}


def create(path: Path) -> sqlite3.Connection:
    """Opens `path` for its single writer; creates it with its tables and mode 0600.

    Raises:
        sqlite3.Error: It cannot be read or written.
        OSError: It cannot be created.
    """
    os.close(open_private(path, os.O_CREAT | os.O_RDWR))
    _check_journal(path)
    connection = sqlite3.connect(path, timeout=5.0, check_same_thread=False, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode=PERSIST")  # keeps the journal file between transactions
        connection.execute("PRAGMA synchronous=FULL")
        connection.executescript(f"BEGIN IMMEDIATE;{_TABLES}")  # one transaction: one fsync
        _add_missing_columns(connection)
        connection.execute("INSERT OR IGNORE INTO meta VALUES ('format', ?)", (str(FORMAT),))
        connection.execute("COMMIT")
    except BaseException:
        connection.close()  # an open transaction would lock the file for every process, the next try too
        raise
    return connection


def _add_missing_columns(connection: sqlite3.Connection) -> None:
    for table, columns in _ADDED_COLUMNS.items():
        known = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
        for name, kind in columns.items():
            if name not in known:
                connection.execute(f"ALTER TABLE {table} ADD COLUMN {name} {kind}")


def check_attempt(connection: sqlite3.Connection, attempt: int) -> None:
    """Raises when a later attempt has begun; call it inside the transaction that writes.

    Raises:
        FencedError: It has.
    """
    row = connection.execute("SELECT value FROM meta WHERE name = 'attempt'").fetchone()
    if row is not None and int(row[0]) > attempt:
        raise FencedError(f"attempt {row[0]} of this run has begun elsewhere; attempt {attempt} records no more")


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Opens `path` for a reader.

    Read-write where possible: after a kill the journal must be rolled back, which a read-only
    connection cannot do. In a read-only folder the file is read without that.

    Raises:
        sqlite3.Error: It is missing or no database.
    """
    if not stat.S_ISREG(os.lstat(path).st_mode):
        raise sqlite3.OperationalError(f"`{path}` is no regular file but a link or a pipe")
    _check_journal(path)
    name = path.absolute().as_uri()
    mode = "rw" if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK) else "ro"
    connection = sqlite3.connect(f"{name}?mode={mode}", uri=True, timeout=5.0, check_same_thread=False)
    connection.text_factory = _text
    try:
        connection.execute("PRAGMA query_only=ON")
        if connection.execute("SELECT 1 FROM sqlite_master WHERE type IN ('view', 'trigger')").fetchone() is not None:
            raise sqlite3.DatabaseError("it holds views or triggers, which no run makes")
    except BaseException:
        connection.close()
        raise
    return connection


def _check_journal(path: Path) -> None:
    """Raises for a journal that names a super-journal: SQLite would delete that file when it rolls back.

    A run's curves never share a transaction with another database, so their own journal names none.

    Raises:
        sqlite3.OperationalError: It names one, or cannot be read.
    """
    try:
        with open_to_read(path.with_name(f"{path.name}-journal")) as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - len(_SUPER_JOURNAL)))
            names_super_journal = file.read() == _SUPER_JOURNAL
    except FileNotFoundError:
        return
    except OSError as err:
        raise sqlite3.OperationalError(f"its journal cannot be read ({err.strerror or err})") from err
    if names_super_journal:
        raise sqlite3.OperationalError("its journal names another file, which is not followed")


def has_tables(connection: sqlite3.Connection) -> bool:
    """Whether the file has its tables, which its writer creates in one transaction after the file."""
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'series'").fetchone() is not None


def _text(content: bytes) -> str:
    """Decodes text, damaged bytes replaced: a damaged name still is a name."""
    return content.decode("utf-8", "replace")
