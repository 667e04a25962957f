"""Converts what modules log themselves: nested metrics, numbers and steps."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from typing import Any

import torch

#: JavaScript has no exact integers beyond it.
_MAX_STEP = 1 << 53
#: A dict may hold itself.
_MAX_LEVELS = 8


def flatten(metrics: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Names and values; those of a nested dict as `name/key`, as TensorBoard has them."""
    for name, value in metrics.items():
        if isinstance(value, Mapping) and prefix.count("/") < _MAX_LEVELS:
            yield from flatten(value, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", value


def to_number(value: Any) -> float | torch.Tensor | None:
    """The current number of a value, not shared with it; a copy on its device. None where it is not a number."""
    if isinstance(value, torch.Tensor):
        if value.numel() != 1 or value.is_complex():
            return None
        return float(value.detach()) if value.device.type == "cpu" else value.detach().clone()
    if value is None or isinstance(value, str | bytes | bytearray):
        return None
    try:
        return float(value.item() if hasattr(value, "item") else value)
    except Exception:  # noqa: BLE001  whatever a user's object raises
        return None


def describe_value(value: object) -> str:
    """Describes a value that is not a number."""
    if isinstance(value, int):
        return "too large"
    shape = getattr(value, "shape", None)
    of_shape = f" of shape {tuple(shape)}" if isinstance(shape, tuple) else ""
    return f"{type(value).__name__}{of_shape}, not a number"


def to_step(step: Any) -> int:
    """A step as an integer.

    Raises:
        ValueError: It is not an integer, or too large.
    """
    try:
        number = int(step) if isinstance(step, float) and step.is_integer() else operator.index(step)
    except TypeError:
        raise ValueError(f"a step is a whole number; `{step!r:.80}` is none") from None
    if abs(number) > _MAX_STEP:
        raise ValueError(f"a step is at most 2^53; `{number!r:.80}` is not")
    return number
