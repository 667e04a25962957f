"""Stock trainers that say nothing, and what of a fit is looked at while it runs."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl

from tests.models import DigitsData, LitDigits


def quiet_trainer(**options: Any) -> pl.Trainer:
    """A trainer on one CPU that writes and prints nothing."""
    usual = {"max_epochs": 1, "accelerator": "cpu", "devices": 1, "logger": False, "enable_progress_bar": False}
    return pl.Trainer(**{**usual, "enable_checkpointing": False, "enable_model_summary": False, **options})


class At(pl.Callback):
    """Calls `work` with the trainer at one hook of a fit.

    Args:
        hook: Name of the hook.
        work: What is done there.
        step: The optimizer step before which it is done, once; every time if None.
    """

    def __init__(self, hook: str, work: Callable[[pl.Trainer], Any], step: int | None = None) -> None:
        setattr(self, hook, self._call)
        self._work = work
        self._step = step

    def _call(self, trainer: pl.Trainer, *_: Any) -> None:
        if self._step is None or trainer.global_step == self._step:
            self._work(trainer)
            self._step = None if self._step is None else -1


def fit(module: pl.LightningModule | None = None, data: Any = None, *callbacks: pl.Callback, **options: Any) -> Any:
    """The trainer after a fit of a digits' model (64 rows in batches of 32) with these callbacks."""
    trainer = quiet_trainer(callbacks=list(callbacks), **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(module or LitDigits(), data or DigitsData(64))
    return trainer
