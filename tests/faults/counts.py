"""How often each fault is tried: a share in every check, all of it with `pytest tests/faults --full`."""

from __future__ import annotations

import os

_VARIABLE = "JUPYTER_TRAIN_FULL_FAULTS"
#: Which epoch loop trains.
ENGINE_VARIABLE = "JUPYTER_TRAIN_FAULT_ENGINE"


def share(few: int, all_of_them: int) -> int:
    """How many trials are due."""
    return all_of_them if os.environ.get(_VARIABLE) else few


def make_full() -> None:
    """All trials from now on, in every process of this test run."""
    os.environ[_VARIABLE] = "1"
