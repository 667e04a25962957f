"""A picture of a series of any length reads a few entries of each level, and covers every point."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_train.store.metrics.appender import MetricAppender
from jupyter_train.store.metrics.blocks import BUCKETS_PER_BLOCK, POINTS_PER_BLOCK, RADIX, Point, lost_points, pack
from jupyter_train.store.metrics.downsampling import NO_LIMIT, Downsampler, points_from
from jupyter_train.store.metrics.file import open_for_reading
from jupyter_train.store.metrics.verified_blobs import VerifiedBlobs


class CountedBlobs:
    """The blobs of a recorded series, and how many entries of each level were read."""

    def __init__(self, path: Path) -> None:
        self._verified = VerifiedBlobs(open_for_reading(path))
        self.read: Counter[int] = Counter()

    def __call__(self, name: str, level: int, first: int, last: int) -> Iterator[bytes]:
        for blob in self._verified.of(name, level, first, last):
            self.read[level] += POINTS_PER_BLOCK if level == 0 else BUCKETS_PER_BLOCK
            yield blob


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Files of series of so many points, one at every second step."""
    paths = {count: tmp_path_factory.mktemp("curves") / "metrics.db" for count in (1, 5_000, 40_000)}
    for count, path in paths.items():
        appender = MetricAppender(path)
        for step in range(count):
            appender.append("loss", Point(2 * step, step / 100, math.sin(step), 1e9))
        appender.commit()
        appender.close()
    return paths


@pytest.mark.parametrize(("count", "most"), [(1, 8), (5_000, 8), (40_000, 8), (40_000, 100), (40_000, 40_000)])
def test_a_picture_covers_every_point_in_at_most_so_many_buckets(files, count: int, most: int) -> None:
    blobs = CountedBlobs(files[count])
    picture = Downsampler(blobs).picture("loss", count, most)
    assert len(picture) <= most
    assert sum(bucket.finite for bucket in picture) == count
    assert (picture[0].first_step, picture[-1].last_step) == (0, 2 * count - 2)
    for level, entries in blobs.read.items():
        block = POINTS_PER_BLOCK if level == 0 else BUCKETS_PER_BLOCK
        assert entries <= RADIX * most + 2 * block, level


def test_a_long_series_is_not_read_point_by_point(files) -> None:
    blobs = CountedBlobs(files[40_000])
    Downsampler(blobs).picture("loss", 40_000, 8)
    assert blobs.read[0] + blobs.read[1] < 1000


@pytest.mark.parametrize(
    ("first", "last", "steps"),
    [
        (20, 24, [18, 20, 22, 24, 26]),  # the nearest point on either side
        (21, 23, [20, 22, 24]),
        (0, 2, [0, 2, 4]),
        (9_996, 10**9, [9_994, 9_996, 9_998]),
        (10**6, 10**9, [9_998]),
    ],
)
def test_a_window_reaches_one_point_further_on_each_side(files, first: int, last: int, steps: list[int]) -> None:
    blobs = CountedBlobs(files[5_000])
    window = Downsampler(blobs).window("loss", 5_000, first, last, 400)
    assert [bucket.first_step for bucket in window] == steps
    assert all(bucket.finite == 1 for bucket in window)


def test_nothing_is_drawn_of_an_empty_series(files) -> None:
    blobs = CountedBlobs(files[1])
    assert Downsampler(blobs).picture("other", 0, 8) == []
    assert Downsampler(blobs).window("other", 0, 3, 9, 8) == []


@pytest.mark.parametrize("start", [0, 1, 255, 256, 257, 4_999, 5_000])
def test_points_from_an_index_on(files, start: int) -> None:
    blobs = CountedBlobs(files[5_000])
    assert [point.step for point in points_from(blobs, "loss", start)] == [2 * step for step in range(start, 5_000)]


def test_placeholders_of_damaged_points_are_left_out() -> None:
    point = Point(7, 0.0, 1.0, 1e9)
    blob = pack([*lost_points(2, 3), point])

    def blobs(_name: str, level: int, first: int, last: int) -> Iterator[bytes]:
        assert (level, last) == (0, NO_LIMIT)
        yield from [blob][first:]

    assert points_from(blobs, "loss", 0) == [point]
    assert points_from(blobs, "loss", 1) == [point]
