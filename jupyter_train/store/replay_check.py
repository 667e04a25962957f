"""Compares what a resumed run records with what was recorded before it was killed, bit for bit, and gives a verdict."""

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

#: The kinds of events that tell a verdict.
KINDS = ("verified", "not verified", "diverged")
#: More names than these are not listed.
_MAX_NAMES = 4


class MissingValue(NamedTuple):
    """A value that was recorded before and did not come again."""

    name: str
    step: int
    is_whole_series: bool = False


@dataclass
class AttemptDifferences:
    """What differs from the attempts before and decides which values are recorded.

    Attributes:
        strides: Of a frequent series every N-th step was recorded: each N this attempt has used.
        ended_at: The step at which the run had ended by itself before; None where it was broken off.
        removed_callbacks: Those the run had before and has no more.
    """

    strides: frozenset[int] = frozenset()
    ended_at: int | None = None
    removed_callbacks: frozenset[str] = frozenset()


def is_explained(absence: MissingValue, changes: AttemptDifferences, last_step: int | None = None) -> bool:
    """Whether a value need not have come again.

    Args:
        absence: Which one.
        changes: What is known to differ from the attempts before.
        last_step: Where the run has ended now; None while it goes on.
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
    """What comparing has shown so far.

    Attributes:
        total: Values that are expected, hashes of the weights apart.
        left: Values and hashes that have not come yet.
        reached: The step of the newest value that was compared.
        compared: How many were compared, by series.
        different: The first step that differs, by series.
        missing: The first step that did not come again, by series.
        evidence: Series that say what the weights are.
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
        """How many values were compared, hashes of the weights apart."""
        return sum(count for name, count in self.compared.items() if name != WEIGHTS)


def words_of(found: Comparison) -> str:
    """The verdict, and how that is known."""
    if found.different:
        return _words_of_divergence(found.different)
    if found.missing:
        return _words_of_missing(found.missing)
    if not found.compared:
        if not found.total:
            return "not verified: nothing had been recorded after the checkpoint"
        ending = "has come again yet" if found.left else "came again"
        return f"not verified: nothing that had been recorded after the checkpoint {ending}"
    if not found.evidence & found.compared.keys():
        return _words_of_no_evidence(found)
    if found.left:
        return f"exact so far: {found.values:,} of {found.total:,} values, up to step {found.reached:,}"
    if not found.values:
        return f"verified exact: the weights up to step {found.reached:,} are the same, bit for bit"
    values = "1 value" if found.values == 1 else f"{found.values:,} values"
    are = "is" if found.values == 1 else "are"
    return f"verified exact: {values} up to step {found.reached:,} {are} the same, bit for bit"


def _words_of_divergence(different: Mapping[str, int]) -> str:
    first, step = min(different.items(), key=lambda item: item[1])
    differ = "differ" if len(different) > 1 or first == WEIGHTS else "differs"
    words = f"diverged at step {step:,}: {_listed(different)} {differ} from what was recorded before"
    return f"{words} (first {_shown(first)})" if len(different) > 1 else words


def _words_of_missing(missing: Mapping[str, int]) -> str:
    listed = [f"{_shown(name)} of step {step:,}" for name, step in list(missing.items())[:_MAX_NAMES]]
    more = f" and {len(missing) - _MAX_NAMES} more series" if len(missing) > _MAX_NAMES else ""
    were = "was" if len(missing) == 1 else "were"
    return f"not verified: {', '.join(listed)}{more} {were} recorded before and did not come again"


def _words_of_no_evidence(found: Comparison) -> str:
    verdict = "not verified so far" if found.left else "not verified"
    says = "was compared, which says" if len(found.compared) == 1 else "were compared, which say"
    return f"{verdict}: only {_listed(found.compared)} {says} nothing about the weights"


def _listed(names: Mapping[str, int]) -> str:
    return listed([_shown(name) for name in names], _MAX_NAMES)


