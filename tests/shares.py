"""Which of a test's parameters are tried in every check, and which with `--full` only."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def in_full(each: Iterable[Any], but: Collection[Any]) -> list[Any]:
    """Parameters of which `but` are tried in every check, the others with `--full` only."""
    return [one if one in but else pytest.param(one, marks=pytest.mark.full) for one in each]
