"""When checkpoints are due, on a clock of the test's own; and which are among the best."""

from __future__ import annotations

import math
import operator

import pytest

from jupyter_train.training.checkpoints.ranking import Ranking
from jupyter_train.training.checkpoints.schedule import Schedule


class Clock:
    """Continues on command."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def trained(hours: float, copying_s: float, writing_s: float, most_minutes: float = 5.0) -> list[float]:
    """Batches of 0.1 s; gives the training time at which each checkpoint was taken."""
    clock, taken = Clock(), []
    schedule = Schedule(most_minutes, clock)
    while clock.now < 1000.0 + hours * 3600:
        clock.now += 0.1
        if schedule.is_due:
            with schedule.measured(lambda: writing_s * (len(taken) + 1)):
                clock.now += copying_s
            taken.append(clock.now - 1000.0)
    return taken


@pytest.mark.parametrize(("copying_s", "writing_s"), [(0.001, 0.01), (0.05, 0.3), (0.2, 1.0)])
def test_checkpoints_take_at_most_a_hundredth_of_the_time(copying_s: float, writing_s: float) -> None:
    taken = trained(1.0, copying_s, writing_s)
    assert len(taken) * (copying_s + writing_s) <= 0.01 * 3600 + copying_s + writing_s
    assert max(later - earlier for earlier, later in zip(taken, taken[1:], strict=False)) <= 300.2 + copying_s


def test_cheap_checkpoints_are_not_taken_all_the_time() -> None:
    taken = trained(0.1, 0.0, 0.0)
    assert min(later - earlier for earlier, later in zip(taken, taken[1:], strict=False)) >= 2.0
    assert len(taken) > 160


def test_a_kill_costs_at_most_the_minutes_whatever_writing_costs() -> None:
    taken = trained(1.0, 20.0, 60.0)
    assert 10 <= len(taken) <= 12
    assert [round(moment) for moment in trained(0.05, 0.0, 0.0, most_minutes=0.01)][:3] == [1, 1, 2]


@pytest.mark.parametrize(("size", "first_s"), [(10_000, 2), (40_000_000, 20), (600_000_000, 300), (10**12, 300)])
def test_a_large_one_is_not_taken_before_its_share_of_time_has_passed(size: int, first_s: int) -> None:
    clock, asked = Clock(), []
    schedule = Schedule(5.0, clock)
    while not schedule.is_first_due(lambda: asked.append(size) or size):
        clock.now += 0.1
    assert clock.now - 1000.0 == pytest.approx(first_s, abs=0.2)
    assert asked == [size]


@pytest.mark.parametrize(("beats", "left"), [(operator.lt, ["c", "a"]), (operator.gt, ["d", "b"])])
def test_the_best_stay_and_the_older_of_equals(beats, left: list[str]) -> None:
    ranking = Ranking(2, beats)
    there: list[str] = []
    for value, path in [(0.5, "a"), (0.9, "b"), (0.4, "c"), (1.0, "d"), (0.9, "e"), (0.5, "f"), (math.nan, "g")]:
        if ranking.is_among_the_best(value):
            ranking.expect(value)
            there.append(path)
            for dropped in ranking.arrived(value, path):
                there.remove(dropped)
    assert sorted(there) == sorted(left)


def test_one_that_the_disk_refused_leaves_its_place() -> None:
    ranking = Ranking(1, operator.lt)
    ranking.expect(0.1)
    assert not ranking.is_among_the_best(0.2)
    ranking.failed(0.1)
    assert ranking.is_among_the_best(0.2)
