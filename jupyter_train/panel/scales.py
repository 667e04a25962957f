"""From steps and values to the pixels of a picture's chart; what an axis covers, as in the live chart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from jupyter_train.panel.ticks import log_ticks, nice_ticks, tick_texts

WIDTH, HEIGHT = 430, 210
TOP = 30
_LEFT, _RIGHT, _BOTTOM = 46, 10, 24
#: Of a label in the picture's small font, in pixels.
_LETTER = 6.3
_MAX_TICKS = 5
_MARGIN = 0.05
#: A logarithmic axis is for values of which so large a share lies below so small a part of the greatest.
_FLAT_SHARE, _FLAT_PART = 0.25, 0.01

_MIN, _MAX = 1e-250, 1e250


def is_wide(values: Sequence[float]) -> bool:
    """True where a linear axis would press the curve onto its floor, so that a logarithmic one is drawn.

    All values are above 0, and at least a quarter of them lies below a hundredth of the greatest. Accuracies and other
    numbers that merely lie in 0..1, a few of them close to 0, stay linear; so does a loss with one spike.
    """
    if not values or min(values) <= 0:
        return False
    floor = max(values) * _FLAT_PART
    return sum(value < floor for value in values) >= _FLAT_SHARE * len(values)


def within(value: float) -> float:
    """What an axis can end at: nothing whose differences and logarithms are no numbers any more."""
    if 0 < abs(value) < _MIN:
        return 0.0 if value < 0 else _MIN
    return max(-_MAX, min(_MAX, value))


def covered(low: float, high: float) -> tuple[float, float]:
    """What a linear axis covers: the values, and a little room above and below."""
    room = _MARGIN * (high - low) if high > low else abs(low) * 0.1 or 1.0
    return low - room, high + room


def covered_by_log(low: float, high: float) -> tuple[float, float]:
    """What a logarithmic axis covers."""
    first, last = math.log10(low), math.log10(high)
    room = _MARGIN * (last - first) if last > first else 0.1
    return float(10 ** (first - room)), float(10 ** (last + room))


class Scale:
    """Maps a family's steps and values to pixels, with room for the labels of both axes."""

    def __init__(self, family: dict[str, Any]) -> None:
        every = family["series"]
        steps: list[float] = [step for series in every for step in series["steps"]]
        finite: list[float] = [
            value
            for series in every
            for key in ("values", "lows", "highs")
            for value in series.get(key, [])
            if value is not None
        ]
        means = [value for series in every for value in series["values"] if value is not None]
        self.first, self.last = (min(steps), max(steps)) if min(steps) < max(steps) else (steps[0] - 1, steps[0] + 1)
        self.is_log = min(finite) > 0 and is_wide(means)
        self.low, self.high = (covered_by_log if self.is_log else covered)(within(min(finite)), within(max(finite)))
        ticks = (log_ticks if self.is_log else nice_ticks)(self.low, self.high, _MAX_TICKS)
        self.values = list(zip(ticks, tick_texts(ticks), strict=True))
        whole = [tick for tick in nice_ticks(self.first, self.last, _MAX_TICKS) if tick.is_integer()]
        self.steps = list(zip(whole, tick_texts(whole), strict=True))
        self.left = max(_LEFT, 12 + _LETTER * max((len(text) for _, text in self.values), default=0))
        self.right = WIDTH - max(_RIGHT, _LETTER / 2 * max((len(text) for _, text in self.steps), default=0))
        self.bottom = HEIGHT - _BOTTOM

    def x(self, step: float) -> float:
        """Where a step lies."""
        return self.left + (self.right - self.left) * (step - self.first) / float(self.last - self.first)

    def y(self, value: float) -> float:
        """Where a value lies."""
        at, low, high = value, self.low, self.high
        if self.is_log:
            at, low, high = (math.log10(max(number, 1e-300)) for number in (at, low, high))
        return self.bottom - (self.bottom - TOP) * min(1.0, max(0.0, (at - low) / (high - low)))
