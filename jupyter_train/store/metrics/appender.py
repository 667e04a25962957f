"""Writes a run's curves: appends points and commits blocks, buckets and progress in one transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jupyter_train.store.metrics import file
from jupyter_train.store.metrics.blocks import (
    BUCKETS_PER_BLOCK,
    POINTS_PER_BLOCK,
    RADIX,
    Point,
    Pyramid,
    pack,
    unpack_buckets,
    unpack_points,
)
from jupyter_train.store.metrics.reader import Checkpoint, HistoryPosition, Medium
from jupyter_train.store.metrics.verified_blobs import VerifiedBlobs

_ADD_CHECKPOINT = (
    "INSERT OR REPLACE INTO checkpoints (path, kind, step, epoch, value, size, sha256, attempt, place) "
    "VALUES (?,?,?,?,?,?,?,?,?)"
)


class MetricAppender:
    """Appends to `metrics.db`. `commit` is atomic; when it raises, nothing is lost and it can be called again.

    Args:
        path: The file; created if it is missing.
        attempt: The attempt of this process; once a later one begins, `commit` raises `FencedError`.
    """

    def __init__(self, path: Path, attempt: int = 1) -> None:
        self._path = path
        self._attempt = attempt
        self._connection: sqlite3.Connection | None = None
        self._pyramids: dict[str, Pyramid] = {}
        self._ids: dict[str, int] = {}
        self._meta: dict[str, Any] = {}
        self._statements: list[tuple[str, tuple[Any, ...]]] = []
        self._stored: dict[str, int] | None = None
        self._media = 0
        self._stored_media_count: int | None = None
        self._is_restart = False

    def restart_history(self) -> None:
        """Forgets every series; the next `commit` replaces them by those appended from now on."""
        self._pyramids, self._ids, self._stored = {}, {}, {}
        self._is_restart = True

    def prepare(self, names: Iterable[str]) -> None:
        """Loads the ends of these series, so that `append` does not read the file.

        Raises:
            sqlite3.Error: The file cannot be read.
        """
        self._stored_counts()
        self._stored_media()
        for name in names:
            if name not in self._pyramids:
                self._pyramids[name] = self._load_pyramid(name)

    def append(self, name: str, point: Point) -> None:
        """Adds a point to a series; on disk after the next `commit`."""
        if name not in self._pyramids:
            self.prepare([name])
        self._pyramids[name].append(point)

    def set_meta(self, name: str, value: object) -> None:
        """Sets the JSON value of a name; on disk after the next `commit`."""
        self._meta[name] = value

    def add_medium(self, medium: Medium) -> None:
        """Records a logged file (the database assigns its `id`)."""
        self._media += 1
        self._statements.append(
            (
                "INSERT INTO media (name, step, kind, path, size, sha256, caption) VALUES (?,?,?,?,?,?,?)",
                medium[1:],
            )
        )

    def add_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Announces a checkpoint that is complete on disk."""
        self._statements.append((_ADD_CHECKPOINT, tuple(checkpoint._replace(attempt=self._attempt))))

    def remove_checkpoint(self, path: str) -> None:
        """Withdraws a checkpoint, before its file is deleted."""
        self._statements.append(("DELETE FROM checkpoints WHERE path = ?", (path,)))

    def position(self) -> HistoryPosition:
        """The length of the history so far, committed or not."""
        points = {**self._stored_counts(), **{name: pyramid.count for name, pyramid in self._pyramids.items()}}
        return HistoryPosition(points, self._stored_media() + self._media)

    @property
    def is_dirty(self) -> bool:
        """True while there is something to commit."""
        return bool(self._is_restart or self._meta or self._statements or any(p.dirty for p in self._pyramids.values()))

    def commit(self) -> None:
        """Writes everything appended since the last commit, in one transaction.

        Raises:
            sqlite3.Error: The disk is full, the file locked or unwritable; the next call writes it.
            FencedError: A later attempt has begun; nothing was written, and nothing ever will be.
        """
        connection = self._open()
        is_begun = False
        try:
            if connection.in_transaction:  # an interrupt came while the last try was rolled back
                connection.execute("ROLLBACK")
            connection.execute("BEGIN IMMEDIATE")
            is_begun = True
            file.check_attempt(connection, self._attempt)
            self._write(connection)
            connection.execute("COMMIT")
            self._committed()
        except BaseException as err:
            if is_begun and not connection.in_transaction and not isinstance(err, sqlite3.Error):
                self._committed()  # an interrupt came when all was on disk
                raise
            self._ids = {}
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _committed(self) -> None:
        """Marks everything as committed; may be called twice."""
        for pyramid in self._pyramids.values():
            pyramid.committed()
        self._meta = {}
        self._statements = []
        self._is_restart = False

    def _write(self, connection: sqlite3.Connection) -> None:
        if self._is_restart:
            connection.execute("DELETE FROM blocks")
            connection.execute("DELETE FROM series")
        for name, pyramid in self._pyramids.items():
            if not pyramid.dirty:
                continue
            series = self._id_of(connection, name)
            connection.executemany(
                "INSERT OR REPLACE INTO blocks VALUES (?,?,?,?,?)",
                [(series, *position, len(rows), pack(rows)) for position, rows in pyramid.dirty.items()],
            )
            connection.execute("UPDATE series SET count = ? WHERE id = ?", (pyramid.count, series))
        connection.executemany(
            "INSERT OR REPLACE INTO meta VALUES (?,?)", [(k, json.dumps(v)) for k, v in self._meta.items()]
        )
        for sql, values in self._statements:
            connection.execute(sql, values)

    def close(self) -> None:
        """Closes the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = file.create(self._path)
        return self._connection

    def _id_of(self, connection: sqlite3.Connection, name: str) -> int:
        if name not in self._ids:
            connection.execute("INSERT OR IGNORE INTO series (name, count) VALUES (?, 0)", (name,))
            row = connection.execute("SELECT id FROM series WHERE name = ?", (name,)).fetchone()
            self._ids[name] = int(row[0])
        return self._ids[name]

    def _load_pyramid(self, name: str) -> Pyramid:
        """The pyramid of a stored series, to which another attempt appends."""
        count = self._stored_counts().get(name, 0)
        if count == 0:
            return Pyramid()
        points = list(unpack_points(self._tail(name, 0, count // POINTS_PER_BLOCK))) if count % POINTS_PER_BLOCK else []
        levels = []
        level = 1
        while total := count // RADIX**level:
            block, partial = divmod(total, BUCKETS_PER_BLOCK)
            levels.append((list(unpack_buckets(self._tail(name, level, block))) if partial else [], total))
            level += 1
        return Pyramid.resume(points, count, levels)

    def _tail(self, name: str, level: int, number: int) -> bytes:
        """A block that is not full yet, damaged rows replaced: they must not be written again as if they were right."""
        return next(VerifiedBlobs(self._open()).of(name, level, number, number), b"")

    def _stored_counts(self) -> dict[str, int]:
        """Points by series when this attempt began."""
        if self._stored is None:
            self._stored = dict(self._open().execute("SELECT name, count FROM series")) if self._path.exists() else {}
        return self._stored

    def _stored_media(self) -> int:
        if self._stored_media_count is None:
            rows = self._open().execute("SELECT count(*) FROM media") if self._path.exists() else [(0,)]
            self._stored_media_count = int(next(iter(rows))[0])
        return self._stored_media_count
