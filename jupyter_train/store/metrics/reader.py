"""Reads a run's curves: all points, new points since a cursor, or a bounded number of buckets."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from jupyter_train.exceptions import DamagedError
from jupyter_train.store.metrics.blocks import (
    BYTES_PER_POINT,
    Bucket,
    Point,
    is_intact,
    unpack_points,
)
from jupyter_train.store.metrics.downsampling import Downsampler, points_from
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
        return points_from(self._blobs, name, start)

    def last(self) -> dict[str, float]:
        """The newest value of every visible series."""
        newest = {name: self.points(name, count - 1) for name, count in self.counts().items() if count}
        return {name: points[-1].value for name, points in newest.items() if points}

    def since(self, cursor: Mapping[str, int]) -> dict[str, list[Point]]:
        """New points by series, for a reader that has seen `cursor[name]` of each."""
        new_counts = {name: count for name, count in self.counts().items() if count > cursor.get(name, 0)}
        return {name: self.points(name, cursor.get(name, 0)) for name in new_counts}

    def picture(self, name: str, most: int) -> list[Bucket]:
        """The whole series as at most `most` buckets; see `Downsampler.picture`."""
        return Downsampler(self._blobs).picture(name, self.counts().get(name, 0), most)

    def window(self, name: str, first_step: int, last_step: int, most: int) -> list[Bucket]:
        """The steps from `first_step` to `last_step` as at most `most` buckets; see `Downsampler.window`."""
        return Downsampler(self._blobs).window(name, self.counts().get(name, 0), first_step, last_step, most)

    def _blobs(self, name: str, level: int, first: int, last: int) -> Iterator[bytes]:
        with self._damage_errors():
            yield from () if self._is_empty else self._verified.of(name, level, first, last)
