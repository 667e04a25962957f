"""Steps per second of a fit, and its number of steps."""

from __future__ import annotations

import math
import time

import pytorch_lightning as pl


class StepRate:
    """Steps per second of training alone."""

    def __init__(self) -> None:
        """Starts the measurement at step 0."""
        self._at = time.monotonic()
        self._step = 0
        self._rate: float | None = None

    def restart(self, step: int) -> None:
        """Starts the measurement again at this step."""
        self._at, self._step = time.monotonic(), step

    def now(self, step: int) -> float | None:
        """Smoothed steps per second at this step; None until 50 ms have been measured."""
        elapsed = time.monotonic() - self._at
        if step > self._step and elapsed > 0.05:
            fresh = (step - self._step) / elapsed
            self._rate = fresh if self._rate is None else 0.7 * self._rate + 0.3 * fresh
            self.restart(step)
        return self._rate


def total_steps(trainer: pl.Trainer) -> float:
    """Optimizer steps of the whole fit; `inf` where only time limits them."""
    limits = [math.inf]
    if trainer.max_steps not in (None, -1):
        limits.append(trainer.max_steps)
    if trainer.max_epochs not in (None, -1) and math.isfinite(trainer.num_training_batches):
        per_epoch = math.ceil(trainer.num_training_batches / max(1, trainer.accumulate_grad_batches))
        optimizers = 1 if trainer.lightning_module.automatic_optimization else max(1, len(trainer.optimizers))
        limits.append(per_epoch * int(trainer.max_epochs or 0) * optimizers)
    return min(limits)
