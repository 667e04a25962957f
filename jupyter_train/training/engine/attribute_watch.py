"""Notices at little cost that an attribute has been set which was not there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class AbsentKeys:
    """Names that are no keys of dicts; asked at the cost of a few comparisons.

    The length of a dict does not tell: one key may have gone as another came.

    Args:
        marked: Dicts, each with a key that is always there: it is made the newest one, so that another comes after it.
        small: Dicts, each with the names that matter in it; those that are there already are passed over.
    """

    def __init__(
        self, marked: Iterable[tuple[dict[str, Any], str]], small: Iterable[tuple[dict[str, Any], frozenset[str]]]
    ) -> None:
        self._newest: list[tuple[Any, str]] = []
        for attributes, mark in marked:
            attributes[mark] = attributes.pop(mark)
            self._newest.append((attributes.__reversed__, mark))
        self._small = [(attributes.keys().isdisjoint, names - attributes.keys()) for attributes, names in small]

    def hold(self) -> bool:
        """False where one may have come; true only where none has."""
        for newest, mark in self._newest:
            if next(newest()) is not mark:
                return False
        for is_without, names in self._small:  # noqa: SIM110  a generator costs more than what it is asked
            if not is_without(names):
                return False
        return True
