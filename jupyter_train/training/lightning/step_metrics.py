"""Reads each step's logged values from Lightning's results, without calling its loggers.

Lightning's own way, calling the loggers at every step, converts every value to a Python number (on a GPU: a
synchronisation) and costs 5 % of a small model's speed. On untested releases the loggers are called at every step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from jupyter_train.training.lightning.patches import LoopPatches, Moment
from jupyter_train.training.logging.run_logger import RunLogger

if TYPE_CHECKING:
    from pytorch_lightning.trainer.connectors.logger_connector.result import _ResultCollection


class StepMetrics:
    """Records every step's values, instead of Lightning's logger calls or, with other loggers, before them.

    Args:
        patches: Of a trainer that is not yet fitting.
        logger: Where the values go.
        has_others: True where other loggers are still called, every `log_every_n_steps`.
    """

    def __init__(self, patches: LoopPatches, logger: RunLogger, has_others: bool) -> None:
        trainer = patches.trainer
        epoch_loop: Any = trainer.fit_loop.epoch_loop
        self._trainer = trainer
        self._epoch_loop = epoch_loop
        self._epochs: Any = trainer.fit_loop.epoch_progress.current
        self._logger = logger
        self._names: dict[str, tuple[Any, str]] = {}
        self._log_step: Callable[[], None] | None = patches.lightning(Moment.STEP_METRICS) if has_others else None
        patches.register(Moment.STEP_METRICS, lambda _lightning: None)

    def take(self) -> None:
        """Records the values of the step that has just ended; none while gradients are accumulated."""
        epoch_loop = self._epoch_loop
        is_accumulating = self._trainer.accumulate_grad_batches != 1 and epoch_loop._should_accumulate()
        if is_accumulating and self._trainer.lightning_module.automatic_optimization:
            return
        logger = self._logger
        values = self._values(epoch_loop._results)
        logger.epoch = self._epochs.completed
        logger.record(values, epoch_loop._batches_that_stepped)
        if self._log_step is not None:
            logger.handled_elsewhere = {*logger.handled_elsewhere, *(name for name, _ in values)}
            self._log_step()

    def _values(self, results: _ResultCollection) -> list[tuple[str, Any]]:
        """(name, detached tensor) of everything logged for this step, under the names loggers would see."""
        values = []
        for key, item in results.items():
            known = self._names.get(key)
            if known is None or known[0] is not item:
                meta = item.meta
                is_wanted = meta.on_step and meta.logger
                known = self._names[key] = item, meta.forked_name(on_step=True) if is_wanted else ""
            if known[1] and not item.has_reset:
                value = item._forward_cache
                if isinstance(value, torch.Tensor) and value.numel() == 1:
                    values.append((known[1], value.detach()))
        return values
