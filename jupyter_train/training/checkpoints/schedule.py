"""When the next `last` checkpoint is due: rarely enough to cost little, often enough that a kill costs little too."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

#: Share of the training time that writing may take.
WRITING_SHARE = 0.01
#: Assumed speed of copying, hashing and writing, until the first checkpoint has been measured.
BYTES_PER_S = 200e6
#: Never more often than this, however cheap they are.
MIN_PERIOD_S = 2.0


class Schedule:
    """Plans checkpoints by the cost of the earlier ones.

    Args:
        most_minutes: The longest time between two, whatever writing costs.
        clock: Returns the time in seconds.
    """

    def __init__(self, most_minutes: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock  # called after every batch
        self._most_period_s = 60.0 * most_minutes
        self._began = clock()
        self._spent_s = 0.0
        self._is_sized = False
        self._due = self._began + min(MIN_PERIOD_S, self._most_period_s)

    @property
    def is_due(self) -> bool:
        """Whether a checkpoint is due."""
        return self._clock() >= self._due

    def is_first_due(self, size: Callable[[], int]) -> bool:
        """Whether a checkpoint is due; before the first, by its expected size.

        Args:
            size: Returns its expected bytes; called once.
        """
        if self._is_sized or not self.is_due:
            return self.is_due
        self._is_sized = True
        expected_s = size() / BYTES_PER_S
        self._due = self._began + min(max(expected_s / WRITING_SHARE, MIN_PERIOD_S), self._most_period_s)
        return self.is_due

    @contextlib.contextmanager
    def measured(self, elsewhere_s: Callable[[], float]) -> Iterator[None]:
        """Measures the checkpoint taken while entered, and plans the next.

        Args:
            elsewhere_s: Seconds spent so far beside the training thread.
        """
        began = self._clock()
        self._is_sized = True
        yield
        end = self._clock()
        self._spent_s += end - began
        needed = (self._spent_s + elsewhere_s()) / WRITING_SHARE - (end - self._began)
        self._due = end + min(max(needed, MIN_PERIOD_S), self._most_period_s)
