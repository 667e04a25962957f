"""Numbers as people read them in a panel."""

from __future__ import annotations

import math
from typing import Any


def value_text(value: Any) -> str:
    """Four significant digits: `0.09312` as `0.0931`, `12345.6` as `12,346`, `3e-05` as `3.0e-5`."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return "–" if value is None else str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if size == 0:
        return "0"
    if size < 1e-3 or size >= 1e7:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    if size >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{max(0, min(6, 3 - math.floor(math.log10(size)) - (1 if size < 1 else 0)))}f}"


def duration_text(seconds: Any) -> str:
    """`75` as `1:15`, `3700` as `1:01:40`."""
    if not isinstance(seconds, int | float) or not math.isfinite(seconds):
        return "–"
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{left:02d}" if hours else f"{minutes}:{left:02d}"


def size_text(size: float) -> str:
    """`1536` as `1.5 KB`."""
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1024 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return ""


def rounded(value: Any) -> Any:
    """Numbers at five significant digits, None for what JSON cannot say."""
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return None
    if value.is_integer() and abs(value) < 1e15:
        return int(value)
    return float(f"{value:.5g}") if abs(value) < 1e6 else round(value, 1)
