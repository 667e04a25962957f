"""Recorded values as floats, whatever some of them turn out to be."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any


class Numbers:
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

    def of(self, values: Sequence[tuple[int, str, Any]]) -> Iterator[float | None]:
        """A float for each (step, name, value), or None."""
        with contextlib.suppress(Exception):
            return iter(self._to_floats([value for _, _, value in values]))
        return (self._one(*one) for one in values)

    def _one(self, step: int, name: str, value: Any) -> float | None:
        found: float | None = None
        with self.said(step, name):
            [found] = self._to_floats([value])
        return found

    @contextlib.contextmanager
    def said(self, step: int, name: str) -> Iterator[None]:
        """Whatever is raised inside costs one value, which is said, and none of the others."""
        try:
            yield
        except Exception as err:  # noqa: BLE001  of a device, an object of the user's, or a slip of ours
            if name not in self._told:
                self._told.add(name)
                reason = " ".join(str(err).split())[:200]
                self._tell(step, f"`{name}` of step {step:,} is not recorded: it cannot be read ({reason})")
