"""Whether what comes from a database is what was put there: SQLite gives whatever a damaged file says."""

from __future__ import annotations

import functools
import math
import re
import sqlite3
import types
import typing
from collections.abc import Sequence
from typing import Any

#: What reading a damaged file raises; the second where an error's own text names what is damaged.
FILE_DAMAGE = (sqlite3.DatabaseError, UnicodeDecodeError, OverflowError)
_CODES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffd]+")
_KEY = re.compile(r"[0-9a-f-]{36}")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,80}")
#: Unix times before the year 5138; what lies outside is none.
_LATEST = 1e11


def is_sound(made: type[tuple[Any, ...]], row: Sequence[Any]) -> bool:
    """Whether a row's fields have the types of a named tuple's; a whole number may stand for a real one.

    Args:
        made: The named tuple.
        row: Its fields, the last perhaps missing.
    """
    return all(type(value) in kinds for value, kinds in zip(row, _kinds(made), strict=False))


def is_name(text: object) -> bool:
    """Whether a text can be a run's name, code or kind."""
    return isinstance(text, str) and _NAME.fullmatch(text) is not None


def is_key(text: object) -> bool:
    """Whether a text can be a run's key."""
    return isinstance(text, str) and _KEY.fullmatch(text) is not None


def printable(reason: object) -> str:
    """An error's text on one line, without what a terminal would obey: it may quote what is damaged."""
    return " ".join(_CODES.sub("?", str(reason)).split())


def is_time(value: object) -> bool:
    """Whether a value can be a moment."""
    return isinstance(value, int | float) and math.isfinite(value) and 0 <= value < _LATEST


@functools.cache
def _kinds(made: type[tuple[Any, ...]]) -> tuple[frozenset[type], ...]:
    hints = typing.get_type_hints(made)
    return tuple(kinds_of(hints[name]) for name in made._fields)  # type: ignore[attr-defined]


def kinds_of(hint: Any) -> frozenset[type]:
    """The types that a value annotated so may have."""
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return frozenset({*kinds, int} if float in kinds else kinds)
