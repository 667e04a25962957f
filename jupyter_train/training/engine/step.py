"""One batch: the training step, backward and the optimizer, with every hook that is overridden and none that is not."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loops.optimization.automatic import Closure, ClosureResult
from pytorch_lightning.plugins.precision import DoublePrecision, HalfPrecision, MixedPrecision, Precision
from pytorch_lightning.trainer import call
from pytorch_lightning.utilities.signature_utils import is_param_in_hook_signature
from torch.optim import Optimizer
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

from jupyter_train.training.engine.hooks import Hooks

_THEIR_ZERO_GRAD = Optimizer.zero_grad
_KNOWN = (Precision, MixedPrecision, HalfPrecision, DoublePrecision)


class Step:
    """Optimizes on one batch after the other; made anew every epoch.

    Args:
        trainer: The fitting trainer.
        hooks: What is overridden.
        is_told: Whether anybody is told what the step gave.
    """

    def __init__(self, trainer: pl.Trainer, hooks: Hooks, is_told: bool) -> None:
        module: Any = trainer.lightning_module
        strategy: Any = trainer.strategy
        optimization: Any = trainer.fit_loop.epoch_loop.automatic_optimization
        progress = optimization.optim_progress.optimizer
        self._trainer = trainer
        self._module = module
        self._attributes = module.__dict__
        self._epoch = trainer.current_epoch
        self._optimizer: Any = trainer.optimizers[0]
        self._lightning_optimizer = strategy._lightning_optimizers[0]
        self._optimization = optimization
        self._steps, self._zeroed = progress.step, progress.zero_grad
        self._training_step = module.training_step
        self._takes_index = is_param_in_hook_signature(module.training_step, "batch_idx", min_args=2)
        self._is_told = is_told
        self._precision: Any = trainer.precision_plugin
        self._is_known = _is_known(self._precision)
        self._context = None if type(self._precision) is Precision else self._precision.train_step_context
        self._on_before_zero_grad = hooks.of("on_before_zero_grad")
        self._on_before_backward = hooks.of("on_before_backward")
        self._on_after_backward = hooks.of("on_after_backward")
        self._on_before_optimizer_step = hooks.of("on_before_optimizer_step")
        self._zero_grad: Callable[..., Any] | None = hooks.of_module("optimizer_zero_grad")
        self._zeroes_plainly = type(self._optimizer).zero_grad is _THEIR_ZERO_GRAD
        self._has_own_backward = hooks.of_module("backward") is not None
        self._has_own_step = hooks.of_module("optimizer_step") is not None
        self._has_own_clipping = any(
            hooks.of_module(name) is not None for name in ("configure_gradient_clipping", "clip_gradients")
        )
        self._optimizer_step = _step_of(self._optimizer)
        self._arguments: tuple[Any, ...] = ()
        self._batch_idx = 0
        self._result: dict[str, Any] = {}

    def __call__(self, batch: Any, batch_idx: int, is_accumulating: bool) -> dict[str, Any]:
        """What the step gave, as `on_train_batch_end` is told; without a meaning where nobody is.

        Args:
            batch: On the device.
            batch_idx: Its number in the epoch.
            is_accumulating: Whether the optimizer waits for more batches.
        """
        if not self._is_known:
            named = OrderedDict(batch=batch, batch_idx=batch_idx) if self._takes_index else OrderedDict(batch=batch)
            given: dict[str, Any] = self._optimization.run(self._optimizer, batch_idx, named)
            return given
        self._arguments = (batch, batch_idx) if self._takes_index else (batch,)
        self._batch_idx = batch_idx
        if is_accumulating:
            self._closure()
        else:
            total, current = self._steps.total, self._steps.current
            total.ready += 1
            current.ready += 1
            self._step()
            total.completed += 1
            current.completed += 1
        self._arguments = ()
        return self._result

    def _step(self) -> None:
        attributes = self._attributes
        before = attributes["_current_fx_name"]
        attributes["_current_fx_name"] = "optimizer_step"
        if self._has_own_step:
            self._module.optimizer_step(self._epoch, self._batch_idx, self._lightning_optimizer, self._closure)
        else:
            self._optimizer_step(closure=self._closure_and_after)
        attributes["_current_fx_name"] = before

    def _closure_and_after(self) -> Any:
        found = self._forward_and_backward() if torch.is_grad_enabled() else self._closure()
        if self._on_before_optimizer_step is not None:
            self._on_before_optimizer_step(self._optimizer)
        trainer: Any = self._trainer
        if self._has_own_clipping or trainer.gradient_clip_val:
            self._precision._clip_gradients(
                self._module,
                self._optimizer,
                trainer.gradient_clip_val,
                gradient_clip_algorithm=trainer.gradient_clip_algorithm,
            )
        return found

    def _closure(self) -> torch.Tensor | None:
        with torch.enable_grad():
            return self._forward_and_backward()

    def _forward_and_backward(self) -> torch.Tensor | None:
        output = self._forward()
        parts = self._trainer.accumulate_grad_batches
        if type(output) is torch.Tensor:
            loss: Any = output if parts == 1 else output / parts
            extra: Mapping[str, Any] = {}
        else:
            result = ClosureResult.from_training_step_output(output, parts)
            loss, extra = result.closure_loss, result.extra
        if loss is None:
            Closure.warning_cache.warn(
                "`training_step` returned `None`. If this was on purpose, ignore this warning..."
            )
            told = None
        else:
            told = loss.detach().clone() if self._is_told else loss.detach()
        if not self._optimization._skip_backward:  # in the last epoch of weight averaging only statistics are taken
            if self._batch_idx % parts == 0:
                self._zero()
            if loss is not None:
                self._backward(loss)
        self._result = {} if told is None else {"loss": told, **extra}
        return told

    def _forward(self) -> Any:
        attributes = self._attributes
        before = attributes["_current_fx_name"]
        attributes["_current_fx_name"] = "training_step"
        if self._context is None:
            output = self._training_step(*self._arguments)
        else:
            with self._context():
                output = self._training_step(*self._arguments)
        attributes["_current_fx_name"] = before
        return output

    def _zero(self) -> None:
        optimizer = self._optimizer
        total, current = self._zeroed.total, self._zeroed.current
        total.ready += 1
        current.ready += 1
        if self._on_before_zero_grad is not None:
            self._on_before_zero_grad(optimizer)
        total.started += 1
        current.started += 1
        if self._zero_grad is not None:
            call._call_lightning_module_hook(
                self._trainer, "optimizer_zero_grad", self._epoch, self._batch_idx, optimizer
            )
        elif self._zeroes_plainly:
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    parameter.grad = None
        else:
            optimizer.zero_grad()
        total.completed += 1
        current.completed += 1

    def _backward(self, loss: torch.Tensor) -> None:
        if self._on_before_backward is not None:
            self._on_before_backward(loss)
        attributes = self._attributes
        before = attributes["_current_fx_name"]
        attributes["_current_fx_name"] = "backward"
        if self._has_own_backward:
            self._module.backward(loss)
        else:
            loss.backward()  # type: ignore[no-untyped-call]
        attributes["_current_fx_name"] = before
        if self._on_after_backward is not None:
            self._on_after_backward()


def _is_known(precision: Any) -> bool:
    """True where a precision plugin optimizes as Lightning's plain one; it may still cast what goes in."""
    return type(precision) in _KNOWN and getattr(precision, "scaler", None) is None


def _step_of(optimizer: Any) -> Callable[..., Any]:
    """An optimizer's step, without PyTorch's wrapper around it while there is nothing for that to call or note."""
    plain = getattr(getattr(type(optimizer), "step", None), "__wrapped__", None)
    if "step" in vars(optimizer) or not getattr(type(optimizer).step, "hooked", False) or plain is None:
        return optimizer.step  # type: ignore[no-any-return]

    def step(closure: Callable[[], Any]) -> Any:
        is_listened_to = (
            optimizer._optimizer_step_pre_hooks
            or optimizer._optimizer_step_post_hooks
            or _global_optimizer_pre_hooks
            or _global_optimizer_post_hooks
            or torch.autograd._profiler_enabled()  # type: ignore[attr-defined]
        )
        return optimizer.step(closure=closure) if is_listened_to else plain(optimizer, closure=closure)

    return step
