"""Compares a resumed run's values with those recorded before it was killed, bit for bit, and gives a verdict."""

from __future__ import annotations

import math
import struct
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from jupyter_train.events import Verdict
from jupyter_train.store.metrics.blocks import Point
from jupyter_train.store.metrics.reader import WEIGHTS
from jupyter_train.store.records import Event
from jupyter_train.store.text_columns import listed

#: A message lists at most so many names.
_MAX_NAMES = 4


class MissingValue(NamedTuple):
    """A value that an earlier attempt recorded and this one did not."""

    name: str
    step: int
    is_whole_series: bool = False


@dataclass
class AttemptDifferences:
    """Differences from the earlier attempts that decide which values are recorded.

    Attributes:
        strides: Every N with which this attempt recorded only each N-th step of a frequent series.
        ended_at: The step at which the run had ended by itself; None where it was interrupted.
        removed_callbacks: Callbacks that the earlier attempts had and this one has not.
    """

    strides: frozenset[int] = frozenset()
    ended_at: int | None = None
    removed_callbacks: frozenset[str] = frozenset()


def is_expected_absence(absence: MissingValue, changes: AttemptDifferences, last_step: int | None = None) -> bool:
    """Whether a known difference explains that a value is missing.

    Args:
        absence: The missing value.
        changes: The differences from the earlier attempts.
        last_step: The step at which the run has ended now; None while it trains.
    """
    return (
        absence.name == WEIGHTS  # recorded as time allows
        or any(absence.step % stride for stride in changes.strides)
        or (changes.ended_at is not None and absence.step >= changes.ended_at - 1)
        or (last_step is not None and absence.step >= last_step)
        or (absence.is_whole_series and bool(changes.removed_callbacks))
    )


@dataclass
class Comparison:
    """The result of the comparison so far.

    Attributes:
        total: Expected values, without hashes of the weights.
        left: Expected values and hashes not recorded yet.
        reached: The step of the newest compared value.
        compared: Number of compared values by series.
        different: The first step that differs, by series.
        missing: The first step that is missing, by series.
        evidence: Series that depend on the weights: their hashes and the returned loss.
    """

    total: int
    left: int
    reached: int
    compared: dict[str, int] = field(default_factory=dict)
    different: dict[str, int] = field(default_factory=dict)
    missing: dict[str, int] = field(default_factory=dict)
    evidence: frozenset[str] = frozenset({WEIGHTS})

    @property
    def values(self) -> int:
        """Number of compared values, without hashes of the weights."""
        return sum(count for name, count in self.compared.items() if name != WEIGHTS)


def verdict_of(comparison: Comparison) -> Verdict:
    """The verdict so far."""
    if comparison.different:
        return Verdict.DIVERGED
    if comparison.missing or not comparison.compared:
        return Verdict.NOT_VERIFIED
    if not comparison.evidence & comparison.compared.keys():
        return Verdict.NOT_VERIFIED_SO_FAR if comparison.left else Verdict.NOT_VERIFIED
    return Verdict.EXACT_SO_FAR if comparison.left else Verdict.EXACT


def verdict_message(comparison: Comparison) -> str:
    """The verdict and its reason, as one sentence."""
    verdict = verdict_of(comparison)
    if verdict is Verdict.DIVERGED:
        return f"diverged at step {min(comparison.different.values()):,}: {_differing_values(comparison.different)}"
    if verdict is Verdict.EXACT_SO_FAR:
        reason = f"{comparison.values:,} of {comparison.total:,} values, up to step {comparison.reached:,}"
    elif verdict is Verdict.EXACT:
        reason = _equal_values(comparison)
    else:
        reason = _lack_of_evidence(comparison)
    return f"{verdict}: {reason}"


def _differing_values(different: Mapping[str, int]) -> str:
    first = min(different, key=lambda name: different[name])
    differ = "differ" if len(different) > 1 or first == WEIGHTS else "differs"
    message = f"{_list_names(different)} {differ} from what was recorded before"
    return f"{message} (first {_display_name(first)})" if len(different) > 1 else message


def _equal_values(comparison: Comparison) -> str:
    values = "1 value" if comparison.values == 1 else f"{comparison.values:,} values"
    what = values if comparison.values else "the weights"
    are = "is" if comparison.values == 1 else "are"
    return f"{what} up to step {comparison.reached:,} {are} the same, bit for bit"


def _lack_of_evidence(comparison: Comparison) -> str:
    """Why nothing is verified: values did not come again, or what came says nothing about the weights."""
    if comparison.missing:
        return _missing_values(comparison.missing)
    if comparison.compared:
        says = "was compared, which says" if len(comparison.compared) == 1 else "were compared, which say"
        return f"only {_list_names(comparison.compared)} {says} nothing about the weights"
    if not comparison.total:
        return "nothing had been recorded after the checkpoint"
    ending = "has come again yet" if comparison.left else "came again"
    return f"nothing that had been recorded after the checkpoint {ending}"


def _missing_values(missing: Mapping[str, int]) -> str:
    listed = [f"{_display_name(name)} of step {step:,}" for name, step in list(missing.items())[:_MAX_NAMES]]
    more = f" and {len(missing) - _MAX_NAMES} more series" if len(missing) > _MAX_NAMES else ""
    were = "was" if len(missing) == 1 else "were"
    return f"{', '.join(listed)}{more} {were} recorded before and did not come again"


