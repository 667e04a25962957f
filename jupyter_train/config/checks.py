"""Checks of option values: each returns the converted value, or raises `ValueError` with what was expected."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from jupyter_train.config.options import literal


def positive(value: float) -> float:
    """`value`, when above zero."""
    if not (value > 0 and math.isfinite(value)):
        raise ValueError("a number above zero")
    return value


def number_or_auto(check: Callable[[Any], Any], expected: str) -> Callable[[Any], Any]:
    """A check that also takes the word `auto`; `expected` names what else it takes."""

    def checked(value: object) -> Any:
        if isinstance(value, str):
            if value != "auto":
                raise ValueError(f"{expected}, or auto")
            return value
        return check(value)

    return checked


def at_least_one(value: int) -> int:
    """`value`, when 1 or more."""
    if value < 1:
        raise ValueError("a whole number of 1 or more")
    return value


def seed(value: int) -> int:
    """`value`, when numpy and torch accept it as a seed."""
    if not 0 <= value < 2**32:
        raise ValueError("a whole number from 0 to 4294967295")
    return value


def fractions(value: object) -> tuple[float, float, float]:
    """Train, validation and test shares: `0.8/0.2`, `0.7/0.15/0.15` or `0.2` (validation share, up to 0.5)."""
    parts = value if isinstance(value, list | tuple) else str(value).split("/")
    try:
        shares = [float(part) for part in parts]
    except (TypeError, ValueError, OverflowError):
        raise ValueError("shares such as `0.8/0.2` or `0.7/0.15/0.15`") from None
    if len(shares) == 1 and 0.5 < shares[0] < 1:  # usually meant as the training share
        remainder = round(1 - shares[0], 6)
        raise ValueError(f"both shares, `{shares[0]:g}/{remainder:g}` or `{remainder:g}/{shares[0]:g}`")
    if len(shares) == 1:
        shares = [1 - shares[0], shares[0]]
    is_whole = abs(sum(shares) - 1) <= 1e-6  # NaN is not
    if not 2 <= len(shares) <= 3 or shares[0] <= 0 or min(shares) < 0 or not is_whole:
        raise ValueError("shares that add up to 1, such as `0.8/0.2` or `0.7/0.15/0.15`")
    return shares[0], shares[1], shares[2] if len(shares) == 3 else 0.0


def early_stop(value: str) -> str:
    """`METRIC` or `METRIC:PATIENCE`, checked."""
    metric, colon, patience = value.partition(":")
    if not colon and re.fullmatch(r"[1-9]\d{0,8}", metric):
        raise ValueError(f"a metric and its patience: `val_loss:{metric}`")
    if not _is_metric(metric) or (patience and not re.fullmatch(r"[1-9]\d{0,8}", patience)):
        raise ValueError("`METRIC:PATIENCE` such as `val_loss:3`")
    return value


def metric(value: str) -> str:
    """The name of a metric."""
    if not _is_metric(value):
        raise ValueError("the name of a metric such as `val_loss`")
    return value


def _is_metric(name: str) -> bool:
    """Whether it can be a metric's name: a number or a truth value is a typing mistake."""
    return bool(name.strip()) and isinstance(literal(name), str)


def run_name(value: str) -> str:
    """A name of at most 80 printable letters."""
    if not value.strip() or len(value) > 80 or not value.isprintable():
        raise ValueError("1 to 80 printable characters")
    return value


def checkpoint_choice(value: str) -> str:
    """`best`, `last` or a step."""
    if value not in ("best", "last") and not re.fullmatch(r"\d{1,15}", value):
        raise ValueError("`best`, `last` or a step such as `1200`")
    return value
