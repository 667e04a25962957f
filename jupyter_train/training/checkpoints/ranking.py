"""Which checkpoints are among the best: those on disk, and those on their way there."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable


class Ranking:
    """Values of the monitored metric, best first; of equal ones the older. The saver's thread tells what arrived.

    Args:
        most: How many are kept.
        beats: Whether one value is better than another.
    """

    def __init__(self, most: int, beats: Callable[[float, float], bool]) -> None:
        self.most = most
        self._beats = beats
        self._lock = threading.Lock()
        self._expected: list[float] = []
        self._on_disk: list[tuple[float, str]] = []
        self._outdated: list[str] = []

    @property
    def has_any(self) -> bool:
        """Whether a checkpoint is kept as one of the best, or is on its way."""
        with self._lock:
            return bool(self._expected)

    def is_among_the_best(self, value: float) -> bool:
        """Whether a checkpoint with this value is worth keeping."""
        if not math.isfinite(value):
            return False
        with self._lock:
            return len(self._expected) < self.most or any(self._beats(value, one) for one in self._expected)

    def expect(self, value: float) -> None:
        """A checkpoint with this value is on its way."""
        with self._lock:
            self._expected.insert(self._place(value, self._expected), value)
            del self._expected[self.most :]

    def arrived(self, value: float, path: str) -> list[str]:
        """It is on disk; gives the paths of those that are no longer among the best."""
        with self._lock:
            self._on_disk.insert(self._place(value, [one for one, _ in self._on_disk]), (value, path))
            dropped = self._on_disk[self.most :]
            del self._on_disk[self.most :]
        return [*(one for _, one in dropped), *self.take_outdated()]

    def failed(self, value: float) -> None:
        """It will not come."""
        with self._lock:
            if value in self._expected:
                self._expected.remove(value)

    def begin_anew(self) -> None:
        """Another metric tells from now on: the next checkpoint of any kind replaces those that are there."""
        with self._lock:
            self._outdated += [path for _, path in self._on_disk]
            self._expected, self._on_disk = [], []

    def take_outdated(self) -> list[str]:
        """Paths of those that no longer count; each is given once."""
        with self._lock:
            found, self._outdated = self._outdated, []
        return found

    def load(self, on_disk: list[tuple[float, str]], outdated: list[str]) -> None:
        """What there is when a run goes on, oldest first, and what no longer counts."""
        with self._lock:
            self._expected, self._on_disk = [], []
        for value, path in on_disk:
            self.expect(value)
            self.arrived(value, path)
        with self._lock:
            self._outdated = list(outdated)

    def _place(self, value: float, among: list[float]) -> int:
        return next((place for place, one in enumerate(among) if self._beats(value, one)), len(among))
