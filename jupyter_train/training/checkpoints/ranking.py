"""The best checkpoints: those on disk and those being written."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable


class Ranking:
    """Values of the monitored metric, best first, ties oldest first. `AsyncWriter`'s thread reports what is written.

    Args:
        max_kept: How many checkpoints are kept.
        is_better: Whether one value is better than another.
    """

    def __init__(self, max_kept: int, is_better: Callable[[float, float], bool]) -> None:
        self.max_kept = max_kept
        self._is_better = is_better
        self._lock = threading.Lock()
        self._expected: list[float] = []
        self._on_disk: list[tuple[float, str]] = []
        self._outdated: list[str] = []

    @property
    def has_any(self) -> bool:
        """Whether a best checkpoint is on disk or being written."""
        with self._lock:
            return bool(self._expected)

    def is_among_the_best(self, value: float) -> bool:
        """Whether a checkpoint with this value would be kept; False for NaN and infinities."""
        if not math.isfinite(value):
            return False
        with self._lock:
            return len(self._expected) < self.max_kept or any(self._is_better(value, kept) for kept in self._expected)

    def expect(self, value: float) -> None:
        """A checkpoint with this value is being written."""
        with self._lock:
            self._expected.insert(self._rank(value, self._expected), value)
            del self._expected[self.max_kept :]

    def arrived(self, value: float, path: str) -> list[str]:
        """It is on disk; returns the paths of those that are no longer among the best."""
        with self._lock:
            self._on_disk.insert(self._rank(value, [entry for entry, _ in self._on_disk]), (value, path))
            dropped = self._on_disk[self.max_kept :]
            del self._on_disk[self.max_kept :]
        return [*(entry for _, entry in dropped), *self.take_outdated()]

    def failed(self, value: float) -> None:
        """It could not be written."""
        with self._lock:
            if value in self._expected:
                self._expected.remove(value)

    def restart(self) -> None:
        """The metric has changed: the next checkpoint of any kind replaces the existing best ones."""
        with self._lock:
            self._outdated += [path for _, path in self._on_disk]
            self._expected, self._on_disk = [], []

    def take_outdated(self) -> list[str]:
        """Paths of the best checkpoints by an earlier metric; each is returned once."""
        with self._lock:
            paths, self._outdated = self._outdated, []
        return paths

    def load(self, on_disk: list[tuple[float, str]], outdated: list[str]) -> None:
        """Sets the state of a resumed run: checkpoints on disk, oldest first, and outdated ones."""
        with self._lock:
            self._expected, self._on_disk = [], []
        for value, path in on_disk:
            self.expect(value)
            self.arrived(value, path)
        with self._lock:
            self._outdated = list(outdated)

    def _rank(self, value: float, values: list[float]) -> int:
        return next((rank for rank, kept in enumerate(values) if self._is_better(value, kept)), len(values))
