"""Packs points and min/max buckets into blobs, and builds the pyramid of buckets.

Level 0 holds every point. A bucket of level `k` covers `RADIX ** k` consecutive points, so a curve of
any length can be opened by reading a few thousand entries. Only the standard library is used: the server
extension reads this without numpy or torch.
"""

from __future__ import annotations

import math
import struct
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

RADIX = 16
POINTS_PER_BLOCK = 256
BUCKETS_PER_BLOCK = 128

_POINT_CODES = "qddd"  # step, epoch, value, unix time in seconds
_BUCKET_CODES = "qqdddqdqdq"
BYTES_PER_POINT = 8 * len(_POINT_CODES)
#: Follows the columns of a blob: a magic number and the CRC-32 of the columns. It is shorter than a row, so that
#: releases without checksums count the same rows and read the same columns; their own blobs lack it.
_CHECKSUM = struct.Struct("<4sI")
_MAGIC = b"crc\x01"


class Point(NamedTuple):
    """One recorded value."""

    step: int
    epoch: float
    value: float
    time: float


class Bucket(NamedTuple):
    """The extremes of consecutive points; NaN when none of them is finite."""

    first_step: int
    last_step: int
    first_epoch: float
    last_epoch: float
    low: float
    low_step: int
    high: float
    high_step: int
    mean: float
    finite: int


def pack(rows: Sequence[Point] | Sequence[Bucket]) -> bytes:
    """Rows as one blob, column after column (little endian on every supported machine), and their checksum."""
    codes = _POINT_CODES if not rows or isinstance(rows[0], Point) else _BUCKET_CODES
    columns = zip(*rows, strict=True)
    content = b"".join(array(code, column).tobytes() for code, column in zip(codes, columns, strict=True))
    return content + _CHECKSUM.pack(_MAGIC, zlib.crc32(content))


def is_intact(blob: bytes, level: int, count: int) -> bool:
    """Whether a blob holds `count` rows and its checksum matches; without a checksum only the count is checked."""
    content = 8 * len(_POINT_CODES if level == 0 else _BUCKET_CODES) * count
    if len(blob) == content:
        return True
    if len(blob) != content + _CHECKSUM.size:
        return False
    return _CHECKSUM.unpack_from(blob, content) == (_MAGIC, zlib.crc32(memoryview(blob)[:content]))


def lost_points(count: int, step: int) -> list[Point]:
    """Placeholders of unreadable points: NaN values at time NaN."""
    return [Point(step, math.nan, math.nan, math.nan)] * count


def is_lost(point: Point) -> bool:
    """Whether a point is a placeholder of an unreadable one."""
    return math.isnan(point.time)


def unpack_points(blob: bytes) -> Iterator[Point]:
    """The points of a level-0 blob."""
    return map(Point._make, zip(*_columns(blob, _POINT_CODES), strict=True))


def unpack_buckets(blob: bytes) -> Iterator[Bucket]:
    """The buckets of a blob above level 0."""
    return map(Bucket._make, zip(*_columns(blob, _BUCKET_CODES), strict=True))


def point_columns(blobs: Iterable[bytes]) -> list[array[float]]:
    """Points of level-0 blobs as four columns: steps, epochs, values, times."""
    columns: list[array[float]] = [array(code) for code in _POINT_CODES]
    for blob in blobs:
        for whole, part in zip(columns, _columns(blob, _POINT_CODES), strict=True):
            whole.extend(part)
    return columns


def buckets_of_columns(columns: Sequence[array[float]], size: int) -> list[Bucket]:
    """One bucket per `size` consecutive points. Called four times a second: it makes no object per point."""
    steps, epochs, values, _ = columns
    buckets = []
    for first in range(0, len(values), size):
        part = values[first : first + size]
        last = first + len(part) - 1
        total = sum(part)
        if not math.isfinite(total):
            points = zip(*(column[first : last + 1] for column in columns), strict=True)
            buckets.append(bucket_of_points(list(map(Point._make, points))))
            continue
        low, high = min(part), max(part)
        buckets.append(
            Bucket(
                int(steps[first]),
                int(steps[last]),
                epochs[first],
                epochs[last],
                low,
                int(steps[first + part.index(low)]),
                high,
                int(steps[first + part.index(high)]),
                total / len(part),
                len(part),
            )
        )
    return buckets


def _columns(blob: bytes, codes: str) -> list[array[float]]:
    count = len(blob) // (8 * len(codes))
    columns = []
    for index, code in enumerate(codes):
        column: array[float] = array(code)
        column.frombytes(blob[8 * count * index : 8 * count * (index + 1)])
        columns.append(column)
    return columns


