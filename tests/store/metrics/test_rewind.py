"""A history that was taken back and recorded again equals an uninterrupted one: values, and every overview."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest

from jupyter_train.store import MetricReader
from jupyter_train.store.metrics.appender import MetricAppender
from jupyter_train.store.metrics.blocks import Point
from jupyter_train.store.metrics.reader import Checkpoint, HistoryPosition
from jupyter_train.store.metrics.rewind import begin_attempt


def record(path: Path, first: int, last: int, attempt: int) -> None:
    appender = MetricAppender(path, attempt)
    for step in range(first, last):
        appender.append("loss", Point(step, step / 100, math.sin(step), 1e9 + step))
    appender.commit()
    appender.close()


def at(step: int) -> Checkpoint:
    place = HistoryPosition({"loss": step}, 0).to_text()
    return Checkpoint("checkpoints/last.ckpt", "last", step, 0, None, 1, "0" * 64, 1, place)


DICE = random.Random(7)
ENDS = [
    (7000, 5000),
    (5000, 1000),
    (600, 1),
    *((total := DICE.randrange(2, 9000), DICE.randrange(total)) for _ in range(12)),
]


@pytest.mark.parametrize(("total", "keep"), ENDS)
def test_every_overview_is_that_of_an_unbroken_history(tmp_path: Path, total: int, keep: int) -> None:
    record(tmp_path / "whole.db", 0, total, 1)
    record(tmp_path / "broken.db", 0, total, 1)
    begin_attempt(tmp_path / "broken.db", 2, at(keep))
    record(tmp_path / "broken.db", keep, total, 2)
    with MetricReader(tmp_path / "whole.db") as whole, MetricReader(tmp_path / "broken.db") as broken:
        assert broken.points("loss") == whole.points("loss")
        for most in (8, 150, 2000):
            assert broken.picture("loss", most) == whole.picture("loss", most)
        assert broken.damage == []