def _shown(name: str) -> str:
    return "the weights" if name == WEIGHTS else f"`{name}`"


class ReplayCheck:
    """Follows the points of an attempt and says whether they are those recorded before.

    Attributes:
        changes: What may explain that a value does not come again.
        remarks: What was known from the start to be inexact; part of a verdict that is not exact.

    Args:
        attempt: Its number.
        from_step: Where it went on.
        expected: Points by series that were recorded after that step before, oldest first.
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
        self._is_told = not self._expected
        self._found = Comparison(total=len(values), left=self._left(), reached=from_step)

    def say_evidence(self, names: frozenset[str]) -> None:
        """These series hold the loss that `training_step` returned; may be called from any thread."""
        self._found.evidence = names | {WEIGHTS}
        self.is_new = True

    def see(self, name: str, point: Point) -> None:
        """Compares a point."""
        waiting = self._expected.get(name)
        if waiting is None:
            return
        self.is_new = True
        self._seen.add(name)
        place = _place(name, point)
        while waiting and _place(name, waiting[0]) < place:
            self._miss(MissingValue(name, waiting.popleft().step))
        if waiting and _place(name, waiting[0]) == place:
            self._compare(name, waiting.popleft(), point)

    def _compare(self, name: str, before: Point, now: Point) -> None:
        if name == WEIGHTS and not (math.isfinite(before.value) and math.isfinite(now.value)):
            return  # they could not be hashed
        found = self._found
        found.compared[name] = found.compared.get(name, 0) + 1
        if name != WEIGHTS or not found.values:
            found.reached = max(found.reached, now.step)
        if _bits(before.value) != _bits(now.value):
            found.different.setdefault(name, now.step)

    def _miss(self, absence: MissingValue, last_step: int | None = None) -> None:
        if not is_explained(absence, self.changes, last_step):
            self._found.missing.setdefault(absence.name, absence.step)

    def settle(self, last_step: int | None = None) -> None:
        """What has not come until now never will.

        Args:
            last_step: Where the run has ended; None where it went past all that was recorded before.
        """
        self.is_new = True
        for name, waiting in self._expected.items():
            for point in waiting:
                self._miss(MissingValue(name, point.step, name not in self._seen), last_step)
            waiting.clear()

    def _left(self) -> int:
        return sum(len(waiting) for waiting in self._expected.values())

    @property
    def is_over(self) -> bool:
        """True once everything recorded before has been compared, or never will be."""
        return not any(self._expected.values())

    @property
    def is_different(self) -> bool:
        """True once a value was another than before."""
        return bool(self._found.different)

    @property
    def step(self) -> int:
        """Where it diverged, or else how far it has been compared."""
        return min(self._found.different.values(), default=self._found.reached)

    def kind_to_tell(self) -> str:
        """The kind of event that is due, once an attempt; empty where none is."""
        if self._is_told or not (self.is_different or self.is_over):
            return ""
        self._is_told = True
        return self.kind

    @property
    def words(self) -> str:
        """`verified exact`, `not verified` or `diverged at step n`, and how that is known."""
        self._found.left = self._left()
        words = words_of(self._found)
        if words.startswith("verified exact") and self.remarks:
            return f"{words}; what follows may differ: {'; '.join(self.remarks)}"
        return "; ".join([words, *self.remarks]) if words.startswith(("diverged", "not verified")) else words

    @property
    def kind(self) -> str:
        """What an event that tells the verdict is called: one of `KINDS`."""
        return next((kind for kind in KINDS if self.words.startswith(kind)), "verified")  # so far, if it ends here

    @property
    def verdict(self) -> str:
        """The first words alone."""
        return self.words.partition(":")[0]


def _place(name: str, point: Point) -> float:
    """Where in its series a point stands: hashes of the weights count batches, several of which may be one step."""
    return point.epoch if name == WEIGHTS else point.step


def _bits(value: float) -> bytes:
    return struct.pack("<d", value)
