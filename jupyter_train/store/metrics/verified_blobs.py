"""Reads the blobs of a series and replaces damaged ones."""

from __future__ import annotations

import contextlib
import sqlite3
import struct
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import TypeGuard

from jupyter_train.store.metrics.blocks import (
    BUCKETS_PER_BLOCK,
    BYTES_PER_POINT,
    POINTS_PER_BLOCK,
    RADIX,
    Bucket,
    bucket_of_buckets,
    bucket_of_points,
    is_intact,
    lost_points,
    pack,
    unpack_buckets,
    unpack_points,
)
from jupyter_train.store.value_checks import FILE_DAMAGE

_BLOCKS = (
    "SELECT number, rows FROM blocks WHERE series = (SELECT id FROM series WHERE name = ?) AND level = ? "
    "AND number BETWEEN ? AND ? ORDER BY number"
)
_NUMBERS = (
    "SELECT number FROM blocks WHERE series = (SELECT id FROM series WHERE name = ?) AND level = 0 "
    "AND number BETWEEN ? AND ?"
)
_COUNTED = "SELECT count(*) FROM blocks WHERE series = (SELECT id FROM series WHERE name = ?) AND level = 0"
#: A larger count is damaged: no series has so many points.
_MAX_POINTS = 1 << 32
_BLOCKS_AT_ONCE = 64


