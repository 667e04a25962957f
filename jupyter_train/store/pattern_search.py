"""Finding patterns in texts of any length: only around what each of them must contain."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

Span = tuple[int, int]

#: Longer texts are searched around markers only, whole lines at a time.
_LONG = 200_000
#: So many letters before and after a marker, and then to the line's end, may belong to a match.
_AROUND = 600
#: A line may be endless.
_MAX = 20_000


class MarkedPattern(NamedTuple):
    """A pattern, and its markers: one of these stands in whatever it matches, in small letters."""

    pattern: re.Pattern[str]
    markers: tuple[str, ...]


def marked(pattern: str, markers: str, flags: int = 0) -> MarkedPattern:
    """A pattern with its markers, which stand apart by spaces."""
    return MarkedPattern(re.compile(pattern, flags), tuple(markers.split()))


class SearchedText:
    """A text that is searched for many patterns.

    Args:
        text: The text.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._small = _small(text)
        self._is_long = len(text) > _LONG and len(self._small) == len(text)
        self._windows: dict[tuple[str, ...], list[Span]] = {}

    def matches(self, wanted: MarkedPattern) -> Iterator[re.Match[str]]:
        """What `finditer` gives."""
        place = 0
        while (match := self.next_match(wanted, place)) is not None:
            yield match
            place = max(match.end(), match.start() + 1)

    def next_match(self, wanted: MarkedPattern, place: int) -> re.Match[str] | None:
        """The first match from a place on; None where there is none."""
        windows = self._windows_of(wanted.markers)
        for start, end in windows[bisect_right(windows, place, key=lambda window: window[1]) :]:
            place = max(start, place)
            while (found := wanted.pattern.search(self.text, place, end)) is not None:
                match = self._whole(wanted.pattern, found, end)
                if match is not None:
                    return match
                place = found.start() + 1
        return None

    def _whole(self, pattern: re.Pattern[str], found: re.Match[str], end: int) -> re.Match[str] | None:
        """A match that reaches the end of what was searched may go on, or be none."""
        match: re.Match[str] | None = found
        while match is not None and match.end() >= end and end < len(self.text):
            end = min(len(self.text), end + 2 * (end - found.start()) + _MAX)
            match = pattern.match(self.text, found.start(), end)
        return match

    def _windows_of(self, markers: tuple[str, ...]) -> list[Span]:
        found = self._windows.get(markers)
        if found is None:
            found = self._windows[markers] = list(self._find_windows(markers))
        return found

    def _find_windows(self, markers: tuple[str, ...]) -> Iterator[Span]:
        if not self._is_long:
            if any(marker in self._small for marker in markers):
                yield 0, len(self.text)
            return
        last: Span | None = None
        for start, end in sorted(self._around(marker) for marker in self._places(markers)):
            if last is not None and start <= last[1]:
                last = (last[0], max(last[1], end))
                continue
            if last is not None:
                yield last
            last = (start, end)
        if last is not None:
            yield last

    def _places(self, markers: tuple[str, ...]) -> Iterator[int]:
        for marker in markers:
            place = self._small.find(marker)
            while place >= 0:
                yield place
                place = self._small.find(marker, place + 1)

    def _around(self, place: int) -> Span:
        before, after = max(0, place - _AROUND), place + _AROUND
        start = self.text.rfind("\n", max(0, before - _MAX), before) + 1 or max(0, before - _MAX)
        end = self.text.find("\n", after, after + _MAX)
        return start, end if end >= 0 else min(len(self.text), after + _MAX)


def _small(text: str) -> str:
    """The text in small letters, as far as `re.IGNORECASE` takes letters for each other."""
    return text.lower() if text.isascii() else text.casefold().replace("\u0131", "i").replace("i\u0307", "i")
