"""Rows on their way to the appender: in order, checked for NaN and against earlier attempts, none lost."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_train.events import Verdict
from jupyter_train.store import MetricReader
from jupyter_train.store.metrics.appender import MetricAppender
from jupyter_train.store.metrics.blocks import Point
from jupyter_train.store.metrics.reader import WEIGHTS, HistoryPosition
from jupyter_train.store.non_finite import NonFinite
from jupyter_train.store.replay_check import ReplayCheck
from jupyter_train.store.row_queue import HistoryMarker, HistoryRestart, HistorySettled, Row, RowQueue


class Recording:
    """A queue, its appender, and what both reported."""

    def __init__(self, path: Path, replay_check: ReplayCheck | None = None) -> None:
        self.path = path
        self.said: list[str] = []
        self.non_finite = NonFinite(lambda _name, text, _step: self.said.append(text))
        self.appender = MetricAppender(path)
        self.queue = RowQueue(
            lambda values: [float(value) for value in values],
            lambda _step, text: self.said.append(text),
            self.non_finite,
            replay_check,
        )

    def add(self, step: int, **values: Any) -> None:
        self.queue.append(Row(step, step / 10, 1e9, list(values.items())))

    def points(self, name: str) -> list[tuple[int, float]]:
        self.queue.move_to(self.appender)
        self.appender.commit()
        with MetricReader(self.path) as reader:
            return [(point.step, point.value) for point in reader.points(name)]


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Recording]:
    recording = Recording(tmp_path / "metrics.db")
    yield recording
    recording.appender.close()


def test_rows_arrive_in_order_and_once(recording: Recording) -> None:
    for step in range(3):
        recording.add(step, loss=step, acc=-step)
    assert recording.points("loss") == [(0, 0.0), (1, 1.0), (2, 2.0)]
    recording.add(3, loss=3)
    assert recording.points("loss")[2:] == [(2, 2.0), (3, 3.0)]
    assert recording.points("acc") == [(0, 0.0), (1, -1.0), (2, -2.0)]
    assert recording.queue.last == {"loss": 3.0, "acc": -2.0}


def test_a_value_that_cannot_be_read_leaves_the_others_where_they_belong(recording: Recording) -> None:
    recording.add(0, loss="x", acc=1)
    recording.add(1, loss=2, acc=3)
    assert recording.points("loss") == [(1, 2.0)]
    assert recording.points("acc") == [(0, 1.0), (1, 3.0)]
    assert recording.said == [
        "`loss` of step 0 is not recorded: it cannot be read (could not convert string to float: 'x')"
    ]


def test_what_is_not_finite_is_recorded_and_said_until_it_is_finite_again(recording: Recording) -> None:
    for step, value in enumerate([1.0, math.nan, math.nan, 2.0, math.inf]):
        recording.add(step, train_loss=value)
    assert [step for step, _ in recording.points("train_loss")] == [0, 1, 2, 3, 4]
    assert recording.said == ["train_loss became NaN at step 1"]
    assert recording.non_finite.ended_with == "inf"
    assert recording.queue.last == {"train_loss": math.inf}


def test_hashes_of_the_weights_are_no_metric(recording: Recording) -> None:
    recording.queue.append(Row(0, 0.0, 1e9, [(WEIGHTS, math.nan)]))
    assert len(recording.points(WEIGHTS)) == 1
    assert (recording.queue.last, recording.said) == ({}, [])


def test_a_marker_is_placed_between_two_rows(recording: Recording) -> None:
    early, late = HistoryMarker(), HistoryMarker()
    recording.add(0, loss=0)
    recording.queue.append(early)
    recording.add(1, loss=1, acc=1)
    recording.queue.append(late)
    assert early.position is None
    recording.points("loss")
    assert early.position == HistoryPosition({"loss": 1, "acc": 0}, 0)
    assert late.position == HistoryPosition({"loss": 2, "acc": 1}, 0)


def test_a_restart_forgets_the_rows_before_it(recording: Recording) -> None:
    recording.add(0, loss=7, acc=7)
    recording.points("loss")
    recording.add(1, loss=8)
    recording.queue.append(HistoryRestart())
    recording.add(0, loss=9)
    assert recording.points("loss") == [(0, 9.0)]
    assert recording.points("acc") == []


def test_cleared_rows_are_not_recorded(recording: Recording) -> None:
    recording.add(0, loss=1)
    recording.queue.clear()
    assert recording.points("loss") == []


def test_rows_wait_while_the_file_cannot_be_read(recording: Recording) -> None:
    recording.path.write_bytes(b"no database at all" * 500)
    for step in range(3):
        recording.add(step, loss=step)
    for _ in range(2):
        with pytest.raises(sqlite3.DatabaseError):
            recording.queue.move_to(recording.appender)
    recording.path.unlink()
    assert recording.points("loss") == [(0, 0.0), (1, 1.0), (2, 2.0)]


def test_a_name_is_made_storable(recording: Recording) -> None:
    recording.queue.append(Row(0, 0.0, 1e9, [("a\0b", 1.0)]))
    assert recording.points(r"a\x00b") == [(0, 1.0)]


def test_values_are_compared_with_those_of_an_earlier_attempt(tmp_path: Path) -> None:
    check = ReplayCheck(2, 5, {"loss": [Point(5, 0.5, 1.0, 1e9), Point(6, 0.6, 2.0, 1e9)]})
    check.say_evidence(frozenset({"loss"}))
    recording = Recording(tmp_path / "metrics.db", check)
    recording.add(5, loss=1.0)
    recording.points("loss")
    assert check.verdict is Verdict.EXACT_SO_FAR
    recording.queue.append(HistorySettled(None))
    recording.points("loss")
    assert check.message == "not verified: `loss` of step 6 was recorded before and did not come again"
    recording.appender.close()
