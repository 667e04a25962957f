"""Blobs of a series: damaged ones are replaced and counted, overviews are rebuilt, everything keeps its place."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_train.store.metrics.appender import MetricAppender
from jupyter_train.store.metrics.blocks import (
    BUCKETS_PER_BLOCK,
    POINTS_PER_BLOCK,
    Point,
    is_lost,
    unpack_buckets,
    unpack_points,
)
from jupyter_train.store.metrics.file import open_for_reading
from jupyter_train.store.metrics.verified_blobs import VerifiedBlobs

COUNT = 5000
RECORDED = [Point(3 * step, step / 100, math.sin(step), 1e9 + step) for step in range(COUNT)]


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    appender = MetricAppender(tmp_path / "metrics.db")
    for point in RECORDED:
        appender.append("loss", point)
    appender.append("acc", Point(0, 0.0, 1.0, 1e9))
    appender.commit()
    appender.close()
    connection = sqlite3.connect(tmp_path / "metrics.db")
    yield connection
    connection.close()


def damage(connection: sqlite3.Connection, level: int, number: int) -> None:
    sql = "UPDATE blocks SET rows = zeroblob(10) WHERE series = 1 AND level = ? AND number = ?"
    with connection:
        assert connection.execute(sql, (level, number)).rowcount == 1


def points(blobs: VerifiedBlobs, first: int = 0, last: int = 99) -> list[Point]:
    return [point for blob in blobs.of("loss", 0, first, last) for point in unpack_points(blob)]


def test_sound_blobs_come_as_they_are_stored(connection: sqlite3.Connection) -> None:
    blobs = VerifiedBlobs(connection)
    assert points(blobs) == RECORDED
    assert points(blobs, 3, 3) == RECORDED[3 * POINTS_PER_BLOCK : 4 * POINTS_PER_BLOCK]
    assert points(blobs, 50, 60) == []
    assert list(blobs.of("nothing", 0, 0, 9)) == []
    assert (blobs.lost, blobs.rebuilt) == ({}, set())


def test_a_lost_block_is_replaced_at_the_step_before_it(connection: sqlite3.Connection) -> None:
    damage(connection, 0, 3)
    blobs = VerifiedBlobs(connection)
    shown = points(blobs)
    lost = [index for index, point in enumerate(shown) if is_lost(point)]
    assert lost == list(range(3 * POINTS_PER_BLOCK, 4 * POINTS_PER_BLOCK))
    assert {point.step for point in shown[lost[0] : lost[-1] + 1]} == {RECORDED[lost[0] - 1].step}
    assert shown[lost[-1] + 1 :] == RECORDED[lost[-1] + 1 :]
    assert blobs.lost == {"loss": POINTS_PER_BLOCK}
    assert [point.step for point in points(VerifiedBlobs(connection), 3, 3)] == [RECORDED[lost[0] - 1].step] * 256


def test_a_block_is_counted_once_however_often_it_is_read(connection: sqlite3.Connection) -> None:
    damage(connection, 0, 3)
    damage(connection, 0, COUNT // POINTS_PER_BLOCK)
    blobs = VerifiedBlobs(connection)
    for _ in range(3):
        points(blobs)
    assert blobs.lost == {"loss": POINTS_PER_BLOCK + COUNT % POINTS_PER_BLOCK}


@pytest.mark.parametrize(("level", "number"), [(1, 0), (1, 2), (2, 0)])
def test_an_overview_is_rebuilt_of_what_it_covers(connection: sqlite3.Connection, level: int, number: int) -> None:
    [whole] = VerifiedBlobs(connection).of("loss", level, number, number)
    damage(connection, level, number)
    blobs = VerifiedBlobs(connection)
    [rebuilt] = blobs.of("loss", level, number, number)
    assert list(unpack_buckets(rebuilt)) == list(unpack_buckets(whole))
    assert len(list(unpack_buckets(rebuilt))) <= BUCKETS_PER_BLOCK
    assert blobs.rebuilt == {("loss", level, number)}
    assert blobs.lost == {}


@pytest.mark.parametrize(
    ("count", "total"),
    [(COUNT, COUNT), (10**6, 5120), (-5, 5120), ("'x'", 5120), (2**61, 5120), (COUNT - 800, 5120), (44, 5120)],
)
def test_a_count_that_does_not_fit_the_blocks_is_not_believed(
    connection: sqlite3.Connection, count: object, total: int
) -> None:
    with connection:
        connection.execute(f"UPDATE series SET count = {count} WHERE name = 'loss'")
    assert VerifiedBlobs(connection).total("loss") == total
    assert VerifiedBlobs(connection).total("acc") == 1


def test_a_missing_last_block_leaves_the_count_right(connection: sqlite3.Connection) -> None:
    with connection:
        connection.execute("DELETE FROM blocks WHERE series = 1 AND level = 0 AND number >= 19")
    blobs = VerifiedBlobs(connection)
    assert blobs.total("loss") == COUNT
    assert len(points(blobs)) == COUNT
    assert blobs.lost == {"loss": COUNT - 19 * POINTS_PER_BLOCK}


def test_verifying_a_series_reads_every_level_and_may_be_ended(connection: sqlite3.Connection) -> None:
    for level, number in ((0, 7), (1, 1), (2, 0)):
        damage(connection, level, number)
    blobs = VerifiedBlobs(connection)
    checks: list[int] = []
    blobs.verify_series("loss", lambda: checks.append(1))
    assert blobs.lost == {"loss": POINTS_PER_BLOCK}
    assert {level for _, level, _ in blobs.rebuilt} == {1, 2}
    assert len(checks) >= 3

    def over() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        VerifiedBlobs(connection).verify_series("loss", over)


def test_a_reader_in_a_transaction_of_its_own_stays_in_it(connection: sqlite3.Connection, tmp_path: Path) -> None:
    reading = open_for_reading(tmp_path / "metrics.db")
    reading.execute("BEGIN")
    assert points(VerifiedBlobs(reading)) == RECORDED
    assert reading.in_transaction
    reading.execute("ROLLBACK")
    assert points(VerifiedBlobs(reading)) == RECORDED
    assert not reading.in_transaction
    reading.close()