class VerifiedBlobs:
    """Blobs by level and number; damaged or missing ones are replaced and their points counted as lost.

    Lost points are replaced by placeholders, so that all others keep their indexes. Buckets are rebuilt from the points
    they cover.

    Args:
        connection: The file.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        #: Rebuilt blocks of buckets: series, level and number.
        self.rebuilt: set[tuple[str, int, int]] = set()
        self._lost: dict[tuple[str, int], int] = {}
        self._connection = connection

    @property
    def lost(self) -> Counter[str]:
        """Number of unreadable values by series, among the blobs read so far."""
        counts: Counter[str] = Counter()
        for (name, _), count in self._lost.items():
            counts[name] += count
        return counts

    def verify_series(self, name: str, check: Callable[[], object]) -> None:
        """Reads every blob of a series; `check` is called in between, and may raise."""
        total = self.total(name)
        level = 0
        while total // RADIX**level:
            for number in range(0, self._blocks(total, level), _BLOCKS_AT_ONCE):
                check()
                deque(self.of(name, level, number, number + _BLOCKS_AT_ONCE - 1), maxlen=0)
            level += 1

    def of(self, name: str, level: int, first: int, last: int) -> Iterator[bytes]:
        """The blobs of a series and level from number `first` to `last`, as far as there are any.

        Raises:
            sqlite3.Error: The list of series cannot be read.
        """
        with self._one_transaction():
            total = self.total(name)
            stored = self._stored_blobs(name, level, first, min(last, self._blocks(total, level) - 1))
        step: int | None = None
        for number in range(first, min(last + 1, self._blocks(total, level))):
            count = self._expected(total, level, number)
            blob = stored.get(number)
            if not isinstance(blob, bytes) or not is_intact(blob, level, count):
                if step is None:
                    step = self._step_before(name, number) if level == 0 else 0
                blob = self._replacement(name, level, number, count, step)
            if level == 0 and count:
                step = _last_step(blob)
            yield blob

    @contextlib.contextmanager
    def _one_transaction(self) -> Iterator[None]:
        if self._connection.in_transaction:
            yield
            return
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("ROLLBACK")

    def total(self, name: str) -> int:
        """Number of points of a series; where the stored count is damaged, as many as its blocks hold.

        Raises:
            sqlite3.Error: The list of series cannot be read.
        """
        row = self._connection.execute("SELECT count FROM series WHERE name = ?", (name,)).fetchone()
        total = row[0] if row is not None and isinstance(row[0], int) else 0
        with contextlib.suppress(*FILE_DAMAGE):
            if not self._is_consistent(name, total):
                [blocks] = self._connection.execute(_COUNTED, (name,)).fetchone()
                is_near = blocks - 2 < total / POINTS_PER_BLOCK <= blocks + 2  # blocks are missing, the count is right
                return max(0, int(total)) if is_near else int(blocks) * POINTS_PER_BLOCK
        return max(0, min(int(total), _MAX_POINTS))

    def _is_consistent(self, name: str, total: int) -> bool:
        """Whether the last of `total` points lies in the last block."""
        last = (total - 1) // POINTS_PER_BLOCK
        blocks = self._connection.execute(_NUMBERS, (name, last, last + 1)).fetchall()
        return bool(blocks == [(last,)] or (total == 0 and not blocks))

    @staticmethod
    def _blocks(total: int, level: int) -> int:
        size = POINTS_PER_BLOCK if level == 0 else BUCKETS_PER_BLOCK
        return -(-int(total // RADIX**level) // size)

    @staticmethod
    def _expected(total: int, level: int, number: int) -> int:
        size = POINTS_PER_BLOCK if level == 0 else BUCKETS_PER_BLOCK
        return max(0, min(size, int(total // RADIX**level) - number * size))

    def _stored_blobs(self, name: str, level: int, first: int, last: int) -> dict[int, object]:
        try:
            return dict(self._connection.execute(_BLOCKS, (name, level, first, last)))
        except FILE_DAMAGE:
            return dict(self._one_by_one(name, level, first, last))

    def _one_by_one(self, name: str, level: int, first: int, last: int) -> Iterator[tuple[int, object]]:
        """The blobs on pages that can be read."""
        for number in range(first, last + 1):
            with contextlib.suppress(*FILE_DAMAGE):
                yield from self._connection.execute(_BLOCKS, (name, level, number, number)).fetchall()

    def _step_before(self, name: str, number: int) -> int:
        """The last step of the nearest earlier block that can be read; 0 where there is none."""
        earlier = self._stored_blobs(name, 0, max(0, number - _BLOCKS_AT_ONCE), number - 1) if number else {}
        intact = (blob for _, blob in sorted(earlier.items(), reverse=True) if _is_whole(blob))
        return next(map(_last_step, intact), 0)

    def _replacement(self, name: str, level: int, number: int, count: int, step: int) -> bytes:
        if level == 0:
            self._lost[name, number] = count
            return pack(lost_points(count, step))
        self.rebuilt.add((name, level, number))
        start = number * BUCKETS_PER_BLOCK * RADIX
        return pack(list(self._rebuild_buckets(name, level, start, start + count * RADIX)))

    def _rebuild_buckets(self, name: str, level: int, start: int, end: int) -> Iterator[Bucket]:
        """Rebuilds buckets of a level from the entries `start` to `end` of the level below."""
        if level == 1:
            blobs = self.of(name, 0, start // POINTS_PER_BLOCK, (end - 1) // POINTS_PER_BLOCK)
            points = [point for blob in blobs for point in unpack_points(blob)][: end - start]
            yield from (bucket_of_points(points[at : at + RADIX]) for at in range(0, len(points), RADIX))
            return
        blobs = self.of(name, level - 1, start // BUCKETS_PER_BLOCK, (end - 1) // BUCKETS_PER_BLOCK)
        buckets = [bucket for blob in blobs for bucket in unpack_buckets(blob)][: end - start]
        yield from (bucket_of_buckets(buckets[at : at + RADIX]) for at in range(0, len(buckets), RADIX))


def _is_whole(blob: object) -> TypeGuard[bytes]:
    return isinstance(blob, bytes) and is_intact(blob, 0, POINTS_PER_BLOCK)


def _last_step(blob: bytes) -> int:
    [step] = struct.unpack_from("<q", blob, 8 * (len(blob) // BYTES_PER_POINT - 1))
    return int(step)
