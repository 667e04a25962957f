"""A run is seeded everywhere, and the kernel's own random state is put back."""

from __future__ import annotations

import os
import random
from typing import Any

import numpy as np
import pytest
import torch

from jupyter_train.training.state.seeds import KernelRandomState, draw_seed, seed_all


def drawn() -> tuple[Any, ...]:
    return random.random(), float(np.random.rand()), float(torch.rand(1))


def test_the_same_seed_gives_the_same_numbers_of_every_kind() -> None:
    state = KernelRandomState()
    seed_all(7)
    first = drawn()
    seed_all(7)
    assert drawn() == first
    seed_all(8)
    second = drawn()
    assert all(a != b for a, b in zip(first, second, strict=True))
    assert os.environ["PL_GLOBAL_SEED"] == "8"
    assert os.environ["PL_SEED_WORKERS"] == "1"
    state.restore()


@pytest.mark.parametrize("variable", [None, "42"])
def test_the_kernels_state_is_as_before(monkeypatch, variable: str | None) -> None:
    monkeypatch.delenv("PL_GLOBAL_SEED", raising=False)
    if variable is not None:
        monkeypatch.setenv("PL_GLOBAL_SEED", variable)
    outer = KernelRandomState()
    expected = drawn()
    outer.restore()
    state = KernelRandomState()
    seed_all(7)
    drawn()
    state.restore()
    assert os.environ.get("PL_GLOBAL_SEED") == variable
    assert drawn() == expected


def test_a_seed_is_drawn_from_no_generator_of_training() -> None:
    state = KernelRandomState()
    expected = drawn()
    state.restore()
    seeds = [draw_seed() for _ in range(20)]
    assert drawn() == expected
    assert len(set(seeds)) == 20
    assert all(0 <= seed < 2**32 for seed in seeds)
