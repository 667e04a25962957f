"""Seeds a run, and restores the kernel's random state afterwards."""

from __future__ import annotations

import os
import random
import secrets
from typing import Any

import numpy as np
import torch
from pytorch_lightning import seed_everything

_VARIABLES = ("PL_GLOBAL_SEED", "PL_SEED_WORKERS")


def draw_seed() -> int:
    """A random seed from 0 to 2**32 - 1; uses no generator that training uses."""
    return secrets.randbelow(2**32)


def seed_all(seed: int) -> None:
    """Seeds python, numpy, torch, CUDA and DataLoader workers."""
    seed_everything(seed, workers=True, verbose=False)


class KernelRandomState:
    """The kernel's random state when this was created."""

    def __init__(self) -> None:
        self._python = random.getstate()
        self._numpy: Any = np.random.get_state()
        self._torch = torch.get_rng_state()
        self._cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None  # type: ignore[no-untyped-call]
        self._variables = {name: os.environ.get(name) for name in _VARIABLES}

    def restore(self) -> None:
        """Restores the state."""
        random.setstate(self._python)
        np.random.set_state(self._numpy)
        torch.set_rng_state(self._torch)
        if self._cuda is not None:
            torch.cuda.set_rng_state_all(self._cuda)
        for name, value in self._variables.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
