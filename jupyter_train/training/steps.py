"""Takes each step's logged values where Lightning keeps them, without a trip through its logger calls.

Lightning's own way, a logger asked at every step, converts every value to a Python number (on a GPU: a
synchronisation) and costs 5 % of a small model's speed. Its private parts are touched only on releases this was
tested with; on others the logger is asked at every step instead.
"""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch

from jupyter_train.training.logger import RunLogger

_TESTED = ("2.6.",)


def take_steps(trainer: pl.Trainer, logger: RunLogger, has_others: bool) -> bool:
    """Makes the run record every step's values; False when this Lightning release is not known well enough.

    Args:
        trainer: The trainer, not yet fitting.
        logger: Where the values go.
        has_others: True when loggers of the user's must still be called, at their own pace.
    """
    connector: Any = getattr(trainer, "_logger_connector", None)
    if not str(getattr(pl, "__version__", "")).startswith(_TESTED) or not hasattr(
        connector, "update_train_step_metrics"
    ):
        return False
    theirs = connector.update_train_step_metrics
    fit_loop = trainer.fit_loop

    def update_train_step_metrics() -> None:
        if fit_loop._should_accumulate() and trainer.lightning_module.automatic_optimization:
            return
        values = step_values(trainer)
        logger.epoch = trainer.current_epoch
        logger.record(values, fit_loop.epoch_loop._batches_that_stepped)
        if has_others:
            logger.handled_elsewhere = {*logger.handled_elsewhere, *(name for name, _ in values)}
            theirs()

    connector.update_train_step_metrics = update_train_step_metrics
    return True


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
