"""One batch: its closure and the optimizer's step, with every hook that is overridden and none that is not."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.plugins.precision import DoublePrecision, HalfPrecision, MixedPrecision, Precision

from jupyter_train.training.engine.closure import BatchClosure, lightnings
from jupyter_train.training.engine.hooks import Hooks
from jupyter_train.training.engine.optimization import Passes
from jupyter_train.training.engine.optimizers import Shortcut, is_plain
from jupyter_train.training.engine.signature import Signature

_KNOWN = (Precision, MixedPrecision, HalfPrecision, DoublePrecision)


class Step:
    """Optimizes on one batch after the other.

    Args:
        trainer: The fitting trainer.
        hooks: What is overridden.
    """

    def __init__(self, trainer: pl.Trainer, hooks: Hooks) -> None:
        strategy: Any = trainer.strategy
        module: Any = trainer.lightning_module
        self._trainer = trainer
        self._hooks = hooks
        self._module = module
        self._attributes = module.__dict__
        self._strategy = strategy
        self._passes = Passes(trainer, hooks)
        self._optimization: Any = self._passes.optimization
        self._steps = self._optimization.optim_progress.optimizer.step
        self._is_known = _is_known(trainer.precision_plugin)
        self._signature = Signature(module, "training_step")
        self._shortcut = Shortcut(strategy._optimizers[0])

    def __call__(self, batch: Any, batch_idx: int, is_accumulating: bool) -> dict[str, Any]:
        """What the step gave, as `on_train_batch_end` is told.

        Args:
            batch: On the device.
            batch_idx: Its number in the epoch.
            is_accumulating: Whether the optimizer waits for more batches.
        """
        strategy, shortcut, attributes = self._strategy, self._shortcut, self._attributes
        optimizer, wrapper = strategy._optimizers[0], strategy._lightning_optimizers[0]
        arguments = (batch, batch_idx) if self._signature.takes_index else (batch,)
        if not self._is_known:
            named = OrderedDict(zip(("batch", "batch_idx"), arguments, strict=False))
            return self._optimization.run(optimizer, batch_idx, named)  # type: ignore[no-any-return]
        if shortcut.optimizer is not optimizer:
            shortcut = self._shortcut = Shortcut(optimizer)
        has_own_step = self._hooks.has_own_step or "optimizer_step" in attributes
        if has_own_step or wrapper._optimizer is not optimizer or not is_plain(wrapper):
            return self._by_lightnings(arguments, batch_idx, is_accumulating)
        closure = BatchClosure(self._passes, arguments, batch_idx, shortcut)
        if is_accumulating:
            closure.accumulate()
            return closure.outputs()
        total, current = self._steps.total, self._steps.current
        total.ready += 1
        current.ready += 1
        before = attributes["_current_fx_name"]
        attributes["_current_fx_name"] = "optimizer_step"
        shortcut.step(closure)
        attributes["_current_fx_name"] = before
        total.completed += 1
        current.completed += 1
        return closure.outputs()

    def _by_lightnings(self, arguments: tuple[Any, ...], batch_idx: int, is_accumulating: bool) -> dict[str, Any]:
        """The same through Lightning's own objects, as far as they are shown to anybody."""
        closure = lightnings(self._passes, arguments, batch_idx, self._shortcut)
        if is_accumulating:
            closure()
        else:
            self._optimization._optimizer_step(batch_idx, closure)
        self._hooks.catch_up()
        result = closure.consume_result()
        return {} if result.loss is None else result.asdict()


def _is_known(precision: Any) -> bool:
    """True where a precision plugin optimizes as Lightning's plain one; it may still cast what goes in."""
    return type(precision) in _KNOWN and getattr(precision, "scaler", None) is None
