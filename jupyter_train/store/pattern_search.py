"""Searches long texts for regular expressions: only around markers that every match must contain."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

Span = tuple[int, int]

#: Texts longer than this are searched around markers only, whole lines at a time.
_LONG = 200_000
#: A match may reach this many letters before and after a marker, and then to the line's end.
_AROUND = 600
#: No line is followed further than this: it may never end.
_MAX = 20_000


class MarkedPattern(NamedTuple):
    """A pattern and its lower-case markers: every match contains one of them."""

    pattern: re.Pattern[str]
    markers: tuple[str, ...]


def marked(pattern: str, markers: str, flags: int = 0) -> MarkedPattern:
    """Compiles a pattern; `markers` are separated by spaces."""
    return MarkedPattern(re.compile(pattern, flags), tuple(markers.split()))


class SearchedText:
    """A text that is searched for many patterns."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._lower_case = _lower_case(text)
        self._is_long = len(text) > _LONG and len(self._lower_case) == len(text)
        self._windows: dict[tuple[str, ...], list[Span]] = {}

    def matches(self, marked_pattern: MarkedPattern) -> Iterator[re.Match[str]]:
        """The matches, as `re.finditer` yields them."""
        position = 0
        while (match := self.next_match(marked_pattern, position)) is not None:
            yield match
            position = max(match.end(), match.start() + 1)

    def next_match(self, marked_pattern: MarkedPattern, position: int) -> re.Match[str] | None:
        """The first match at or after a position; None where there is none."""
        windows = self._windows_of(marked_pattern.markers)
        for start, end in windows[bisect_right(windows, position, key=lambda window: window[1]) :]:
            position = max(start, position)
            while (partial := marked_pattern.pattern.search(self.text, position, end)) is not None:
                match = self._full_match(marked_pattern.pattern, partial, end)
                if match is not None:
                    return match
                position = partial.start() + 1
        return None

    def _full_match(self, pattern: re.Pattern[str], partial: re.Match[str], end: int) -> re.Match[str] | None:
        """The full match: one that reaches the window's end may be longer in the text, or be no match."""
        match: re.Match[str] | None = partial
        while match is not None and match.end() >= end and end < len(self.text):
            end = min(len(self.text), end + 2 * (end - partial.start()) + _MAX)
            match = pattern.match(self.text, partial.start(), end)
        return match

    def _windows_of(self, markers: tuple[str, ...]) -> list[Span]:
        windows = self._windows.get(markers)
        if windows is None:
            windows = self._windows[markers] = list(self._find_windows(markers))
        return windows

    def _find_windows(self, markers: tuple[str, ...]) -> Iterator[Span]:
        if not self._is_long:
            if any(marker in self._lower_case for marker in markers):
                yield 0, len(self.text)
            return
        last: Span | None = None
        for start, end in sorted(self._around(marker) for marker in self._marker_positions(markers)):
            if last is not None and start <= last[1]:
                last = (last[0], max(last[1], end))
                continue
            if last is not None:
                yield last
            last = (start, end)
        if last is not None:
            yield last

    def _marker_positions(self, markers: tuple[str, ...]) -> Iterator[int]:
        for marker in markers:
            position = self._lower_case.find(marker)
            while position >= 0:
                yield position
                position = self._lower_case.find(marker, position + 1)

    def _around(self, position: int) -> Span:
        before, after = max(0, position - _AROUND), position + _AROUND
        start = self.text.rfind("\n", max(0, before - _MAX), before) + 1 or max(0, before - _MAX)
        end = self.text.find("\n", after, after + _MAX)
        return start, end if end >= 0 else min(len(self.text), after + _MAX)


def _lower_case(text: str) -> str:
    """The text in lower case, where letters that `re.IGNORECASE` holds equal become equal."""
    return text.lower() if text.isascii() else text.casefold().replace("\u0131", "i").replace("i\u0307", "i")
