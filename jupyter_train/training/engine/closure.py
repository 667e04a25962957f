"""What an optimizer calls on a batch: its forward, zero_grad and backward, and what came of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from pytorch_lightning.loops.optimization.automatic import Closure, ClosureResult

from jupyter_train.training.engine.optimizers import Shortcut
from jupyter_train.training.engine.passes import Passes


class BatchClosure:
    """One batch's, as Lightning's `Closure` within `Precision._wrap_closure`; made anew for every batch, as that is.

    It holds what the last call gave, and is let go of with the batch: nothing outlives the step.

    Args:
        passes: The parts it is made of.
        arguments: Of the training step.
        batch_idx: The batch's number in the epoch.
        shortcut: To the optimizer.
    """

    __slots__ = ("_arguments", "_batch_idx", "_goes_back", "_passes", "_result", "_shortcut", "_zeroes")

    def __init__(self, passes: Passes, arguments: tuple[Any, ...], batch_idx: int, shortcut: Shortcut) -> None:
        self._passes = passes
        self._arguments = arguments
        self._batch_idx = batch_idx
        self._shortcut = shortcut
        self._goes_back, self._zeroes = _parts_of(passes, batch_idx)
        self._result: tuple[Any, torch.Tensor | None, Mapping[str, Any]] | None = None

    def __call__(self) -> torch.Tensor | None:
        """The loss, with gradients made and clipped."""
        loss = self._run() if torch.is_grad_enabled() else self.accumulate()
        self._passes.after(self._shortcut.optimizer)
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
        _, loss, extra = self._result
        return {} if loss is None else {"loss": loss, **extra}

    def _run(self) -> torch.Tensor | None:
        passes = self._passes
        output = passes.forward(self._arguments)
        loss, extra = self._split(output)
        is_alias = loss is output
        del output  # a dict of outputs ends here, as in Lightning's loop
        told = self._told(loss)
        if self._zeroes:
            passes.zero(self._shortcut, self._batch_idx)
        if self._goes_back and loss is not None:
            passes.backward(loss)
        # Lightning holds the graph until the step is over, but not the tensor that the training step gave
        graph = loss.grad_fn if is_alias and loss is not None else loss
        self._result = graph, told, extra
        return told

    def _split(self, output: Any) -> tuple[torch.Tensor | None, Mapping[str, Any]]:
        """The loss to go back from, and what came with it."""
        passes = self._passes
        parts = passes.trainer.accumulate_grad_batches
        if type(output) is not torch.Tensor:
            result = ClosureResult.from_training_step_output(output, parts)
            return result.closure_loss, result.extra
        if parts == 1 and not passes.hooks.shows_loss and self._shortcut.zeroes_plainly:
            return output, {}  # nobody can tell it from a tensor of its own before backward is over
        return output / parts, {}

    def _told(self, loss: torch.Tensor | None) -> torch.Tensor | None:
        """The loss as others are told it: a copy, unless nobody can change it."""
        if loss is None:
            Closure.warning_cache.warn(
                "`training_step` returned `None`. If this was on purpose, ignore this warning..."
            )
            return None
        is_kept = self._passes.hooks.on_train_batch_end is not None or not self._shortcut.is_torchs
        return loss.detach().clone() if is_kept else loss.detach()


def lightnings(passes: Passes, arguments: tuple[Any, ...], batch_idx: int, shortcut: Shortcut) -> Closure:
    """The same as Lightning's own object, for those who are given it: an overridden `optimizer_step`, say."""
    goes_back, zeroes = _parts_of(passes, batch_idx)
    return Closure(
        partial(_result_of, passes, arguments),
        passes.backward if goes_back else None,
        partial(passes.zero, shortcut, batch_idx) if zeroes else None,
    )


def _result_of(passes: Passes, arguments: tuple[Any, ...]) -> ClosureResult:
    return ClosureResult.from_training_step_output(passes.forward(arguments), passes.trainer.accumulate_grad_batches)


def _parts_of(passes: Passes, batch_idx: int) -> tuple[bool, bool]:
    """Whether a batch goes backward, and whether it takes the gradients away before."""
    if passes.optimization._skip_backward:  # in the last epoch of weight averaging only statistics are taken
        return False, False
    return True, batch_idx % passes.trainer.accumulate_grad_batches == 0
