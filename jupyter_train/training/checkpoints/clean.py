"""The newest moment of a fit at which nothing was half done: what a checkpoint taken later must say of it."""

from __future__ import annotations

import time
from typing import Any

import pytorch_lightning as pl
import torch

from jupyter_train.store.writer import Marker
from jupyter_train.training import randomness, state
from jupyter_train.training.moments import Moment

#: How often the slower random generators are looked at.
_LOOK_AT_ALL_S = 0.25


class CleanMoment:
    """The newest moment at which nothing was half done."""

    def __init__(self) -> None:
        self.moment = Moment.BETWEEN_BATCHES
        self.metrics: dict[str, Any] | None = None
        self.marker: Marker | None = None  # of the history, before the validation
        self._steps = -1
        self._torch: torch.Tensor | None = None
        self._whole: dict[str, Any] | None = None
        self._whole_at = 0.0
        self._is_whole_of_now = False

    def note(self, trainer: pl.Trainer, moment: Moment) -> None:
        """This is one. Torch's generator is looked at each time, the slower ones now and then."""
        now = time.monotonic()
        self.moment = moment
        self._steps = _steps(trainer)
        self._torch = randomness.torch_state()
        is_validation = moment is Moment.BEFORE_VALIDATION
        self._is_whole_of_now = is_validation or now - self._whole_at > _LOOK_AT_ALL_S
        if self._is_whole_of_now:
            self._whole, self._whole_at = randomness.capture(), now
        self.metrics = state.held_metrics(trainer) if is_validation else None

    def is_unchanged(self, trainer: pl.Trainer) -> bool:
        """False once an optimizer has stepped since."""
        return _steps(trainer) == self._steps

    def random(self) -> dict[str, Any]:
        """The random state of that moment, and whether all of it is known to be."""
        now = randomness.capture()
        if self._whole is None or self._torch is None:
            return {**now, "is_exact": False}
        if self._is_whole_of_now:
            return {**self._whole, "is_exact": True}
        is_exact = randomness.is_same_but_for_torch(now, self._whole)
        return {**now, "torch": self._torch, "is_exact": is_exact}


def _steps(trainer: pl.Trainer) -> int:
    """Steps of optimizers so far; as `global_step`, without its way through five properties."""
    loop = trainer.fit_loop.epoch_loop
    by_itself = loop.automatic_optimization.optim_progress.optimizer.step.total.completed
    return by_itself + loop.manual_optimization.optim_step_progress.total.completed
