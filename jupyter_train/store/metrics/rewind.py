"""Begins another attempt: moves the points after its checkpoint from the curves to the superseded ones."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from jupyter_train.events import CheckpointKind
from jupyter_train.store.metrics import file
from jupyter_train.store.metrics.blocks import (
    BUCKETS_PER_BLOCK,
    POINTS_PER_BLOCK,
    RADIX,
    Bucket,
    Point,
    is_lost,
    pack,
    unpack_buckets,
    unpack_points,
)
from jupyter_train.store.metrics.reader import Checkpoint, HistoryPosition, MetricReader
from jupyter_train.store.metrics.verified_blobs import VerifiedBlobs


def begin_attempt(
    path: Path, attempt: int, checkpoint: Checkpoint | None = None, is_restart: bool = False
) -> list[str]:
    """Fences earlier attempts and rewinds the history to a checkpoint, in one transaction.

    Args:
        path: The run's `metrics.db`.
        attempt: The new attempt.
        checkpoint: The checkpoint from which it resumes; None leaves the history as it is.
        is_restart: Whether it begins at step 0 because no checkpoint can be used.

    Returns:
        Paths, in the run folder, of checkpoints whose rows were removed: their files can be deleted.

    Raises:
        FencedError: A later attempt has begun already.
        sqlite3.Error: The file cannot be written.
    """
    connection = file.create(path)
    try:
        connection.execute("BEGIN IMMEDIATE")
        file.check_attempt(connection, attempt)
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('attempt', ?)", (str(attempt),))
        withdrawn: list[str] = []
        if checkpoint is not None or is_restart:
            withdrawn = _rewind(connection, attempt, checkpoint)
        connection.execute("COMMIT")
        return withdrawn
    finally:
        connection.close()


def expected_of(path: Path, attempt: int) -> dict[str, list[Point]]:
    """Points by series that an attempt should reproduce bit for bit, from the newest attempt that has them."""
    expected: dict[str, list[Point]] = {}
    with MetricReader(path) as reader:
        for earlier in range(attempt - 1, 0, -1):
            for name, points in reader.superseded(earlier).items():
                points_so_far = expected.setdefault(name, [])
                last_step = points_so_far[-1].step if points_so_far else -1
                points_so_far += [point for point in points if point.step > last_step and not is_lost(point)]
    return expected


def _rewind(connection: sqlite3.Connection, attempt: int, checkpoint: Checkpoint | None) -> list[str]:
    position = HistoryPosition.of_text(checkpoint.place if checkpoint is not None else "")
    step, path = (checkpoint.step, checkpoint.path) if checkpoint is not None else (0, "")
    for series, name, count in connection.execute("SELECT id, name, count FROM series").fetchall():
        keep = position.points.get(name, 0)
        if count > keep:
            _store_superseded(connection, attempt - 1, name, _points(connection, name, keep, count))
            _truncate(connection, series, name, keep)
    connection.execute(
        "DELETE FROM media WHERE id NOT IN (SELECT id FROM media ORDER BY id LIMIT ?)", (position.media,)
    )
    values = (attempt, time.time(), step, path, position.to_text())
    connection.execute("INSERT INTO attempts VALUES (?,?,?,?,?)", values)
    withdrawn = []
    for other_path, kind, text in connection.execute("SELECT path, kind, place FROM checkpoints").fetchall():
        if other_path == path or not _is_after(HistoryPosition.of_text(text), position):
            continue
        if kind in (CheckpointKind.MANUAL, CheckpointKind.SUPERSEDED):
            connection.execute(
                "UPDATE checkpoints SET kind = ? WHERE path = ?", (CheckpointKind.SUPERSEDED, other_path)
            )
        else:
            connection.execute("DELETE FROM checkpoints WHERE path = ?", (other_path,))
            withdrawn.append(other_path)
    return withdrawn


def _is_after(position: HistoryPosition, other: HistoryPosition) -> bool:
    return any(count > other.points.get(name, 0) for name, count in position.points.items())


def _store_superseded(connection: sqlite3.Connection, attempt: int, name: str, points: Sequence[Point]) -> None:
    blocks = range(0, len(points), POINTS_PER_BLOCK)
    rows = [(attempt, name, n, pack(points[n : n + POINTS_PER_BLOCK])) for n in blocks]
    connection.executemany("INSERT OR REPLACE INTO superseded VALUES (?,?,?,?)", rows)


def _points(connection: sqlite3.Connection, name: str, start: int, end: int) -> list[Point]:
    first = start // POINTS_PER_BLOCK
    blobs = VerifiedBlobs(connection).of(name, 0, first, end // POINTS_PER_BLOCK)
    points = [point for blob in blobs for point in unpack_points(blob)]
    return points[start - first * POINTS_PER_BLOCK : end - first * POINTS_PER_BLOCK]


def _truncate(connection: sqlite3.Connection, series: int, name: str, keep: int) -> None:
    """Keeps the first `keep` points of a series, and the buckets that cover only those."""
    if keep == 0:
        connection.execute("DELETE FROM blocks WHERE series = ?", (series,))
        connection.execute("DELETE FROM series WHERE id = ?", (series,))
        return
    [highest] = connection.execute("SELECT max(level) FROM blocks WHERE series = ?", (series,)).fetchone()
    ends = [_end_of(connection, name, level, keep) for level in range(highest + 1)]  # before any block is deleted
    for level, (full_blocks, rows) in enumerate(ends):
        connection.execute(
            "DELETE FROM blocks WHERE series = ? AND level = ? AND number >= ?", (series, level, full_blocks)
        )
        if rows:
            values = (series, level, full_blocks, len(rows), pack(rows))
            connection.execute("INSERT INTO blocks VALUES (?,?,?,?,?)", values)
    connection.execute("UPDATE series SET count = ? WHERE id = ?", (keep, series))


def _end_of(
    connection: sqlite3.Connection, name: str, level: int, keep: int
) -> tuple[int, Sequence[Point] | Sequence[Bucket]]:
    """The end of the first `keep` points in a level: its number of full blocks, and the rows of a partial one."""
    rows_kept, size = (keep, POINTS_PER_BLOCK) if level == 0 else (keep // RADIX**level, BUCKETS_PER_BLOCK)
    full_blocks, partial = divmod(rows_kept, size)
    blob = next(VerifiedBlobs(connection).of(name, level, full_blocks, full_blocks), b"") if partial else b""
    if level == 0:
        return full_blocks, list(unpack_points(blob))[:partial]
    return full_blocks, list(unpack_buckets(blob))[:partial]
