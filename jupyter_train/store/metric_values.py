"""Converts recorded values to floats; a value that cannot be read costs only itself."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any


class MetricValues:
    """Converts batches of values; an unreadable value is left out, and reported once for each series.

    A value is read after the step that logged it, and its device may have failed by then.

    Args:
        to_floats: Converts all values at once, or raises.
        report: Called for the first unreadable value of a series with its step and a message.
    """

    def __init__(self, to_floats: Callable[[list[Any]], list[float]], report: Callable[[int, str], None]) -> None:
        self._to_floats = to_floats
        self._report = report
        self._reported: set[str] = set()

    def of(self, values: list[Any], places: Iterable[tuple[int, str]]) -> Iterator[float | None]:
        """A float for each value, or None.

        Args:
            values: Numbers, or tensors of one element.
            places: The step and the series of each; iterated only where a value cannot be read.
        """
        with contextlib.suppress(Exception):
            return iter(self._to_floats(values))
        return (self._convert(value, *place) for value, place in zip(values, places, strict=True))

    def _convert(self, value: object, step: int, name: str) -> float | None:
        try:
            [number] = self._to_floats([value])
        except Exception as err:  # noqa: BLE001  of a device, or of an object of the user's
            self.leave_out(step, name, err)
            return None
        return number

    def leave_out(self, step: int, name: str, err: Exception) -> None:
        """Reports, once for each series, that a value is not recorded, and why."""
        if name not in self._reported:
            self._reported.add(name)
            reason = " ".join(str(err).split())[:200]
            self._report(step, f"`{name}` of step {step:,} is not recorded: it cannot be read ({reason})")
