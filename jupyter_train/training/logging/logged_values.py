"""What modules log by their own calls: numbers as they are at that moment, and the step they belong to."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from typing import Any

import torch

#: Whole numbers beyond it are not whole in a browser.
_MAX_STEP = 1 << 53
#: A dict may hold itself.
_MAX_LEVELS = 8


def flatten(metrics: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Names and values; those of a dict under its name and a slash, as TensorBoard has them."""
    for name, value in metrics.items():
        if isinstance(value, Mapping) and prefix.count("/") < _MAX_LEVELS:
            yield from flatten(value, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", value


def to_number(value: Any) -> float | torch.Tensor | None:
    """The number that a value is now, whatever becomes of it later; on a device, a copy. None where it is none."""
    if isinstance(value, torch.Tensor):
        if value.numel() != 1 or value.is_complex():
            return None
        return float(value.detach()) if value.device.type == "cpu" else value.detach().clone()
    if value is None or isinstance(value, str | bytes | bytearray):
        return None
    try:
        return float(value.item() if hasattr(value, "item") else value)
    except Exception:  # noqa: BLE001  whatever an object of the user's does when it is asked
        return None


def describe_value(value: Any) -> str:
    """What a value that is no number is, in words."""
    if isinstance(value, int):
        return "too large"
    shape = getattr(value, "shape", None)
    of_shape = f" of shape {tuple(shape)}" if isinstance(shape, tuple) else ""
    return f"{type(value).__name__}{of_shape}, not a number"


def to_step(step: Any) -> int:
    """A step as a whole number.

    Raises:
        ValueError: It is none, or too large.
    """
    try:
        number = int(step) if isinstance(step, float) and step.is_integer() else operator.index(step)
    except TypeError:
        raise ValueError(f"a step is a whole number; `{step!r:.80}` is none") from None
    if abs(number) > _MAX_STEP:
        raise ValueError(f"a step is at most 2^53; `{number!r:.80}` is not")
    return number
