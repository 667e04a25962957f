"""When the next checkpoint to go on from is due: seldom enough to cost little, often enough that a kill does too."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

#: Share of the training time that writing may take.
WRITING_SHARE = 0.01
#: How fast they are copied, hashed and written, all in all, until one has shown it.
BYTES_PER_S = 200e6
#: Never more often than this, however cheap they are.
MIN_PERIOD_S = 2.0


class Schedule:
    """Plans checkpoints by what the ones before have cost.

    Args:
        most_minutes: A kill costs at most so much training, whatever writing costs.
        clock: Tells the time, in seconds.
    """

    def __init__(self, most_minutes: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock  # asked after every batch
        self._most_period_s = 60.0 * most_minutes
        self._began = clock()
        self._spent_s = 0.0
        self._is_sized = False
        self._due = self._began + min(MIN_PERIOD_S, self._most_period_s)

    @property
    def is_due(self) -> bool:
        """Whether it is time for one."""
        return self._clock() >= self._due

    def is_first_due(self, size: Callable[[], int]) -> bool:
        """Whether it is time for the first, as long as none has shown what it costs: by its size.

        Args:
            size: Gives how many bytes it will have; asked once.
        """
        if self._is_sized or not self.is_due:
            return self.is_due
        self._is_sized = True
        expected_s = size() / BYTES_PER_S
        self._due = self._began + min(max(expected_s / WRITING_SHARE, MIN_PERIOD_S), self._most_period_s)
        return self.is_due

    @contextlib.contextmanager
    def measured(self, elsewhere_s: Callable[[], float]) -> Iterator[None]:
        """While one is taken; plans the next.

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