def _list_names(names: Mapping[str, int]) -> str:
    return listed([_display_name(name) for name in names], _MAX_NAMES)


def _display_name(name: str) -> str:
    return "the weights" if name == WEIGHTS else f"`{name}`"


class ReplayCheck:
    """Compares an attempt's points, as they are recorded, with those of the earlier attempts.

    Attributes:
        changes: Differences that may explain a missing value.
        remarks: What was known from the start to be inexact; part of a verdict that is not exact.

    Args:
        attempt: Its number.
        from_step: The step from which it resumed.
        expected: Points by series that earlier attempts recorded after that step, oldest first.
    """

    def __init__(self, attempt: int, from_step: int, expected: Mapping[str, Sequence[Point]]) -> None:
        self.attempt = attempt
        self.from_step = from_step
        self.changes = AttemptDifferences()
        self.remarks: list[str] = []
        self.is_new = False
        self.is_settled = False
        values = [point for name, points in expected.items() if name != WEIGHTS for point in points]
        self.to_step = max((point.step for point in values), default=from_step)
        self.to_epoch = max((point.epoch for point in values), default=0.0)
        self.weights_at = [point.epoch for point in expected.get(WEIGHTS, ())]
        self._expected = {name: deque(points) for name, points in expected.items() if points}
        self._seen: set[str] = set()
        self._is_reported = not self._expected
        self._comparison = Comparison(total=len(values), left=self._left(), reached=from_step)

    def say_evidence(self, names: frozenset[str]) -> None:
        """Sets the series that hold the loss returned by `training_step`; may be called from any thread."""
        self._comparison.evidence = names | {WEIGHTS}
        self.is_new = True

    def see(self, name: str, point: Point) -> None:
        """Compares a recorded point with the expected one."""
        expected = self._expected.get(name)
        if expected is None:
            return
        self.is_new = True
        self._seen.add(name)
        position = _position(name, point)
        while expected and _position(name, expected[0]) < position:
            self._count_missing(MissingValue(name, expected.popleft().step))
        if expected and _position(name, expected[0]) == position:
            self._compare(name, expected.popleft(), point)

    def _compare(self, name: str, before: Point, now: Point) -> None:
        if name == WEIGHTS and not (math.isfinite(before.value) and math.isfinite(now.value)):
            return  # they could not be hashed
        comparison = self._comparison
        comparison.compared[name] = comparison.compared.get(name, 0) + 1
        if name != WEIGHTS or not comparison.values:
            comparison.reached = max(comparison.reached, now.step)
        if _bytes(before.value) != _bytes(now.value):
            comparison.different.setdefault(name, now.step)

    def _count_missing(self, absence: MissingValue, last_step: int | None = None) -> None:
        if not is_expected_absence(absence, self.changes, last_step):
            self._comparison.missing.setdefault(absence.name, absence.step)

    def settle(self, last_step: int | None = None) -> None:
        """Counts every expected point that is left as missing.

        Args:
            last_step: The step at which the run has ended; None where it went past all that was expected.
        """
        self.is_new = True
        for name, expected in self._expected.items():
            for point in expected:
                self._count_missing(MissingValue(name, point.step, name not in self._seen), last_step)
            expected.clear()

    def _left(self) -> int:
        return sum(len(waiting) for waiting in self._expected.values())

    @property
    def is_over(self) -> bool:
        """True once every expected point has been compared or counted as missing."""
        return not any(self._expected.values())

    @property
    def is_different(self) -> bool:
        """True once a value differs."""
        return bool(self._comparison.different)

    @property
    def step(self) -> int:
        """The step at which it diverged, else the newest compared step."""
        return min(self._comparison.different.values(), default=self._comparison.reached)

    def take_report(self) -> bool:
        """Whether the verdict is to be reported now: once an attempt, when it is over or has diverged."""
        if self._is_reported or not (self.is_different or self.is_over):
            return False
        self._is_reported = True
        return True

    @property
    def verdict(self) -> Verdict:
        """The verdict so far."""
        self._comparison.left = self._left()
        return verdict_of(self._comparison)

    @property
    def message(self) -> str:
        """The verdict and its reason."""
        verdict, message = self.verdict, verdict_message(self._comparison)
        if verdict is Verdict.EXACT and self.remarks:
            return f"{message}; what follows may differ: {'; '.join(self.remarks)}"
        return message if verdict is Verdict.EXACT_SO_FAR else "; ".join([message, *self.remarks])

    def event(self) -> Event:
        """The event that reports the verdict."""
        data = {"attempt": self.attempt, "verdict": self.verdict.value, "words": self.message}
        return Event(time.time(), self.step, self.verdict.event_kind, f"attempt {self.attempt} {self.message}", data)


def _position(name: str, point: Point) -> float:
    """The position of a point in its series: hashes of the weights count batches, of which a step may have several."""
    return point.epoch if name == WEIGHTS else point.step


def _bytes(value: float) -> bytes:
    return struct.pack("<d", value)
