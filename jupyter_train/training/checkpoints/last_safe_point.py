"""The last safe point of a fit: the state that a checkpoint taken after it must hold."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.core.hooks import DataHooks

from jupyter_train.store.writer import HistoryMarker
from jupyter_train.training.checkpoints.dump import dump_checkpoint
from jupyter_train.training.checkpoints.format import RUN_STATE_KEY
from jupyter_train.training.checkpoints.validation_start import ValidationStart
from jupyter_train.training.engine.hooks import TRANSFER_HOOKS, is_overridden
from jupyter_train.training.lightning.safe_points import SafePoint
from jupyter_train.training.state import fit_state, rng_state

#: How often the states of the slower random generators are captured.
_FULL_CAPTURE_INTERVAL_S = 0.25


class LastSafePoint:
    """The last safe point of a fit.

    Attributes:
        moment: Which kind it was.
        validation: The state at its start, where a validation began then.
        batches: Training batches begun by then; -1 before the first safe point.
        marker: Its position in the run's history, where a validation began then.
    """

    def __init__(self) -> None:
        self.moment = SafePoint.BETWEEN_BATCHES
        self.validation: ValidationStart | None = None
        self.marker: HistoryMarker | None = None
        self.batches = -1
        self._epochs = -1
        self._is_last_batch = False
        self._torch: torch.Tensor | None = None
        self._whole: dict[str, Any] | None = None
        self._whole_at = 0.0
        self._is_whole_of_now = False

    def note(self, trainer: pl.Trainer, moment: SafePoint) -> None:
        """Sets the safe point to now; captures torch's generator each time, the slower ones every 0.25 s."""
        now = time.monotonic()
        self.moment = moment
        self.validation = None
        loop: Any = trainer.fit_loop
        progress = loop.epoch_loop.batch_progress
        self.batches = progress.total.ready
        self._is_last_batch = progress.is_last_batch
        self._epochs = loop.epoch_progress.total.processed
        self._torch = rng_state.torch_state()
        is_validation = moment is SafePoint.BEFORE_VALIDATION
        self._is_whole_of_now = is_validation or now - self._whole_at > _FULL_CAPTURE_INTERVAL_S
        if self._is_whole_of_now:
            self._whole, self._whole_at = rng_state.capture(), now

    def begin_validation(
        self, trainer: pl.Trainer, marker: HistoryMarker, extra: Callable[[], dict[str, Any]] | None
    ) -> None:
        """Captures the state at the start of a validation, inside which a checkpoint may be requested.

        Args:
            trainer: About to validate.
            marker: This position in the run's history.
            extra: Returns what a checkpoint holds of the run besides the fit; None where none can be requested.
        """
        self.marker = marker
        self.validation = ValidationStart(trainer, extra) if extra is not None else None

    @property
    def is_known(self) -> bool:
        """False until this attempt has reached its first safe point."""
        return self.batches >= 0

    def has_begun_a_batch(self, trainer: pl.Trainer) -> bool:
        """Whether a batch has begun since the safe point."""
        return self.is_known and bool(trainer.fit_loop.epoch_loop.batch_progress.total.ready != self.batches)

    def holds(self, trainer: pl.Trainer) -> bool:
        """Whether nothing that a checkpoint holds has changed since: a batch is being read, or a validation runs."""
        if trainer.validating:
            return self.validation is not None and self.validation.is_unchanged(trainer)
        fit_loop: Any = trainer.fit_loop
        has_ended_an_epoch = fit_loop.epoch_progress.total.processed != self._epochs
        is_reading = self.moment is SafePoint.BETWEEN_BATCHES and not has_ended_an_epoch
        return is_reading and not self.has_begun_a_batch(trainer) and not _may_change_with_a_batch(trainer)

    def accept(self, trainer: pl.Trainer) -> None:
        """Accepts what a command has changed in the running validation: later checkpoints hold it."""
        if self.validation is not None:
            self.validation.accept(trainer)

    def content(
        self, trainer: pl.Trainer, moment: SafePoint, extra: Callable[[], dict[str, Any]], random: dict[str, Any]
    ) -> dict[str, Any]:
        """The content of a checkpoint taken now; tensors are shared with the fit, not copied."""
        content = dump_checkpoint(trainer)
        content["loops"] = fit_state.drop_unfinished(content["loops"], moment)
        if self.is_known:  # Lightning sets it as soon as the next batch is read
            content["loops"]["fit_loop"]["epoch_loop.batch_progress"]["is_last_batch"] = self._is_last_batch
        begun = self.validation
        run_state = fit_state.capture(trainer, moment) | extra() if begun is None else begun.run_state
        content[RUN_STATE_KEY] = run_state | {"random": random}
        return content

    def random_at(self, moment: SafePoint) -> dict[str, Any]:
        """The random state that belongs to a checkpoint taken now."""
        is_earlier = moment is SafePoint.BEFORE_VALIDATION
        return self.random() if is_earlier else {**rng_state.capture(), "is_exact": True}

    def random(self) -> dict[str, Any]:
        """The random state of the safe point, with `is_exact`: whether all of it is known to be of then."""
        current = rng_state.capture()
        if self._whole is None or self._torch is None:
            return {**current, "is_exact": False}
        if self._is_whole_of_now:
            return {**self._whole, "is_exact": True}
        is_exact = rng_state.is_equal_except_torch(current, self._whole)
        return {**current, "torch": self._torch, "is_exact": is_exact}


def _may_change_with_a_batch(trainer: pl.Trainer) -> bool:
    """Whether user code runs between reading and counting a batch, or reading it changes a saved loader state."""
    datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]
    owners = [owner for owner in (trainer.lightning_module, datamodule) if owner is not None]
    if any(is_overridden(owner, name, DataHooks) for owner in owners for name in TRANSFER_HOOKS):
        return True
    loader: Any = trainer.fit_loop._combined_loader
    return any(callable(getattr(owner, "state_dict", None)) for owner in loader.flattened)
