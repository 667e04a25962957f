"""Takes each step's logged values where Lightning keeps them, without a trip through its logger calls.

Lightning's own way, a logger asked at every step, converts every value to a Python number (on a GPU: a
synchronisation) and costs 5 % of a small model's speed. Its private parts are touched only on releases this was
tested with; on others the logger is asked at every step instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch

from jupyter_train.training.logger import RunLogger


class StepValues:
    """Records every step's values, instead of Lightning's own call or (with loggers of the user's) before it.

    Args:
        trainer: The trainer, not yet fitting.
        logger: Where the values go.
        has_others: True when loggers of the user's must still be called, at their own pace.
    """

    def __init__(self, trainer: pl.Trainer, logger: RunLogger, has_others: bool) -> None:
        connector: Any = trainer._logger_connector
        self._trainer = trainer
        self._logger = logger
        self._theirs: Callable[[], None] | None = connector.update_train_step_metrics if has_others else None
        connector.update_train_step_metrics = _nothing

    def take(self) -> None:
        """Takes the values of the step that has just ended; none while gradients are still accumulated."""
        trainer = self._trainer
        fit_loop = trainer.fit_loop
        if fit_loop._should_accumulate() and trainer.lightning_module.automatic_optimization:
            return
        logger = self._logger
        values = step_values(trainer)
        logger.epoch = trainer.current_epoch
        logger.record(values, fit_loop.epoch_loop._batches_that_stepped)
        if self._theirs is not None:
            logger.handled_elsewhere = {*logger.handled_elsewhere, *(name for name, _ in values)}
            self._theirs()


def _nothing() -> None:
    """What Lightning calls instead."""


def step_values(trainer: pl.Trainer) -> list[tuple[str, Any]]:
    """(name, detached tensor) of everything logged for this step, under the names loggers would see."""
    results = trainer._results
    if results is None:
        return []
    values = []
    for item in results.values():
        meta = item.meta
        if item.has_reset or not meta.on_step or not meta.logger:
            continue
        value = item._forward_cache
        if isinstance(value, torch.Tensor) and value.numel() == 1:
            values.append((meta.forked_name(on_step=True), value.detach()))
    return values
