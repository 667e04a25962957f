"""Optimizes on one batch: its closure and the optimizer's step, calling the overridden hooks only."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.plugins.precision import DoublePrecision, HalfPrecision, MixedPrecision, Precision

from jupyter_train.training.engine.closure import BatchClosure, lightning_closure
from jupyter_train.training.engine.hooks import Hooks
from jupyter_train.training.engine.optimization import ClosureParts
from jupyter_train.training.engine.optimizers import DirectOptimizer, is_plain_wrapper
from jupyter_train.training.engine.signature import Signature

_KNOWN_PRECISIONS = (Precision, MixedPrecision, HalfPrecision, DoublePrecision)


class Step:
    """Optimizes on one batch after the other.

    Args:
        trainer: The fitting trainer.
        hooks: The overridden hooks.
    """

    def __init__(self, trainer: pl.Trainer, hooks: Hooks) -> None:
        strategy: Any = trainer.strategy
        module: Any = trainer.lightning_module
        self._trainer = trainer
        self._hooks = hooks
        self._module = module
        self._attributes = module.__dict__
        self._strategy = strategy
        self._parts = ClosureParts(trainer, hooks)
        self._optimization: Any = self._parts.optimization
        self._steps = self._optimization.optim_progress.optimizer.step
        self._is_known = _is_known_precision(trainer.precision_plugin)
        self._signature = Signature(module, "training_step")
        self._optimizer = DirectOptimizer(strategy._optimizers[0])

    def __call__(self, batch: object, batch_idx: int, is_accumulating: bool) -> dict[str, Any]:
        """The outputs of the step, as `on_train_batch_end` receives them.

        Args:
            batch: On the device.
            batch_idx: Its index in the epoch.
            is_accumulating: Whether the optimizer waits for more batches.
        """
        strategy, direct, attributes = self._strategy, self._optimizer, self._attributes
        optimizer, wrapper = strategy._optimizers[0], strategy._lightning_optimizers[0]
        arguments = (batch, batch_idx) if self._signature.takes_index else (batch,)
        if not self._is_known:
            named = OrderedDict(zip(("batch", "batch_idx"), arguments, strict=False))
            return self._optimization.run(optimizer, batch_idx, named)  # type: ignore[no-any-return]
        if direct.optimizer is not optimizer:
            direct = self._optimizer = DirectOptimizer(optimizer)
        has_own_step = self._hooks.has_own_step or "optimizer_step" in attributes
        if has_own_step or wrapper._optimizer is not optimizer or not is_plain_wrapper(wrapper):
            return self._run_lightning_closure(arguments, batch_idx, is_accumulating)
        closure = BatchClosure(self._parts, arguments, batch_idx, direct)
        if is_accumulating:
            closure.accumulate()
            return closure.outputs()
        total, current = self._steps.total, self._steps.current
        total.ready += 1
        current.ready += 1
        previous_hook = attributes["_current_fx_name"]
        attributes["_current_fx_name"] = "optimizer_step"
        direct.step(closure)
        attributes["_current_fx_name"] = previous_hook
        total.completed += 1
        current.completed += 1
        return closure.outputs()

    def _run_lightning_closure(
        self, arguments: tuple[Any, ...], batch_idx: int, is_accumulating: bool
    ) -> dict[str, Any]:
        """The same through Lightning's `Closure` and `LightningOptimizer`, which user code receives."""
        closure = lightning_closure(self._parts, arguments, batch_idx, self._optimizer)
        if is_accumulating:
            closure()
        else:
            self._optimization._optimizer_step(batch_idx, closure)
        self._hooks.refresh_if_changed()
        result = closure.consume_result()
        return {} if result.loss is None else result.asdict()


def _is_known_precision(precision: Precision) -> bool:
    """True where a precision plugin optimizes as `Precision` does; it may still cast the inputs."""
    return type(precision) in _KNOWN_PRECISIONS and getattr(precision, "scaler", None) is None
