"""Recorded values as floats, whatever some of them turn out to be."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any


class MetricValues:
    """Reads values, many at a time; one that cannot be read is left out, and said once by its name.

    A value is read after the step that gave it, and a device may have failed by then.

    Args:
        to_floats: Reads all values at once, or raises.
        tell: Told of the first value of a series that cannot be read: its step, and the words.
    """

    def __init__(self, to_floats: Callable[[list[Any]], list[float]], tell: Callable[[int, str], None]) -> None:
        self._to_floats = to_floats
        self._tell = tell
        self._told: set[str] = set()

    def of(self, values: list[Any], places: Iterable[tuple[int, str]]) -> Iterator[float | None]:
        """A float for each value, or None.

        Args:
            values: Numbers, or tensors of one element.
            places: The step and the series of each; gone through only where a value cannot be read.
        """
        with contextlib.suppress(Exception):
            return iter(self._to_floats(values))
        return (self._one(value, *place) for value, place in zip(values, places, strict=True))

    def _one(self, value: Any, step: int, name: str) -> float | None:
        try:
            [found] = self._to_floats([value])
        except Exception as err:  # noqa: BLE001  of a device, or of an object of the user's
            self.leave_out(step, name, err)
            return None
        return found

    def leave_out(self, step: int, name: str, err: Exception) -> None:
        """Says, once for each series, that a value is not recorded, and why; the others are."""
        if name not in self._told:
            self._told.add(name)
            reason = " ".join(str(err).split())[:200]
            self._tell(step, f"`{name}` of step {step:,} is not recorded: it cannot be read ({reason})")
