"""Reads a run's curves: all points, new points since a cursor, or a bounded number of buckets."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from jupyter_train.exceptions import DamagedError
from jupyter_train.store.metrics.blocks import (
    BUCKETS_PER_BLOCK,
    BYTES_PER_POINT,
    POINTS_PER_BLOCK,
    RADIX,
    Bucket,
    Point,
    bucket_of_buckets,
    bucket_of_points,
    buckets_of_columns,
    is_intact,
    is_lost,
    point_columns,
    unpack_buckets,
    unpack_points,
)
from jupyter_train.store.metrics.file import open_for_reading
from jupyter_train.store.metrics.verified_blobs import VerifiedBlobs
from jupyter_train.store.private_files import stays_inside
from jupyter_train.store.readable_rows import parse_json
from jupyter_train.store.value_checks import FILE_DAMAGE, is_sound, printable

#: Suffix of the series that holds another one's standard deviation.
SPREAD = "/std"
#: The hidden series of hashes of the weights, by which a resumed run is verified. In place of the epoch its points have
#: the number of batches so far, plus one half at an epoch's end.
WEIGHTS = "jupyter_train/weights"
#: Larger than any block number.
_NO_LIMIT = 1 << 40
_Row = TypeVar("_Row", bound=tuple[Any, ...])


class Medium(NamedTuple):
    """An image, figure, table or folder logged by a run; `path` is relative to its folder."""

    id: int
    name: str
    step: int
    kind: str
    path: str
    size: int
    sha256: str
    caption: str


class Checkpoint(NamedTuple):
    """A checkpoint on disk; `path` is relative to the run folder, `place` is its `HistoryPosition` as text."""

    path: str
    kind: str
    step: int
    epoch: int
    value: float | None
    size: int
    sha256: str
    attempt: int = 1
    place: str = ""


class HistoryPosition(NamedTuple):
    """A position in a run's history: the number of points before it, by series, and of media."""

    points: dict[str, int]
    media: int

    def to_text(self) -> str:
        """The position as stored text."""
        return json.dumps({"points": self.points, "media": self.media})

    @classmethod
    def of_text(cls, text: str) -> HistoryPosition:
        """The position of a stored text; the beginning of the history for an empty text.

        Raises:
            DamagedError: The text is damaged.
        """
        try:
            stored = parse_json(text) if text else {}
            return cls(dict(stored.get("points", {})), int(stored.get("media", 0)))
        except (ValueError, TypeError, AttributeError) as err:
            raise DamagedError(f"a checkpoint's position in the history is damaged ({err})") from err


class Attempt(NamedTuple):
    """An attempt after the first: the checkpoint from which it resumed, and `place`, its `HistoryPosition` as text."""

    number: int
    at: float
    step: int
    checkpoint: str
    place: str


