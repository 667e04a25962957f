"""Compares a resumed run's values with those recorded before it was killed, bit for bit, and gives a verdict."""

from __future__ import annotations

import math
import struct
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from jupyter_train.store.metrics.blocks import Point
from jupyter_train.store.metrics.reader import WEIGHTS
from jupyter_train.store.text_columns import listed

#: The kinds of events that report a verdict.
KINDS = ("verified", "not verified", "diverged")
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


def verdict_message(comparison: Comparison) -> str:
    """The verdict and its reason, as one sentence."""
    if comparison.different:
        return _divergence_message(comparison.different)
    if comparison.missing:
        return _missing_message(comparison.missing)
    if not comparison.compared:
        if not comparison.total:
            return "not verified: nothing had been recorded after the checkpoint"
        ending = "has come again yet" if comparison.left else "came again"
        return f"not verified: nothing that had been recorded after the checkpoint {ending}"
    if not comparison.evidence & comparison.compared.keys():
        return _no_evidence_message(comparison)
    if comparison.left:
        return f"exact so far: {comparison.values:,} of {comparison.total:,} values, up to step {comparison.reached:,}"
    if not comparison.values:
        return f"verified exact: the weights up to step {comparison.reached:,} are the same, bit for bit"
    values = "1 value" if comparison.values == 1 else f"{comparison.values:,} values"
    are = "is" if comparison.values == 1 else "are"
    return f"verified exact: {values} up to step {comparison.reached:,} {are} the same, bit for bit"


def _divergence_message(different: Mapping[str, int]) -> str:
    first, step = min(different.items(), key=lambda item: item[1])
    differ = "differ" if len(different) > 1 or first == WEIGHTS else "differs"
    words = f"diverged at step {step:,}: {_list_names(different)} {differ} from what was recorded before"
    return f"{words} (first {_display_name(first)})" if len(different) > 1 else words


def _missing_message(missing: Mapping[str, int]) -> str:
    listed = [f"{_display_name(name)} of step {step:,}" for name, step in list(missing.items())[:_MAX_NAMES]]
    more = f" and {len(missing) - _MAX_NAMES} more series" if len(missing) > _MAX_NAMES else ""
    were = "was" if len(missing) == 1 else "were"
    return f"not verified: {', '.join(listed)}{more} {were} recorded before and did not come again"


def _no_evidence_message(comparison: Comparison) -> str:
    verdict = "not verified so far" if comparison.left else "not verified"
    says = "was compared, which says" if len(comparison.compared) == 1 else "were compared, which say"
    return f"{verdict}: only {_list_names(comparison.compared)} {says} nothing about the weights"


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

    def kind_to_report(self) -> str:
        """The kind of event to report now, once an attempt; empty where there is nothing to report."""
        if self._is_reported or not (self.is_different or self.is_over):
            return ""
        self._is_reported = True
        return self.kind

    @property
    def words(self) -> str:
        """`verified exact`, `not verified` or `diverged at step n`, and the reason."""
        self._comparison.left = self._left()
        words = verdict_message(self._comparison)
        if words.startswith("verified exact") and self.remarks:
            return f"{words}; what follows may differ: {'; '.join(self.remarks)}"
        return "; ".join([words, *self.remarks]) if words.startswith(("diverged", "not verified")) else words

    @property
    def kind(self) -> str:
        """The kind of the event that reports the verdict: one of `KINDS`."""
        return next((kind for kind in KINDS if self.words.startswith(kind)), "verified")  # so far, if it ends here

    @property
    def verdict(self) -> str:
        """The verdict without its reason."""
        return self.words.partition(":")[0]


def _position(name: str, point: Point) -> float:
    """The position of a point in its series: hashes of the weights count batches, of which a step may have several."""
    return point.epoch if name == WEIGHTS else point.step


def _bytes(value: float) -> bytes:
    return struct.pack("<d", value)
