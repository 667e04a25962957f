"""Curves: every point kept, any length opened as a bounded picture, nothing lost by a failed commit.

The appender and the reader are tested together: each shows that the other is right.
"""

from __future__ import annotations

import math
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from jupyter_train.store.metrics.appender import MetricAppender
from jupyter_train.store.metrics.blocks import Point
from jupyter_train.store.metrics.reader import Checkpoint, Medium, MetricReader

LENGTHS = [1, 2, 15, 16, 17, 255, 256, 257, 2047, 2048, 2049, 4096, 5000, 33000]


def _filled(path: Path, count: int, commit_every: int = 997) -> MetricAppender:
    appender = MetricAppender(path)
    for step in range(count):
        appender.append("loss", Point(step, step / 100, math.sin(step) + step, step * 0.5))
        if step % commit_every == 0:
            appender.commit()
    appender.commit()
    return appender


@pytest.mark.parametrize("count", LENGTHS)
def test_every_point_comes_back(tmp_path: Path, count: int) -> None:
    _filled(tmp_path / "metrics.db", count).close()
    with MetricReader(tmp_path / "metrics.db") as reader:
        points = reader.points("loss")
    assert points == [Point(step, step / 100, math.sin(step) + step, step * 0.5) for step in range(count)]


@pytest.mark.parametrize("count", LENGTHS)
@pytest.mark.parametrize("most", [1, 8, 150])
def test_picture_is_bounded_and_covers_every_point(tmp_path: Path, count: int, most: int) -> None:
    _filled(tmp_path / "metrics.db", count).close()
    with MetricReader(tmp_path / "metrics.db") as reader:
        picture = reader.picture("loss", most)
    values = [math.sin(step) + step for step in range(count)]
    assert len(picture) <= most
    assert sum(bucket.finite for bucket in picture) == count
    assert (min(b.low for b in picture), max(b.high for b in picture)) == (min(values), max(values))
    assert (picture[0].first_step, picture[-1].last_step) == (0, count - 1)
    assert all(a.last_step < b.first_step for a, b in zip(picture, picture[1:], strict=False))
    mean = sum(bucket.mean * bucket.finite for bucket in picture) / count
    assert mean == pytest.approx(sum(values) / count)