def bucket_of_points(points: Sequence[Point]) -> Bucket:
    """One bucket over points."""
    finite = [point for point in points if math.isfinite(point.value)]
    first, last = points[0], points[-1]
    if not finite:
        return Bucket(
            first.step,
            last.step,
            first.epoch,
            last.epoch,
            math.nan,
            first.step,
            math.nan,
            last.step,
            math.nan,
            0,
        )
    low = min(finite, key=lambda point: point.value)
    high = max(finite, key=lambda point: point.value)
    mean = _mean([(point.value, 1) for point in finite])
    return Bucket(
        first.step,
        last.step,
        first.epoch,
        last.epoch,
        low.value,
        low.step,
        high.value,
        high.step,
        mean,
        len(finite),
    )


def bucket_of_buckets(buckets: Sequence[Bucket]) -> Bucket:
    """One bucket over buckets."""
    finite = [bucket for bucket in buckets if bucket.finite]
    first, last = buckets[0], buckets[-1]
    if not finite:
        return first._replace(last_step=last.last_step, last_epoch=last.last_epoch)
    low = min(finite, key=lambda bucket: bucket.low)
    high = max(finite, key=lambda bucket: bucket.high)
    count = sum(bucket.finite for bucket in finite)
    mean = _mean([(bucket.mean, bucket.finite) for bucket in finite])
    return Bucket(
        first.first_step,
        last.last_step,
        first.first_epoch,
        last.last_epoch,
        low.low,
        low.low_step,
        high.high,
        high.high_step,
        mean,
        count,
    )


def _mean(weighted: Sequence[tuple[float, int]]) -> float:
    """The mean of (value, weight) pairs; their sum may overflow a float."""
    count = sum(weight for _, weight in weighted)
    try:
        mean = math.fsum(value * weight for value, weight in weighted) / count
    except OverflowError:
        mean = math.inf
    return mean if math.isfinite(mean) else math.fsum(value * (weight / count) for value, weight in weighted)


class Pyramid:
    """The unfinished end of one series: turns appended points into blocks to write.

    `dirty` maps (level, block number) to rows not yet committed; it is emptied by `committed()`, so a
    failed transaction loses nothing and writing again changes nothing.
    """

    def __init__(self) -> None:
        self.count = 0
        self.dirty: dict[tuple[int, int], list[Point] | list[Bucket]] = {}
        self._tail: list[Point] = []
        self._levels: list[_Level] = []
        self._open_points: list[Point] = []

    @classmethod
    def resume(cls, points: Sequence[Point], count: int, levels: Sequence[tuple[Sequence[Bucket], int]]) -> Pyramid:
        """The pyramid as it was after `count` points.

        Args:
            points: The rows of the last, partly filled level-0 block.
            count: Points stored.
            levels: For each level above 0, its last partly filled block and its number of buckets.
        """
        pyramid = cls()
        pyramid.count = count
        pyramid._tail = list(points)
        pyramid._open_points = list(points)[len(points) - count % RADIX :] if count % RADIX else []
        for buckets, total in levels:
            level = _Level(total, list(buckets))
            level.open = list(buckets)[len(buckets) - total % RADIX :] if total % RADIX else []
            pyramid._levels.append(level)
        return pyramid

    def append(self, point: Point) -> None:
        """Adds a point, and the buckets it completes."""
        number = self.count // POINTS_PER_BLOCK
        self._tail.append(point)
        self.dirty[0, number] = self._tail
        self.count += 1
        if self.count % POINTS_PER_BLOCK == 0:
            self._tail = []
        self._open_points.append(point)
        if len(self._open_points) == RADIX:
            self._complete(0, bucket_of_points(self._open_points))
            self._open_points = []

    def _complete(self, index: int, bucket: Bucket) -> None:
        if index == len(self._levels):
            self._levels.append(_Level(0, []))
        level = self._levels[index]
        self.dirty[index + 1, level.count // BUCKETS_PER_BLOCK] = level.tail
        level.tail.append(bucket)
        level.count += 1
        if level.count % BUCKETS_PER_BLOCK == 0:
            level.tail = []
        level.open.append(bucket)
        if len(level.open) == RADIX:
            self._complete(index + 1, bucket_of_buckets(level.open))
            level.open = []

    def committed(self) -> None:
        """Marks everything as on disk."""
        self.dirty = {}


class _Level:
    """The unfinished end of one level of buckets."""

    def __init__(self, count: int, tail: list[Bucket]) -> None:
        self.count = count
        self.tail = tail
        self.open: list[Bucket] = []
