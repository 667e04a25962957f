"""The parts of a batch's optimization: forward, zero_grad and backward, with the hooks that are overridden."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.precision import Precision
from pytorch_lightning.trainer import call

from jupyter_train.training.engine.hooks import Hooks
from jupyter_train.training.engine.optimizers import DirectOptimizer

if TYPE_CHECKING:
    from pytorch_lightning.utilities.types import STEP_OUTPUT
    from torch.optim import Optimizer


class ClosureParts:
    """Forward, zero_grad and backward of a batch, called by its closure.

    Args:
        trainer: The fitting trainer.
        hooks: What is overridden.
    """

    def __init__(self, trainer: pl.Trainer, hooks: Hooks) -> None:
        optimization: Any = trainer.fit_loop.epoch_loop.automatic_optimization
        precision: Any = trainer.precision_plugin
        self.hooks = hooks
        self.optimization = optimization
        self.trainer = trainer
        self._module = trainer.lightning_module
        self._attributes = self._module.__dict__
        self._precision = precision
        self._context = None if type(precision) is Precision else precision.train_step_context
        self._zeroed = optimization.optim_progress.optimizer.zero_grad

    def forward(self, arguments: tuple[Any, ...]) -> STEP_OUTPUT:
        """The output of the training step."""
        attributes = self._attributes
        previous_hook = attributes["_current_fx_name"]
        attributes["_current_fx_name"] = "training_step"
        if self._context is None:
            output = self._module.training_step(*arguments)
        else:
            with self._context():
                output = self._module.training_step(*arguments)
        attributes["_current_fx_name"] = previous_hook
        self.hooks.refresh_if_changed()
        return output

    def zero(self, optimizer: DirectOptimizer, batch_idx: int) -> None:
        """Sets the gradients to None, with the hooks around it."""
        optimizer, hooks = optimizer.optimizer, self.hooks
        total, current = self._zeroed.total, self._zeroed.current
        total.ready += 1
        current.ready += 1
        if hooks.on_before_zero_grad is not None:
            hooks.on_before_zero_grad(optimizer)
        total.started += 1
        current.started += 1
        if hooks.has_own_zero_grad:
            epoch = self.trainer.current_epoch
            call._call_lightning_module_hook(self.trainer, "optimizer_zero_grad", epoch, batch_idx, optimizer)
            hooks.refresh_if_changed()
        else:
            optimizer.zero_grad()
        total.completed += 1
        current.completed += 1

    def backward(self, loss: torch.Tensor) -> None:
        """Computes the gradients, with the hooks around it."""
        hooks, attributes = self.hooks, self._attributes
        if hooks.on_before_backward is not None:
            hooks.on_before_backward(loss)
        previous_hook = attributes["_current_fx_name"]
        attributes["_current_fx_name"] = "backward"
        if hooks.has_own_backward:
            self._module.backward(loss)
            hooks.refresh_if_changed()
        else:
            loss.backward()  # type: ignore[no-untyped-call]
        attributes["_current_fx_name"] = previous_hook
        if hooks.on_after_backward is not None:
            hooks.on_after_backward()

    def after_backward(self, optimizer: Optimizer) -> None:
        """Runs the hook before the optimizer step and clips gradients, as `Precision._after_closure` (2.6)."""
        hooks, trainer = self.hooks, self.trainer
        if hooks.on_before_optimizer_step is not None:
            hooks.on_before_optimizer_step(optimizer)
        if hooks.has_own_clipping or trainer.gradient_clip_val:
            self._precision._clip_gradients(
                self._module,
                optimizer,
                trainer.gradient_clip_val,
                gradient_clip_algorithm=trainer.gradient_clip_algorithm,
            )