@pytest.mark.parametrize("count", LENGTHS)
@pytest.mark.parametrize(("first", "last"), [(0, 0), (0, 99), (250, 261), (2040, 4100), (4000, 10**9), (10**6, 10**7)])
@pytest.mark.parametrize("most", [8, 400])
def test_a_window_is_bounded_and_covers_every_point_in_it(
    tmp_path: Path, count: int, first: int, last: int, most: int
) -> None:
    appender = MetricAppender(tmp_path / "metrics.db")
    for place in range(count):
        appender.append("loss", Point(3 * place, 0.0, math.sin(place), 0.0))  # every third step has a value
    appender.commit()
    with MetricReader(tmp_path / "metrics.db") as reader:
        window = reader.window("loss", first, last, most)
    inside = [place for place in range(count) if first <= 3 * place <= last]
    before, after = first - 1 >= 0, 3 * (count - 1) > last
    assert len(window) <= most + 2
    if inside:
        assert window[0].first_step <= (3 * inside[0] - 3 if before else 0)
        assert window[-1].last_step >= (3 * inside[-1] + 3 if after else 3 * inside[-1])
        assert min(bucket.low for bucket in window) <= min(math.sin(place) for place in inside)
        wide = sum(bucket.finite for bucket in window)
        assert len(inside) <= wide <= len(inside) + 2 * max(1, 16 * len(inside) // most) + 2
    if len(inside) <= most - 2:
        assert all(bucket.finite == 1 for bucket in window)


def test_nan_and_infinite_values_are_kept_and_left_out_of_extremes(tmp_path: Path) -> None:
    appender = MetricAppender(tmp_path / "metrics.db")
    for step, value in enumerate([1.0, math.nan, 3.0, math.inf, -math.inf]):
        appender.append("loss", Point(step, 0.0, value, 0.0))
    appender.commit()
    with MetricReader(tmp_path / "metrics.db") as reader:
        bucket = reader.picture("loss", 1)[0]
        assert [point.value for point in reader.points("loss")[3:]] == [math.inf, -math.inf]
    assert (bucket.low, bucket.high, bucket.finite) == (1.0, 3.0, 2)


@pytest.mark.parametrize("first", [1, 16, 255, 256, 300, 2048, 4099])
def test_another_attempt_continues_where_the_last_one_ended(tmp_path: Path, first: int) -> None:
    total = first + 3000
    _filled(tmp_path / "one.db", total).close()
    _filled(tmp_path / "two.db", first).close()
    again = MetricAppender(tmp_path / "two.db")
    for step in range(first, total):
        again.append("loss", Point(step, step / 100, math.sin(step) + step, step * 0.5))
    again.commit()
    with MetricReader(tmp_path / "one.db") as one, MetricReader(tmp_path / "two.db") as two:
        assert one.points("loss") == two.points("loss")
        assert one.picture("loss", 20) == two.picture("loss", 20)


def test_cursor_gives_only_what_is_new(tmp_path: Path) -> None:
    appender = _filled(tmp_path / "metrics.db", 300)
    with MetricReader(tmp_path / "metrics.db") as reader:
        assert reader.since({"loss": 300}) == {}
        appender.append("loss", Point(300, 3.0, 7.0, 0.0))
        appender.commit()
        assert reader.since({"loss": 300}) == {"loss": [Point(300, 3.0, 7.0, 0.0)]}


def test_a_failed_commit_loses_nothing_and_writes_nothing_twice(tmp_path: Path) -> None:
    path = tmp_path / "metrics.db"
    appender = _filled(path, 10)
    lock = sqlite3.connect(path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    appender._open().execute("PRAGMA busy_timeout=10")
    for step in range(10, 900):
        appender.append("loss", Point(step, 0.0, float(step), 0.0))
    for _ in range(3):
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            appender.commit()
    lock.execute("COMMIT")
    appender.commit()
    with MetricReader(path) as reader:
        assert [point.step for point in reader.points("loss")] == list(range(900))


def test_a_fault_anywhere_inside_the_transaction_loses_nothing_and_writes_nothing_twice(tmp_path: Path) -> None:
    """SQLite is interrupted after 1, 2, 4, … of its instructions, until a commit gets through."""
    path = tmp_path / "metrics.db"
    appender = _filled(path, 10)
    connection = appender._open()
    faults, instructions = 0, 1
    for step in range(10, 900):
        appender.append("loss", Point(step, 0.0, float(step), 0.0))
        appender.append("other", Point(step, 0.0, -float(step), 0.0))
    appender.add_checkpoint(Checkpoint("checkpoints/last.ckpt", "last", 5, 0.0, None, 7, "ab"))
    while appender.is_dirty:
        connection.set_progress_handler(lambda: 1, instructions)
        try:
            appender.commit()
        except sqlite3.OperationalError:
            faults, instructions = faults + 1, instructions * 2
    assert faults > 3
    with MetricReader(path) as reader:
        assert [point.step for point in reader.points("loss")] == list(range(900))
        assert [point.value for point in reader.points("other")] == [-float(step) for step in range(10, 900)]
        assert len(reader.checkpoints()) == 1


class Interrupted(BaseException):
    """What a second Interrupt raises, wherever the main thread is."""


def interrupted_at(count: int, work: Callable[[], None]) -> bool:
    """Does `work` and raises before one of the instructions of the appender's own code; False where none is left."""
    left = [count]

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        if not frame.f_code.co_filename.endswith("appender.py"):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            left[0] -= 1
            if left[0] == 0:
                raise Interrupted
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    except Interrupted:
        return True
    finally:
        sys.settrace(before)
    return False


def test_an_interrupt_anywhere_in_a_commit_loses_nothing_and_writes_nothing_twice(tmp_path: Path) -> None:
    path = tmp_path / "metrics.db"
    appender = _filled(path, 10)
    appender._open().execute("PRAGMA synchronous=OFF")
    step, is_interrupted = 10, True
    while is_interrupted:
        appender.append("loss", Point(step, 0.0, float(step), 0.0))
        appender.add_medium(Medium(0, "picture", step, "image", f"media/{step}.png", 1, "ab", ""))
        is_interrupted = interrupted_at(step - 9, appender.commit)
        if step % 2:
            appender._open().execute("BEGIN")  # a second one came while the first was answered
        appender.commit()
        step += 1
    assert step > 100
    with MetricReader(path) as reader:
        assert [point.step for point in reader.points("loss")] == list(range(step))
        assert [medium.step for medium in reader.media()] == list(range(10, step))


def test_a_missing_file_reads_as_empty(tmp_path: Path) -> None:
    with MetricReader(tmp_path / "none.db") as reader:
        assert (reader.counts(), reader.picture("loss", 5), reader.meta("progress")) == ({}, [], None)


def test_restarted_series_take_the_place_of_the_others_in_one_commit(tmp_path: Path) -> None:
    appender = _filled(tmp_path / "metrics.db", 5000)
    appender.append("acc", Point(1, 1.0, 0.5, 0.0))
    appender.commit()
    appender.restart_history()
    for step in range(300):
        appender.append("loss", Point(step, step / 100, -1.0, 0.0))
    with MetricReader(tmp_path / "metrics.db") as reader:
        assert reader.counts() == {"loss": 5000, "acc": 1}
    appender.commit()
    appender.append("loss", Point(300, 3.0, -1.0, 0.0))
    appender.commit()
    appender.close()
    with MetricReader(tmp_path / "metrics.db") as reader:
        assert reader.counts() == {"loss": 301}
        assert [point.step for point in reader.points("loss")] == list(range(301))
        assert sum(bucket.finite for bucket in reader.picture("loss", 8)) == 301
