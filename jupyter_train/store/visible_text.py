"""The visible part of a text with control codes or HTML, and replacing parts of it without changing the rest."""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from jupyter_train.store.pattern_search import Span

#: Colours and cursor moves (CSI), titles and links (OSC, DCS), other escapes, and invisible characters.
_CONTROL = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|"
    r"(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])(?P<inside>[^\x07\x1b\x9c]*)(?:\x07|\x1b\\|\x9c)|"
    r"\x1b[ -/]*[0-Z\\^-~]|"
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u200b-\u200f\u2060\ufeff]"
)
#: The first character of any control code: searching for it first takes a tenth of the time.
_BEGINS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u200b-\u200f\u2060\ufeff]")
_MARKUP = re.compile(
    _CONTROL.pattern + r"|<(?P<tag>!--[\s\S]*?--|/?[A-Za-z][^<>]*)>|"
    r"(?P<entity>&(?:#\d{1,7}|#x[0-9a-fA-F]{1,6}|[A-Za-z]{2,8});)"
)


class _Piece(NamedTuple):
    """Visible letters and the span of the text they come from; an entity's span is its name."""

    seen_at: int
    start: int
    end: int
    is_entity: bool


class VisibleText:
    """A text and its visible part `seen`: without control codes, or without tags and with entities resolved.

    Args:
        text: The text.
        is_html: Whether it is HTML.
    """

    def __init__(self, text: str, is_html: bool = False) -> None:
        self._text = text
        self._pattern = _MARKUP if is_html else _CONTROL
        self._pieces: list[_Piece] = []
        self._length = 0
        parts: list[str] = []
        position = 0
        for match in self._pattern.finditer(text):
            parts.append(self._keep(text[position : match.start()], position, match.start()))
            if is_html and match["entity"]:
                parts.append(self._keep(html.unescape(match["entity"]), *match.span(), is_entity=True))
            position = match.end()
        parts.append(self._keep(text[position:], position, len(text)))
        self.seen = "".join(parts)
        self._starts = [piece.seen_at for piece in self._pieces]

    def _keep(self, seen: str, start: int, end: int, is_entity: bool = False) -> str:
        if seen:
            self._pieces.append(_Piece(self._length, start, end, is_entity))
            self._length += len(seen)
        return seen

    def replaced(self, spans: Sequence[Span], by: str) -> str:
        """The text with visible spans replaced; control codes and tags inside them stay."""
        pieces: list[str] = []
        copied_to = 0
        for first, last in spans:
            start, end = self._start(first), self._end(last)
            pieces += [self._text[copied_to:start], by, *self._hidden(start, end)]
            copied_to = end
        return "".join([*pieces, self._text[copied_to:]])

    def _start(self, position: int) -> int:
        piece = self._pieces[bisect_right(self._starts, position) - 1]
        return piece.start if piece.is_entity else piece.start + position - piece.seen_at

    def _end(self, position: int) -> int:
        piece = self._pieces[bisect_right(self._starts, position - 1) - 1]
        return piece.end if piece.is_entity else piece.start + position - piece.seen_at

    def _hidden(self, start: int, end: int) -> Iterator[str]:
        for match in self._pattern.finditer(self._text, start, end):
            if not match.groupdict().get("entity"):
                yield match.group()


def with_inside(text: str, change: Callable[[str], str], is_html: bool = False) -> str:
    """The text with the content of its links, titles, comments and tags changed by a function."""

    def changed(match: re.Match[str]) -> str:
        for name in ("inside", "tag"):
            inside = match.groupdict().get(name)
            if inside:
                start, end = match.start(name) - match.start(), match.end(name) - match.start()
                return match.group()[:start] + change(inside) + match.group()[end:]
        return match.group()

    return (_MARKUP if is_html else _CONTROL).sub(changed, text)


def has_codes(text: str) -> bool:
    """Whether a text holds control codes."""
    return _BEGINS.search(text) is not None and _CONTROL.search(text) is not None
