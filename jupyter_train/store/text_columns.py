"""Column types that escape what a database cannot store: NULs and lone surrogates."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any

import sqlalchemy as sa

#: PostgreSQL stores no NUL, and neither it nor SQLite a code point that UTF-8 cannot encode.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
#: Control codes that a terminal would act on.
_CODES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def storable(text: str) -> str:
    r"""`text` with NULs and lone surrogates escaped as `\x00` and `\ud800`."""
    if text.isascii() and "\0" not in text:
        return text
    return _UNSTORABLE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    number = ord(match[0])
    return f"\\u{number:04x}" if number else "\\x00"


def without_codes(text: str) -> str:
    r"""`text` for a terminal: control codes escaped as `\x1b`; tabs and line ends stay."""
    return _CODES.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def listed(names: Collection[str], most: int = 3) -> str:
    """Names for a sentence, those after the first `most` counted: `a, b, c and 2 more`."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(list(names)[:most]) + more


def quoted(names: Iterable[str]) -> list[str]:
    """Names in backticks."""
    return [f"`{name}`" for name in names]


def storable_tree(value: object) -> Any:
    """Plain JSON with its strings and keys made storable."""
    if isinstance(value, str) and not hasattr(value, "value"):  # enums stay as they are
        return storable(value)
    if isinstance(value, dict):
        return {storable_tree(key): storable_tree(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable_tree(item) for item in value]
    return value


class StorableText(sa.types.TypeDecorator[str]):
    """A text column that escapes what is written to it or compared with it."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        """See `storable`."""
        return storable(value) if isinstance(value, str) else value


class StorableString(sa.types.TypeDecorator[str]):
    """As `StorableText`, with a maximum length."""

    impl = sa.String
    cache_ok = True
    process_bind_param = StorableText.process_bind_param


class StorableJson(sa.types.TypeDecorator[Any]):
    """A column of plain JSON that escapes what is written to it."""

    impl = sa.JSON
    cache_ok = True

    def process_bind_param(self, value: object, dialect: sa.Dialect) -> object:
        """See `storable_tree`."""
        return storable_tree(value)
