"""Checks values read from a database: SQLite returns any type that a damaged file holds."""

from __future__ import annotations

import functools
import math
import re
import sqlite3
import types
import typing
from collections.abc import Sequence
from typing import Any

#: Errors raised by reading a damaged file; `UnicodeDecodeError` where an error's own text holds damaged bytes.
FILE_DAMAGE = (sqlite3.DatabaseError, UnicodeDecodeError, OverflowError)
_CODES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffd]+")
_KEY = re.compile(r"[0-9a-f-]{36}")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,80}")
#: Unix times end here, in the year 5138.
_LATEST = 1e11


def is_sound(row_class: type[tuple[Any, ...]], row: Sequence[Any]) -> bool:
    """Whether a row's values have the types of a named tuple's fields; an int is a valid float.

    Args:
        row_class: The named tuple's class.
        row: The values; the last fields may be missing.
    """
    return all(type(value) in kinds for value, kinds in zip(row, _kinds(row_class), strict=False))


def is_name(text: object) -> bool:
    """Whether a text can be a run's name, code or kind."""
    return isinstance(text, str) and _NAME.fullmatch(text) is not None


def is_key(text: object) -> bool:
    """Whether a text can be a run's key."""
    return isinstance(text, str) and _KEY.fullmatch(text) is not None


def printable(reason: object) -> str:
    """An error's text on one line without control codes: it may quote damaged bytes."""
    return " ".join(_CODES.sub("?", str(reason)).split())


def is_time(value: object) -> bool:
    """Whether a value can be a Unix time in seconds."""
    return isinstance(value, int | float) and math.isfinite(value) and 0 <= value < _LATEST


@functools.cache
def _kinds(row_class: type[tuple[Any, ...]]) -> tuple[frozenset[type], ...]:
    hints = typing.get_type_hints(row_class)
    return tuple(kinds_of(hints[name]) for name in row_class._fields)  # type: ignore[attr-defined]


def kinds_of(hint: object) -> frozenset[type]:
    """The types that a value with this annotation may have."""
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return frozenset({*kinds, int} if float in kinds else kinds)
