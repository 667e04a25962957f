"""Compares what a resumed run records with what was recorded before it was killed, bit for bit."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Mapping, Sequence

from jupyter_train.store.metrics.blocks import Point


class Verification:
    """Follows the points of an attempt and says whether they are those recorded before.

    Args:
        attempt: Its number.
        from_step: Where it went on.
        expected: Points by series that were recorded after that step before, oldest first.
    """

    def __init__(self, attempt: int, from_step: int, expected: Mapping[str, Sequence[Point]]) -> None:
        self.attempt = attempt
        self.from_step = from_step
        self.compared = 0
        self.reached = from_step
        self.different: dict[str, int] = {}
        self._expected = {name: deque(points) for name, points in expected.items() if points}
        self.total = sum(len(points) for points in self._expected.values())
        self.to_step = max((points[-1].step for points in self._expected.values()), default=from_step)

    def see(self, name: str, point: Point) -> bool:
        """Compares a point; False when it is the first of its series that differs from the recorded one."""
        waiting = self._expected.get(name)
        while waiting and waiting[0].step < point.step:
            waiting.popleft()  # not recorded this time: an attempt may record fewer steps than another
        if not waiting or waiting[0].step != point.step:
            return True
        before = waiting.popleft()
        self.compared += 1
        self.reached = max(self.reached, point.step)
        if _bits(before.value) == _bits(point.value) or name in self.different:
            return True
        self.different[name] = point.step
        return False

    @property
    def is_over(self) -> bool:
        """True once everything recorded before has been compared."""
        return not any(self._expected.values())

    @property
    def words(self) -> str:
        """`verified exact`, `not verified` or `diverged at step n`, and how that is known."""
        if self.different:
            name, step = min(self.different.items(), key=lambda item: item[1])
            names = ", ".join(f"`{one}`" for one in list(self.different)[:4])
            return f"diverged at step {step:,}: {names} differ from what was recorded before (first `{name}`)"
        if not self.compared:
            return "not verified: nothing had been recorded after the checkpoint"
        if self.is_over:
            return f"verified exact: {self.compared:,} values up to step {self.reached:,} are the same, bit for bit"
        return f"exact so far: {self.compared:,} of {self.total:,} values, up to step {self.reached:,}"

    @property
    def verdict(self) -> str:
        """The first words alone."""
        return self.words.partition(":")[0]


def _bits(value: float) -> bytes:
    return struct.pack("<d", value)
