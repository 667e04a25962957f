"""An optimizer's `step` and `zero_grad` without PyTorch's wrappers, while these have nothing to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from pytorch_lightning.core.optimizer import do_nothing_closure
from torch.optim import Optimizer
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

if TYPE_CHECKING:
    from pytorch_lightning.core.optimizer import LightningOptimizer

_ZERO_GRAD = Optimizer.zero_grad
#: Known by its code: a user's `functools.wraps` around a step copies the attributes of PyTorch's wrapper, not this.
_WRAPPER: Any = Optimizer.profile_hook_step(Optimizer.step)
_is_profiling: Callable[[], bool] = torch.autograd._profiler_enabled  # type: ignore[attr-defined]


class DirectOptimizer:
    """Steps one optimizer; patches of it or its class, and registered hooks, are honoured at every call.

    Args:
        optimizer: As in `trainer.optimizers`.

    Attributes:
        is_from_torch: Whether its class is PyTorch's, which uses a closure's result only as a number.
    """

    def __init__(self, optimizer: Any) -> None:
        self.optimizer = optimizer
        self.is_from_torch = type(optimizer).__module__.startswith("torch.optim.")
        self._attributes: dict[str, Any] = vars(optimizer)
        step: Any = getattr(type(optimizer), "step", None)
        is_wrapped = getattr(step, "__code__", None) is _WRAPPER.__code__
        self._step = step
        self._unwrapped: Callable[..., Any] | None = step.__wrapped__ if is_wrapped else None

    def step(self, closure: Callable[[], Any]) -> object:
        """The result of the optimizer's step."""
        optimizer, unwrapped = self.optimizer, self._unwrapped
        if (
            unwrapped is None
            or "step" in self._attributes
            or type(optimizer).step is not self._step
            or optimizer._optimizer_step_pre_hooks
            or optimizer._optimizer_step_post_hooks
            or _global_optimizer_pre_hooks
            or _global_optimizer_post_hooks
            or _is_profiling()
        ):
            return optimizer.step(closure=closure)
        return unwrapped(optimizer, closure=closure)

    @property
    def has_plain_zero_grad(self) -> bool:
        """Whether `zero_grad` is PyTorch's, which sets gradients to None."""
        return "zero_grad" not in self._attributes and type(self.optimizer).zero_grad is _ZERO_GRAD

    def zero_grad(self) -> None:
        """Sets the gradients to None, or calls the optimizer's own `zero_grad`."""
        optimizer = self.optimizer
        if not self.has_plain_zero_grad or _is_profiling():
            optimizer.zero_grad()
            return
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = None


def is_plain_wrapper(wrapper: LightningOptimizer) -> bool:
    """Whether a `LightningOptimizer` only steps its optimizer; `step` may be set on the wrapper too."""
    attributes = wrapper.__dict__
    return (
        "step" not in attributes
        and attributes["_on_before_step"] is do_nothing_closure
        and attributes["_on_after_step"] is do_nothing_closure
    )
