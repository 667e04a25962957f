"""Another attempt at a run: what was recorded after its checkpoint leaves the curves, and is kept beside them."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

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

#: A checkpoint that somebody asked for, of a history that was given up: its file is kept.
SUPERSEDED = "superseded"


def begin_attempt(path: Path, attempt: int, checkpoint: Checkpoint | None = None, is_anew: bool = False) -> list[str]:
    """Shuts out everybody who writes for an earlier attempt and takes the history back to a checkpoint, at once.

    Args:
        path: The run's `metrics.db`.
        attempt: The new attempt.
        checkpoint: Where it goes on; None leaves the history as it is.
        is_anew: It begins at step 0 instead: no checkpoint can be used.

    Returns:
        Checkpoints, as paths in the run folder, that nobody needs any more: their rows are gone already.

    Raises:
        FencedError: A later one has begun already.
        sqlite3.Error: The file cannot be written.
    """
    connection = file.create(path)
    try:
        connection.execute("BEGIN IMMEDIATE")
        file.check_attempt(connection, attempt)
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('attempt', ?)", (str(attempt),))
        withdrawn: list[str] = []
        if checkpoint is not None or is_anew:
            withdrawn = _take_back(connection, attempt, checkpoint)
        connection.execute("COMMIT")
        return withdrawn
    finally:
        connection.close()


def expected_of(path: Path, attempt: int) -> dict[str, list[Point]]:
    """Points by series that an attempt should give again, bit for bit: those of the newest that recorded them."""
    expected: dict[str, list[Point]] = {}
    with MetricReader(path) as reader:
        for earlier in range(attempt - 1, 0, -1):
            for name, points in reader.superseded(earlier).items():
                known = expected.setdefault(name, [])
                seen = known[-1].step if known else -1
                known += [point for point in points if point.step > seen and not is_lost(point)]
    return expected


def _take_back(connection: sqlite3.Connection, attempt: int, checkpoint: Checkpoint | None) -> list[str]:
    place = HistoryPosition.of_text(checkpoint.place if checkpoint is not None else "")
    step, path = (checkpoint.step, checkpoint.path) if checkpoint is not None else (0, "")
    for series, name, count in connection.execute("SELECT id, name, count FROM series").fetchall():
        keep = place.points.get(name, 0)
        if count > keep:
            _keep_aside(connection, attempt - 1, name, _points(connection, name, keep, count))
            _truncate(connection, series, name, keep)
    connection.execute("DELETE FROM media WHERE id NOT IN (SELECT id FROM media ORDER BY id LIMIT ?)", (place.media,))
    values = (attempt, time.time(), step, path, place.to_text())
    connection.execute("INSERT INTO attempts VALUES (?,?,?,?,?)", values)
    withdrawn = []
    for other, kind, text in connection.execute("SELECT path, kind, place FROM checkpoints").fetchall():
        if other == path or not _is_after(HistoryPosition.of_text(text), place):
            continue
        if kind in ("manual", SUPERSEDED):
            connection.execute("UPDATE checkpoints SET kind = ? WHERE path = ?", (SUPERSEDED, other))
        else:
            connection.execute("DELETE FROM checkpoints WHERE path = ?", (other,))
            withdrawn.append(other)
    return withdrawn


def _is_after(place: HistoryPosition, other: HistoryPosition) -> bool:
    return any(count > other.points.get(name, 0) for name, count in place.points.items())


def _keep_aside(connection: sqlite3.Connection, attempt: int, name: str, points: Sequence[Point]) -> None:
    blocks = range(0, len(points), POINTS_PER_BLOCK)
    rows = [(attempt, name, n, pack(points[n : n + POINTS_PER_BLOCK])) for n in blocks]
    connection.executemany("INSERT OR REPLACE INTO superseded VALUES (?,?,?,?)", rows)


def _points(connection: sqlite3.Connection, name: str, start: int, end: int) -> list[Point]:
    first = start // POINTS_PER_BLOCK
    blobs = VerifiedBlobs(connection).of(name, 0, first, end // POINTS_PER_BLOCK)
    found = [point for blob in blobs for point in unpack_points(blob)]
    return found[start - first * POINTS_PER_BLOCK : end - first * POINTS_PER_BLOCK]


def _truncate(connection: sqlite3.Connection, series: int, name: str, keep: int) -> None:
    """Leaves the first `keep` points of a series, and the buckets that cover nothing else."""
    if keep == 0:
        connection.execute("DELETE FROM blocks WHERE series = ?", (series,))
        connection.execute("DELETE FROM series WHERE id = ?", (series,))
        return
    [highest] = connection.execute("SELECT max(level) FROM blocks WHERE series = ?", (series,)).fetchone()
    ends = [_end_of(connection, name, level, keep) for level in range(highest + 1)]  # while all of it is still there
    for level, (whole, rows) in enumerate(ends):
        connection.execute("DELETE FROM blocks WHERE series = ? AND level = ? AND number >= ?", (series, level, whole))
        if rows:
            values = (series, level, whole, len(rows), pack(rows))
            connection.execute("INSERT INTO blocks VALUES (?,?,?,?,?)", values)
    connection.execute("UPDATE series SET count = ? WHERE id = ?", (keep, series))


def _end_of(
    connection: sqlite3.Connection, name: str, level: int, keep: int
) -> tuple[int, Sequence[Point] | Sequence[Bucket]]:
    """Where `keep` points end in a level: the number of its whole blocks, and the rows that one more begins with."""
    kept, size = (keep, POINTS_PER_BLOCK) if level == 0 else (keep // RADIX**level, BUCKETS_PER_BLOCK)
    whole, rest = divmod(kept, size)
    blob = next(VerifiedBlobs(connection).of(name, level, whole, whole), b"") if rest else b""
    if level == 0:
        return whole, list(unpack_points(blob))[:rest]
    return whole, list(unpack_buckets(blob))[:rest]
