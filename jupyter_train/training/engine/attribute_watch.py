"""Detects cheaply that an attribute has been set that did not exist."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class AbsentKeys:
    """Names that are not keys of some dicts, checked in a few comparisons.

    The length of a dict is not enough: one key may be deleted as another is added.

    Args:
        marked: Dicts, each with a key that it always has: it is moved to the end, so that a new key comes after it.
        small: Dicts, each with the names to watch for; those already in it are ignored.
    """

    def __init__(
        self, marked: Iterable[tuple[dict[str, Any], str]], small: Iterable[tuple[dict[str, Any], frozenset[str]]]
    ) -> None:
        self._newest: list[tuple[Any, str]] = []
        for attributes, mark in marked:
            attributes[mark] = attributes.pop(mark)
            self._newest.append((attributes.__reversed__, mark))
        self._small = [(attributes.keys().isdisjoint, names - attributes.keys()) for attributes, names in small]

    def are_absent(self) -> bool:
        """True only where no name has been added; False where one may have been."""
        for newest, mark in self._newest:
            if next(newest()) is not mark:
                return False
        for is_without, names in self._small:  # noqa: SIM110  a generator costs more than the check
            if not is_without(names):
                return False
        return True