class MetricReader:
    """Reads `metrics.db`; a missing file reads as empty. Use as a context manager or call `close`.

    Damaged blocks are left out and listed by `damage`; where nothing can be read, every method raises
    `DamagedError`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unreadable: Counter[str] = Counter()
        with self._damage_errors():
            self._connection = open_for_reading(path) if path.exists() else sqlite3.connect(":memory:")
            self._verified = VerifiedBlobs(self._connection)
            self._is_empty = not path.exists() or not self._has("checkpoints")

    def _has(self, table: str) -> bool:
        return self._connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone() is not None

    @property
    def damage(self) -> list[str]:
        """Messages about what could not be read so far; empty when all could."""
        series = [f"{count:,} values of `{name}`" for name, count in self._verified.lost.items()]
        return series + [f"{count:,} {noun}" for noun, count in self._unreadable.items()]

    @contextlib.contextmanager
    def _damage_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, *FILE_DAMAGE) as err:
            reason = f"its curves in `{self._path}` cannot be read ({printable(err)}); `jupyter train doctor` says more"
            raise DamagedError(reason) from err

    def __enter__(self) -> MetricReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def _query(self, sql: str, *values: object) -> list[Any]:
        with self._damage_errors():
            return [] if self._is_empty else self._connection.execute(sql, values).fetchall()

    def _sound_rows(self, row_class: type[_Row], noun: str, rows: list[Any]) -> list[_Row]:
        """The rows whose values have their types; others are counted."""
        sound = [row_class(*row) for row in rows if is_sound(row_class, row)]
        if len(sound) < len(rows):
            self._unreadable[noun] = len(rows) - len(sound)
        return sound

    @contextlib.contextmanager
    def at_one_moment(self) -> Iterator[None]:
        """While entered, every read sees the same commit."""
        with self._damage_errors():
            self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("ROLLBACK")

    def counts(self) -> dict[str, int]:
        """Number of points by name of the visible series, in order of appearance."""
        names = [row[0] for row in self._query("SELECT name FROM series WHERE name != ? ORDER BY id", WEIGHTS)]
        with self._damage_errors():
            return {name: self._verified.total(name) for name in names if isinstance(name, str)}

    def meta(self, name: str) -> Any:
        """A JSON value that the writer has set, such as `progress`; None when missing or damaged."""
        rows = self._query("SELECT value FROM meta WHERE name = ?", name)
        try:
            return parse_json(rows[0][0]) if rows else None
        except (ValueError, TypeError):
            self._unreadable[f"text under `{name}`"] = 1
            return None

    def media(self) -> list[Medium]:
        """Logged images, figures, tables and folders, oldest first."""
        media = self._sound_rows(Medium, "media", self._query("SELECT * FROM media ORDER BY id"))
        return [medium for medium in media if stays_inside(medium.path)]

    def checkpoints(self) -> list[Checkpoint]:
        """Checkpoints on disk, oldest step first."""
        if self._is_empty:
            return []
        with self._damage_errors():
            columns = ", ".join(Checkpoint._fields if self._has("attempts") else Checkpoint._fields[:7])
        rows = self._query(f"SELECT {columns} FROM checkpoints ORDER BY step")
        return [
            checkpoint
            for checkpoint in self._sound_rows(Checkpoint, "checkpoints", rows)
            if stays_inside(checkpoint.path)
        ]

    def attempts(self) -> list[Attempt]:
        """The attempts after the first, oldest first."""
        with self._damage_errors():
            if self._is_empty or not self._has("attempts"):
                return []
        return self._sound_rows(Attempt, "attempts", self._query("SELECT * FROM attempts ORDER BY number"))

    def superseded(self, attempt: int) -> dict[str, list[Point]]:
        """Points by series that an attempt recorded after the checkpoint of a later one."""
        rows = self._query("SELECT series, rows FROM superseded WHERE attempt = ? ORDER BY series, number", attempt)
        superseded: dict[str, list[Point]] = {}
        for name, blob in rows:
            if isinstance(blob, bytes) and is_intact(blob, 0, len(blob) // BYTES_PER_POINT):
                superseded.setdefault(name, []).extend(unpack_points(blob))
            else:
                self._unreadable["blocks of an earlier attempt"] += 1
        return superseded

    def points(self, name: str, start: int = 0) -> list[Point]:
        """Points of a series from index `start` on; damaged ones are left out."""
        first = start // POINTS_PER_BLOCK
        rows = [point for blob in self._blobs(name, 0, first) for point in unpack_points(blob)]
        return [point for point in rows[start - first * POINTS_PER_BLOCK :] if not is_lost(point)]

    def last(self) -> dict[str, float]:
        """The newest value of every visible series."""
        newest = {name: self.points(name, count - 1) for name, count in self.counts().items() if count}
        return {name: points[-1].value for name, points in newest.items() if points}

    def since(self, cursor: Mapping[str, int]) -> dict[str, list[Point]]:
        """New points by series, for a reader that has seen `cursor[name]` of each."""
        new_counts = {name: count for name, count in self.counts().items() if count > cursor.get(name, 0)}
        return {name: self.points(name, cursor.get(name, 0)) for name in new_counts}

    def picture(self, name: str, most: int) -> list[Bucket]:
        """The whole series as at most `most` buckets of equal point count, the last one perhaps smaller.

        Reads at most `RADIX * most` entries per level, whatever the length of the run.
        """
        return self._buckets_between(name, 0, self.counts().get(name, 0), most)

    def window(self, name: str, first_step: int, last_step: int, most: int) -> list[Bucket]:
        """As `picture`, for the steps from `first_step` to `last_step` and the nearest point on either side."""
        total = self.counts().get(name, 0)
        start = max(0, self._points_before(name, first_step, total) - 1)
        return self._buckets_between(name, start, min(total, self._points_before(name, last_step + 1, total) + 1), most)

    def _buckets_between(self, name: str, start: int, end: int, most: int) -> list[Bucket]:
        """Buckets of the points `start` to `end`; where they are many, up to a bucket more at each end."""
        if end <= start:
            return []
        level = 0
        while (end - start) // RADIX ** (level + 1) >= most:
            level += 1
        if level == 0:
            first = start // POINTS_PER_BLOCK
            columns = point_columns(self._blobs(name, 0, first, (end - 1) // POINTS_PER_BLOCK))
            before = first * POINTS_PER_BLOCK
            columns = [column[start - before : end - before] for column in columns]
            return buckets_of_columns(columns, -(-(end - start) // most))
        size = RADIX**level
        buckets = self._buckets_and_tail(name, level, start // size, -(-end // size))
        group = -(-len(buckets) // most)
        if group == 1:
            return buckets
        return [bucket_of_buckets(buckets[i : i + group]) for i in range(0, len(buckets), group)]

    def _points_before(self, name: str, step: int, total: int) -> int:
        """Number of a series' points before a step; steps never decrease."""

        def first_of(number: int) -> int:
            return next(unpack_points(next(self._blobs(name, 0, number, number), b"")), Point(0, 0.0, 0.0, 0.0)).step

        blocks = range(-(-total // POINTS_PER_BLOCK))
        block = max(0, bisect_left(blocks, step, key=first_of) - 1)
        points = unpack_points(next(self._blobs(name, 0, block, block), b""))
        return block * POINTS_PER_BLOCK + bisect_left([point.step for point in points], step)

    def _buckets_and_tail(self, name: str, level: int, start: int, end: int) -> list[Bucket]:
        """The buckets of `level` from `start` to `end`, the last one built from points not in a complete bucket."""
        buckets = self._buckets_from(name, level, start, end)
        if len(buckets) == end - start:
            return buckets
        covered = (start + len(buckets)) * RADIX**level
        tail_buckets: list[Bucket] = []
        for lower in range(level - 1, 0, -1):
            size = RADIX**lower
            complete = self._buckets_from(name, lower, covered // size)
            tail_buckets += complete
            covered += len(complete) * size
        tail = self.points(name, covered)
        if tail:
            tail_buckets.append(bucket_of_points(tail))
        return buckets + ([bucket_of_buckets(tail_buckets)] if tail_buckets else [])

    def _buckets_from(self, name: str, level: int, start: int, end: int = _NO_LIMIT) -> list[Bucket]:
        first = start // BUCKETS_PER_BLOCK
        blobs = self._blobs(name, level, first, (end - 1) // BUCKETS_PER_BLOCK)
        rows = [bucket for blob in blobs for bucket in unpack_buckets(blob)]
        return rows[start - first * BUCKETS_PER_BLOCK : end - first * BUCKETS_PER_BLOCK]

    def _blobs(self, name: str, level: int, first: int, last: int = _NO_LIMIT) -> Iterator[bytes]:
        with self._damage_errors():
            yield from () if self._is_empty else self._verified.of(name, level, first, last)
