"""Which series belong on one chart: train and validation values of one metric share an axis."""

from __future__ import annotations

import re
from typing import NamedTuple

_ROLES = {
    "train": "train",
    "training": "train",
    "tr": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "eval": "val",
    "test": "test",
}


class ChartPlace(NamedTuple):
    """Where a series is drawn."""

    family: str
    role: str


def place_of(name: str) -> ChartPlace:
    """The family and role of a series: `val/acc` gives (`acc`, `val`), `train_loss_epoch` (`loss`, `train`)."""
    words = [word for word in re.split(r"[_/.\-\s]+", name) if word]
    if len(words) > 1 and words[-1].lower() in ("step", "epoch"):
        words = words[:-1]
    for index in (0, len(words) - 1):
        if len(words) > 1 and words[index].lower() in _ROLES:
            role = _ROLES[words[index].lower()]
            rest = words[:index] + words[index + 1 :]
            return ChartPlace("_".join(rest), role)
    return ChartPlace("_".join(words) or name, "other")


def order(families: list[str]) -> list[str]:
    """Loss first, learning rate last, the rest as they appeared."""
    return sorted(families, key=lambda family: ("loss" not in family.lower()) + 2 * (family.split("_")[0] == "lr"))
