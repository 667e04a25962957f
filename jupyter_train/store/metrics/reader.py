"""Reads a run's curves: all points, new points since a cursor, or a bounded picture of any length."""

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
from jupyter_train.store.readable_rows import parsed
from jupyter_train.store.value_checks import FILE_DAMAGE, is_sound, printable

#: What is added to a series' name for the one that says how far its values lie apart: a standard deviation.
SPREAD = "/std"
#: The series of hashes of the weights, by which a resumed run is verified; nobody is shown it. Where others have the
#: epoch its points have the number of batches so far, and half a one more at an epoch's end.
WEIGHTS = "jupyter_train/weights"
#: More than any series has of anything.
_ALL = 1 << 40
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
    """A checkpoint on disk; `path` is relative to the run folder, `place` says how much had been recorded before it."""

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
    """How much of a run's history lies before one moment: points by series, and media."""

    points: dict[str, int]
    media: int

    def to_text(self) -> str:
        """As it is stored."""
        return json.dumps({"points": self.points, "media": self.media})

    @classmethod
    def of_text(cls, text: str) -> HistoryPosition:
        """As it was stored; the very beginning for an empty text.

        Raises:
            DamagedError: It is not what was stored.
        """
        try:
            found = parsed(text) if text else {}
            return cls(dict(found.get("points", {})), int(found.get("media", 0)))
        except (ValueError, TypeError, AttributeError) as err:
            raise DamagedError(f"what a checkpoint says of the history before it is damaged ({err})") from err


class Attempt(NamedTuple):
    """One attempt at a run after the first: where it went on from, and how much of the history lies before it."""

    number: int
    at: float
    step: int
    checkpoint: str
    place: str


