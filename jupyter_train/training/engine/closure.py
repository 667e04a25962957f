"""What an optimizer calls on a batch: its forward, zero_grad and backward, and what came of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from pytorch_lightning.loops.optimization.automatic import Closure, ClosureResult

from jupyter_train.training.engine.optimization import Passes
from jupyter_train.training.engine.optimizers import Shortcut


class BatchClosure:
    """One batch's, as Lightning's `Closure` within `Precision._wrap_closure`; made anew for every batch, as that is.

    It holds what the last call gave, and is let go of with the batch: nothing outlives the step.

    Args:
        passes: The parts it is made of.
        arguments: Of the training step.
        batch_idx: The batch's number in the epoch.
        shortcut: To the optimizer.
    """

    __slots__ = ("_arguments", "_batch_idx", "_passes", "_result", "_shortcut", "_skips_backward", "_zeroes")

    def __init__(self, passes: Passes, arguments: tuple[Any, ...], batch_idx: int, shortcut: Shortcut) -> None:
        self._passes = passes
        self._arguments = arguments
        self._batch_idx = batch_idx
        self._shortcut = shortcut
        self._skips_backward = passes.optimization._skip_backward
        self._zeroes = batch_idx % passes.trainer.accumulate_grad_batches == 0
        self._result: dict[str, Any] | None = None

    def __call__(self) -> torch.Tensor | None:
        """The loss, with gradients made and clipped."""
        loss = self._run() if torch.is_grad_enabled() else self.accumulate()
        passes = self._passes
        if passes.hooks.comes_after_closure or passes.trainer.gradient_clip_val:
            passes.after(self._shortcut.optimizer)
        return loss

    def accumulate(self) -> torch.Tensor | None:
        """The loss, with gradients made."""
        if torch.is_grad_enabled():
            return self._run()
        with torch.enable_grad():
            return self._run()

    def outputs(self) -> dict[str, Any]:
        """What the last call gave, as `on_train_batch_end` is told.

        Raises:
            MisconfigurationException: It was never called.
        """
        if self._result is None:
            return Closure(lambda: ClosureResult(None)).consume_result().asdict()  # raises, in Lightning's words
        return self._result

    def _run(self) -> torch.Tensor | None:
        """Nothing of what the step gave is held on to but what others are told, and not even the graph of the loss."""
        passes, shortcut = self._passes, self._shortcut
        loss = passes.forward(self._arguments)
        hooks, parts = passes.hooks, passes.trainer.accumulate_grad_batches
        extra: Mapping[str, Any] = {}
        if type(loss) is not torch.Tensor:
            result = ClosureResult.from_training_step_output(loss, parts)
            loss, extra = result.closure_loss, result.extra
            del result
        elif parts != 1 or hooks.shows_loss or not shortcut.zeroes_plainly:
            loss = loss / parts  # a tensor of its own, wherever somebody can tell it from the one given
        told = None if loss is None else loss.detach()
        if told is None:
            Closure.warning_cache.warn(
                "`training_step` returned `None`. If this was on purpose, ignore this warning..."
            )
        elif hooks.on_train_batch_end is not None or not shortcut.is_torchs:
            told = told.clone()  # somebody may change it
        if not self._skips_backward:
            if self._zeroes:
                passes.zero(shortcut, self._batch_idx)
            if loss is not None:
                passes.backward(loss)
        self._result = {} if told is None else {"loss": told, **extra}
        return told


def lightnings(passes: Passes, arguments: tuple[Any, ...], batch_idx: int, shortcut: Shortcut) -> Closure:
    """The same as Lightning's own object, for those who are given it: an overridden `optimizer_step`, say."""
    goes_back = not passes.optimization._skip_backward  # a last epoch of weight averaging only takes statistics
    zeroes = goes_back and batch_idx % passes.trainer.accumulate_grad_batches == 0
    return Closure(
        partial(_result_of, passes, arguments),
        passes.backward if goes_back else None,
        partial(passes.zero, shortcut, batch_idx) if zeroes else None,
    )


def _result_of(passes: Passes, arguments: tuple[Any, ...]) -> ClosureResult:
    return ClosureResult.from_training_step_output(passes.forward(arguments), passes.trainer.accumulate_grad_batches)
