"""Text as every store can keep it: a NUL or half a surrogate pair is written as its escape, where it enters."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any

import sqlalchemy as sa

#: PostgreSQL keeps no NUL, and neither it nor SQLite a code point that UTF-8 has no bytes for.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
#: What a terminal would obey.
_CODES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def storable(text: str) -> str:
    r"""`text` as it can be stored and read: `\x00` and `\ud800` where a NUL and a lone surrogate stood."""
    if text.isascii() and "\0" not in text:
        return text
    return _UNSTORABLE.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\u{number:04x}" if number else "\\x00"


def without_codes(text: str) -> str:
    r"""`text` as a terminal may have it: `\x1b` and its like as their escapes, tabs and line ends as they are."""
    return _CODES.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def listed(names: Collection[str], most: int = 3) -> str:
    """Names as a sentence has them, those beyond the first counted: `a, b, c and 2 more`."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(list(names)[:most]) + more


def quoted(names: Iterable[str]) -> list[str]:
    """Names as they are typed: in backquotes."""
    return [f"`{name}`" for name in names]


def storable_tree(value: Any) -> Any:
    """Plain JSON whose texts, names too, can be stored."""
    if isinstance(value, str) and not hasattr(value, "value"):  # enums stay as they are
        return storable(value)
    if isinstance(value, dict):
        return {storable_tree(key): storable_tree(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable_tree(item) for item in value]
    return value


class StorableText(sa.types.TypeDecorator[str]):
    """A column of text; whatever is written to it, or compared with it, can be."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        """See `storable`."""
        return storable(value) if isinstance(value, str) else value


class StorableString(sa.types.TypeDecorator[str]):
    """The same of a bounded length."""

    impl = sa.String
    cache_ok = True
    process_bind_param = StorableText.process_bind_param


class StorableJson(sa.types.TypeDecorator[Any]):
    """A column of plain JSON; whatever is written to it can be."""

    impl = sa.JSON
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:
        """See `storable_tree`."""
        return storable_tree(value)