class MetricReader:
    """Reads `metrics.db`; a missing file reads as empty. Use as a context manager or call `close`.

    Blocks that are damaged are left out and `damage` says so; where nothing can be read, every method raises
    `DamagedError`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._left_out: Counter[str] = Counter()
        with self._said():
            self._connection = open_for_reading(path) if path.exists() else sqlite3.connect(":memory:")
            self._checked = VerifiedBlobs(self._connection)
            self._is_empty = not path.exists() or not self._has("checkpoints")

    def _has(self, table: str) -> bool:
        return self._connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone() is not None

    @property
    def damage(self) -> list[str]:
        """What could not be read so far, in words; empty when all could."""
        series = [f"{count:,} values of `{name}`" for name, count in self._checked.lost.items()]
        return series + [f"{count:,} {word}" for word, count in self._left_out.items()]

    @contextlib.contextmanager
    def _said(self) -> Iterator[None]:
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
        """Gives the file back."""
        self._connection.close()

    def _query(self, sql: str, *values: object) -> list[Any]:
        with self._said():
            return [] if self._is_empty else self._connection.execute(sql, values).fetchall()

    def _sound(self, made: type[_Row], word: str, rows: list[Any]) -> list[_Row]:
        """The rows whose fields are what they should be; others are counted."""
        sound = [made(*row) for row in rows if is_sound(made, row)]
        if len(sound) < len(rows):
            self._left_out[word] = len(rows) - len(sound)
        return sound

    @contextlib.contextmanager
    def at_one_moment(self) -> Iterator[None]:
        """Everything read inside comes from the same commit."""
        with self._said():
            self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("ROLLBACK")

    def counts(self) -> dict[str, int]:
        """Number of points by series name, in order of appearance; of those that are shown."""
        names = [row[0] for row in self._query("SELECT name FROM series WHERE name != ? ORDER BY id", WEIGHTS)]
        with self._said():
            return {name: self._checked.total(name) for name in names if isinstance(name, str)}

    def meta(self, name: str) -> Any:
        """A JSON value the writer keeps, such as `progress`; None when absent or damaged."""
        rows = self._query("SELECT value FROM meta WHERE name = ?", name)
        try:
            return parsed(rows[0][0]) if rows else None
        except (ValueError, TypeError):
            self._left_out[f"text under `{name}`"] = 1
            return None

    def media(self) -> list[Medium]:
        """Everything logged beside numbers, oldest first."""
        found = self._sound(Medium, "media", self._query("SELECT * FROM media ORDER BY id"))
        return [medium for medium in found if stays_inside(medium.path)]

    def checkpoints(self) -> list[Checkpoint]:
        """Checkpoints on disk, oldest step first."""
        if self._is_empty:
            return []
        with self._said():
            columns = ", ".join(Checkpoint._fields if self._has("attempts") else Checkpoint._fields[:7])
        rows = self._query(f"SELECT {columns} FROM checkpoints ORDER BY step")
        return [
            checkpoint for checkpoint in self._sound(Checkpoint, "checkpoints", rows) if stays_inside(checkpoint.path)
        ]

    def attempts(self) -> list[Attempt]:
        """Every attempt but the first, oldest first."""
        with self._said():
            if self._is_empty or not self._has("attempts"):
                return []
        return self._sound(Attempt, "attempts", self._query("SELECT * FROM attempts ORDER BY number"))

    def superseded(self, attempt: int) -> dict[str, list[Point]]:
        """Points by series that an attempt recorded and a later one, which began before them, did again."""
        rows = self._query("SELECT series, rows FROM superseded WHERE attempt = ? ORDER BY series, number", attempt)
        found: dict[str, list[Point]] = {}
        for name, blob in rows:
            if isinstance(blob, bytes) and is_intact(blob, 0, len(blob) // BYTES_PER_POINT):
                found.setdefault(name, []).extend(unpack_points(blob))
            else:
                self._left_out["blocks of an earlier attempt"] += 1
        return found

    def points(self, name: str, start: int = 0) -> list[Point]:
        """Points of a series from the `start`-th on; those that are damaged are left out."""
        first = start // POINTS_PER_BLOCK
        rows = [point for blob in self._blobs(name, 0, first) for point in unpack_points(blob)]
        return [point for point in rows[start - first * POINTS_PER_BLOCK :] if not is_lost(point)]

    def last(self) -> dict[str, float]:
        """The newest value of every series that is shown."""
        newest = {name: self.points(name, count - 1) for name, count in self.counts().items() if count}
        return {name: points[-1].value for name, points in newest.items() if points}

    def since(self, cursor: Mapping[str, int]) -> dict[str, list[Point]]:
        """New points by series, for a reader that has seen `cursor[name]` of each."""
        fresh = {name: count for name, count in self.counts().items() if count > cursor.get(name, 0)}
        return {name: self.points(name, cursor.get(name, 0)) for name in fresh}

    def picture(self, name: str, most: int) -> list[Bucket]:
        """The whole series as at most `most` buckets of equal point count, the last one perhaps smaller.

        Reads at most `RADIX * most` entries per level, whatever the length of the run.
        """
        return self._picture(name, 0, self.counts().get(name, 0), most)

    def window(self, name: str, first_step: int, last_step: int, most: int) -> list[Bucket]:
        """As `picture`, of the steps from `first_step` to `last_step` and the nearest point on either side."""
        total = self.counts().get(name, 0)
        start = max(0, self._points_before(name, first_step, total) - 1)
        return self._picture(name, start, min(total, self._points_before(name, last_step + 1, total) + 1), most)

    def _picture(self, name: str, start: int, end: int, most: int) -> list[Bucket]:
        """The points from the `start`-th to before the `end`-th; wider by less than a bucket where they are many."""
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
        """How many of a series' points are of an earlier step; steps never go back."""

        def first_of(number: int) -> int:
            return next(unpack_points(next(self._blobs(name, 0, number, number), b"")), Point(0, 0.0, 0.0, 0.0)).step

        blocks = range(-(-total // POINTS_PER_BLOCK))
        block = max(0, bisect_left(blocks, step, key=first_of) - 1)
        found = unpack_points(next(self._blobs(name, 0, block, block), b""))
        return block * POINTS_PER_BLOCK + bisect_left([point.step for point in found], step)

    def _buckets_and_tail(self, name: str, level: int, start: int, end: int) -> list[Bucket]:
        """The buckets of `level` from `start` to before `end`; the last for the points no complete one covers yet."""
        buckets = self._buckets_from(name, level, start, end)
        if len(buckets) == end - start:
            return buckets
        covered = (start + len(buckets)) * RADIX**level
        rest: list[Bucket] = []
        for lower in range(level - 1, 0, -1):
            size = RADIX**lower
            found = self._buckets_from(name, lower, covered // size)
            rest += found
            covered += len(found) * size
        tail = self.points(name, covered)
        if tail:
            rest.append(bucket_of_points(tail))
        return buckets + ([bucket_of_buckets(rest)] if rest else [])

    def _buckets_from(self, name: str, level: int, start: int, end: int = _ALL) -> list[Bucket]:
        first = start // BUCKETS_PER_BLOCK
        blobs = self._blobs(name, level, first, (end - 1) // BUCKETS_PER_BLOCK)
        rows = [bucket for blob in blobs for bucket in unpack_buckets(blob)]
        return rows[start - first * BUCKETS_PER_BLOCK : end - first * BUCKETS_PER_BLOCK]

    def _blobs(self, name: str, level: int, first: int, last: int = _ALL) -> Iterator[bytes]:
        with self._said():
            yield from () if self._is_empty else self._checked.of(name, level, first, last)
