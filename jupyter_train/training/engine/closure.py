"""The closure of a batch that its optimizer calls: forward, zero_grad and backward."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from pytorch_lightning.loops.optimization.automatic import Closure, ClosureResult

from jupyter_train.training.engine.optimization import ClosureParts
from jupyter_train.training.engine.optimizers import DirectOptimizer


class BatchClosure:
    """Lightning's `Closure` within `Precision._wrap_closure` (2.6), made for each batch.

    It holds the result of its last call and is dropped with the batch: nothing outlives the step.

    Args:
        parts: Forward, zero_grad and backward.
        arguments: Of the training step.
        batch_idx: The batch's index in the epoch.
        optimizer: Steps the optimizer.
    """

    __slots__ = ("_arguments", "_batch_idx", "_optimizer", "_parts", "_result", "_skips_backward", "_zeroes")

    def __init__(
        self, parts: ClosureParts, arguments: tuple[Any, ...], batch_idx: int, optimizer: DirectOptimizer
    ) -> None:
        self._parts = parts
        self._arguments = arguments
        self._batch_idx = batch_idx
        self._optimizer = optimizer
        self._skips_backward = parts.optimization._skip_backward
        self._zeroes = batch_idx % parts.trainer.accumulate_grad_batches == 0
        self._result: dict[str, Any] | None = None

    def __call__(self) -> torch.Tensor | None:
        """The loss; computes and clips gradients."""
        loss = self._run() if torch.is_grad_enabled() else self.accumulate()
        parts = self._parts
        if parts.hooks.runs_after_closure or parts.trainer.gradient_clip_val:
            parts.after_backward(self._optimizer.optimizer)
        return loss

    def accumulate(self) -> torch.Tensor | None:
        """The loss; computes gradients."""
        if torch.is_grad_enabled():
            return self._run()
        with torch.enable_grad():
            return self._run()

    def outputs(self) -> dict[str, Any]:
        """The result of the last call, as `on_train_batch_end` receives it.

        Raises:
            MisconfigurationException: The closure was never called.
        """
        if self._result is None:
            return Closure(lambda: ClosureResult(None)).consume_result().asdict()  # raises Lightning's own error
        return self._result

    def _run(self) -> torch.Tensor | None:
        """Keeps only the detached loss and the extra outputs of the step, so that the graph is freed."""
        parts, optimizer = self._parts, self._optimizer
        loss = parts.forward(self._arguments)
        hooks, accumulated = parts.hooks, parts.trainer.accumulate_grad_batches
        extra: Mapping[str, Any] = {}
        if type(loss) is not torch.Tensor:
            result = ClosureResult.from_training_step_output(loss, accumulated)
            loss, extra = result.closure_loss, result.extra
            del result
        elif accumulated != 1 or hooks.exposes_loss or not optimizer.has_plain_zero_grad:
            loss = loss / accumulated  # a new tensor, wherever user code could see the difference
        detached_loss = None if loss is None else loss.detach()
        if detached_loss is None:
            Closure.warning_cache.warn(
                "`training_step` returned `None`. If this was on purpose, ignore this warning..."
            )
        elif hooks.on_train_batch_end is not None or not optimizer.is_from_torch:
            detached_loss = detached_loss.clone()  # user code may change it in place
        if not self._skips_backward:
            if self._zeroes:
                parts.zero(optimizer, self._batch_idx)
            if loss is not None:
                parts.backward(loss)
        self._result = {} if detached_loss is None else {"loss": detached_loss, **extra}
        return detached_loss


def lightning_closure(
    parts: ClosureParts, arguments: tuple[Any, ...], batch_idx: int, optimizer: DirectOptimizer
) -> Closure:
    """The same closure as Lightning's own class, for user code that receives it, such as `optimizer_step`."""
    # `StochasticWeightAveraging` skips backward in its last epoch, which only updates BatchNorm statistics
    goes_back = not parts.optimization._skip_backward
    zeroes = goes_back and batch_idx % parts.trainer.accumulate_grad_batches == 0
    return Closure(
        partial(_closure_result, parts, arguments),
        parts.backward if goes_back else None,
        partial(parts.zero, optimizer, batch_idx) if zeroes else None,
    )


def _closure_result(parts: ClosureParts, arguments: tuple[Any, ...]) -> ClosureResult:
    return ClosureResult.from_training_step_output(parts.forward(arguments), parts.trainer.accumulate_grad_batches)
