"""Numbers as people read them in a panel."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal
from typing import TypeVar

_Value = TypeVar("_Value")

#: Whole numbers below are written with all their digits.
_WHOLE_BELOW = 1e10
_SIGNIFICANT = 5


def value_text(value: object) -> str:
    """Four significant digits: `0.09312` as `0.0931`, `12345.6` as `12,346`, `3e-05` as `3.0e-5`; `3.0` as `3`.

    The same as the renderer's `valueText`, to the last digit: ties are rounded away from 0, as browsers do.
    """
    if not isinstance(value, int | float) or isinstance(value, bool):
        return "–" if value is None else str(value)
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if size == 0:
        return "0"
    if size == int(size) and size < _WHOLE_BELOW:
        return f"{int(value):,}"
    if size < 1e-3 or size >= 1e7:
        return _in_powers(value)
    if size >= 1000:
        return f"{_fixed(value, 0):,}"
    return str(_fixed(value, max(0, min(6, 3 - math.floor(math.log10(size)) - (1 if size < 1 else 0)))))


def _fixed(value: float | Decimal, digits: int) -> Decimal:
    return Decimal(value).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)


def _in_powers(value: float) -> str:
    exponent = Decimal(value).adjusted()
    mantissa = _fixed(Decimal(value).scaleb(-exponent), 1)
    if abs(mantissa) >= 10:
        mantissa, exponent = mantissa.scaleb(-1).quantize(Decimal("0.1")), exponent + 1
    return f"{mantissa}e{exponent}"


def duration_text(seconds: object) -> str:
    """`75` as `1:15`, `3700` as `1:01:40`."""
    if not isinstance(seconds, int | float) or not math.isfinite(seconds):
        return "–"
    whole = math.floor(seconds + 0.5)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{left:02d}" if hours else f"{minutes}:{left:02d}"


_SIZE_UNITS = ("B", "KB", "MB", "GB", "TB")


def size_text(size: float) -> str:
    """`1536` as `1.5 KB`: units of 1000, as in the front end."""
    unit = 0
    while size >= 999.95 and unit < len(_SIZE_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.1f} {_SIZE_UNITS[unit]}" if unit else f"{size:.0f} B"


def rounded(value: _Value, digits: int = 0) -> _Value | float | None:
    """Numbers at five significant digits, None for what JSON cannot say.

    Args:
        value: A number, or anything else, which stays what it is.
        digits: At least so many digits after the point.
    """
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return None
    if value.is_integer() and abs(value) < 1e15:
        return int(value)
    if digits > _SIGNIFICANT - 1 - math.floor(math.log10(abs(value))):
        return round(value, digits)
    return float(f"{value:.{_SIGNIFICANT}g}") if abs(value) < 1e6 else round(value, 1)
