"""What a sampler depends on is found in its code: attributes it assigns or reads, containers it changes, globals."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from torch.utils.data import Sampler

from jupyter_train.training.data.sampler_inspection import (
    attributes_assigned_in_pass,
    attributes_read_in_pass,
    describe_hidden_state,
    mutates_containers,
)

WEIGHTS = [1, 2, 3]


class Quiet(Sampler):
    def __init__(self) -> None:
        self.count = 3

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.count))


class Counts(Quiet):
    def __iter__(self) -> Iterator[int]:
        self._step()
        return super().__iter__()

    def _step(self) -> None:
        self.passes = self.count


class Shuffles(Quiet):
    def __iter__(self) -> Iterator[int]:
        self.count.sort()
        return iter([])


class ReadsGlobal(Quiet):
    def __iter__(self) -> Iterator[int]:
        return iter(WEIGHTS)


class Changes(Quiet):
    def exchange(self, count: int) -> None:
        self.count = count


def test_attributes_are_found_through_methods_and_bases() -> None:
    assert attributes_assigned_in_pass(Counts) == {"passes"}
    assert {"count", "_step"} <= attributes_read_in_pass(Counts)
    assert attributes_assigned_in_pass(Quiet) == set()


def test_containers_that_are_changed_in_place_are_found() -> None:
    assert mutates_containers(Shuffles)
    assert not mutates_containers(Counts)


@pytest.mark.parametrize(
    ("sampler", "lines"),
    [
        (Quiet(), []),
        (ReadsGlobal(), ["`ReadsGlobal` reads `WEIGHTS`, which may change, while it is iterated"]),
        (Changes(), ["`Changes` can be changed in the middle of an epoch (`exchange`)"]),
    ],
)
def test_state_that_a_second_pass_may_miss_is_described(sampler, lines: list[str]) -> None:
    assert describe_hidden_state(sampler) == lines
