"""Downsamples a series of any length to a bounded number of buckets, from the pyramid in its blobs."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator

from jupyter_train.store.metrics.blocks import (
    BUCKETS_PER_BLOCK,
    POINTS_PER_BLOCK,
    RADIX,
    Bucket,
    Point,
    bucket_of_buckets,
    bucket_of_points,
    buckets_of_columns,
    is_lost,
    point_columns,
    unpack_buckets,
    unpack_points,
)

#: Larger than any block number.
NO_LIMIT = 1 << 40
#: Yields the blobs of a series and level from one block number to another.
ReadBlobs = Callable[[str, int, int, int], Iterator[bytes]]


def points_from(blobs: ReadBlobs, name: str, start: int) -> list[Point]:
    """The points of a series from index `start` on, without placeholders of damaged ones."""
    first = start // POINTS_PER_BLOCK
    points = [point for blob in blobs(name, 0, first, NO_LIMIT) for point in unpack_points(blob)]
    return [point for point in points[start - first * POINTS_PER_BLOCK :] if not is_lost(point)]


class Downsampler:
    """Reads as few levels of the pyramid as a picture needs."""

    def __init__(self, blobs: ReadBlobs) -> None:
        self._blobs = blobs

    def picture(self, name: str, total: int, most: int) -> list[Bucket]:
        """The whole series as at most `most` buckets of equal point count, the last one perhaps smaller.

        `total` is its number of points. Reads at most `RADIX * most` entries per level, whatever the length of the run.
        """
        return self._buckets_between(name, 0, total, most)

    def window(self, name: str, total: int, first_step: int, last_step: int, most: int) -> list[Bucket]:
        """As `picture`, for the steps from `first_step` to `last_step` and the nearest point on either side."""
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
        tail = points_from(self._blobs, name, covered)
        if tail:
            tail_buckets.append(bucket_of_points(tail))
        return buckets + ([bucket_of_buckets(tail_buckets)] if tail_buckets else [])

    def _buckets_from(self, name: str, level: int, start: int, end: int = NO_LIMIT) -> list[Bucket]:
        first = start // BUCKETS_PER_BLOCK
        blobs = self._blobs(name, level, first, (end - 1) // BUCKETS_PER_BLOCK)
        rows = [bucket for blob in blobs for bucket in unpack_buckets(blob)]
        return rows[start - first * BUCKETS_PER_BLOCK : end - first * BUCKETS_PER_BLOCK]
