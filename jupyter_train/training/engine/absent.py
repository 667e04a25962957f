"""Notices at little cost that an attribute has been set which was not there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

_are_disjoint: Callable[..., bool] = type({}.keys()).isdisjoint


class Absent:
    """Names that are no keys of dicts, asked at the cost of the shorter of the two.

    The length of a dict does not tell: one key may have gone as another came.

    Args:
        watched: Dicts, each with the names that matter in it; those that are there already are passed over.
    """

    def __init__(self, watched: Iterable[tuple[dict[str, Any], frozenset[str]]]) -> None:
        pairs = [(attributes.keys(), names - attributes.keys()) for attributes, names in watched]
        self._keys = [keys for keys, _ in pairs]
        self._names = [names for _, names in pairs]

    def hold(self) -> bool:
        """Whether they are no keys still."""
        return all(map(_are_disjoint, self._keys, self._names))
