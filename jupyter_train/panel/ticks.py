"""Ticks of an axis and their labels: the same numbers in the picture as in the live chart (`ticks.ts`)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

#: A tick is written to a thousandth of the gap between two of them.
_TOLERANCE = 1e-3
_MAX_DIGITS = 17
#: Above, `M` stands for a million where three digits after the point are enough.
_MILLION = 1e6
_MAX_MILLION_DIGITS = 3


def nice_ticks(low: float, high: float, most: int) -> list[float]:
    """At most about `most` round numbers between `low` and `high`."""
    raw = high / most - low / most
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= raw * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{tick * step:.15g}") for tick in range(first, last + 1)]


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Powers of ten between two values above 0; where there is one at most, their multiples or even steps too."""
    powers = _multiples(low, high, (1,))
    if len(powers) >= 2:
        return powers[:: math.ceil(len(powers) / most)]
    ticks = _multiples(low, high, (1, 2, 5))
    return ticks if len(ticks) >= 2 else nice_ticks(low, high, most)


def _multiples(low: float, high: float, factors: Sequence[int]) -> list[float]:
    exponents = range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1)
    ticks = [float(f"{factor}e{exponent}") for exponent in exponents for factor in factors]
    return [tick for tick in ticks if low <= tick <= high]


def tick_texts(ticks: Sequence[float]) -> list[str]:
    """The labels of an axis: each tick with as many digits as the step between them needs, and no more."""
    sizes = [abs(tick) for tick in ticks if tick]
    if not sizes:
        return ["0" for _ in ticks]
    largest, least = max(sizes), min(sizes)
    gap = min((abs(b - a) for a, b in itertools.pairwise(ticks) if a != b), default=largest * _TOLERANCE)
    within = gap * _TOLERANCE
    if largest >= 1e9 or largest < 1e-3:
        return [_in_powers(tick, within) for tick in ticks]
    if largest >= 1e3 * least and (least < 1e-3 or largest >= 1e5):  # a logarithmic axis over many decades
        return [_plain(t, within) if 1e-3 <= abs(t) < 1e5 or not t else _in_powers(t, within) for t in ticks]
    if largest >= _MILLION and all(_digits(t / _MILLION, within / _MILLION) <= _MAX_MILLION_DIGITS for t in ticks):
        return [_plain(tick / _MILLION, within / _MILLION) + ("M" if tick else "") for tick in ticks]
    return [_plain(tick, within) for tick in ticks]


def _digits(value: float, within: float) -> int:
    """How many digits after the point show a value to that closeness."""
    return next((n for n in range(_MAX_DIGITS) if abs(float(f"{value:.{n}f}") - value) <= within), _MAX_DIGITS)


def _plain(value: float, within: float) -> str:
    text = f"{value:,.{_digits(value, within)}f}"
    return "0" if text == "-0" else text


def _in_powers(value: float, within: float) -> str:
    if not value:
        return "0"
    digits = next((n for n in range(_MAX_DIGITS) if abs(float(f"{value:.{n}e}") - value) <= within), _MAX_DIGITS)
    mantissa, exponent = f"{value:.{digits}e}".split("e")
    return f"{mantissa}e{int(exponent)}"
