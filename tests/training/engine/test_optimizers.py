"""An optimizer is stepped without PyTorch's wrapper unless that has something to do."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch.optim.optimizer import register_optimizer_step_post_hook

from jupyter_train.training.engine.optimizers import DirectOptimizer, is_plain_wrapper


def optimizer(kind: type = torch.optim.SGD) -> Any:
    weight = torch.nn.Parameter(torch.ones(2))
    return kind([weight], lr=0.5)


def stepped(made: Any) -> tuple[DirectOptimizer, float, Any]:
    """An optimizer after one step along a gradient of 1, its first weight and the step's result."""
    direct = DirectOptimizer(made)
    weight = made.param_groups[0]["params"][0]

    def closure() -> torch.Tensor:
        weight.grad = torch.ones(2)
        return torch.tensor(3.0)

    result = direct.step(closure)
    return direct, weight[0].item(), result


def test_a_step_is_that_of_the_optimizer_and_gives_the_closures_result() -> None:
    direct, weight, result = stepped(optimizer())
    assert (weight, float(result), direct.is_from_torch) == (0.5, 3.0, True)


class Own(torch.optim.SGD):
    """Twice as fast."""

    def step(self, closure=None):
        super().step()
        return super().step(closure)


class Wrapped(torch.optim.SGD):
    """Its step is decorated as `functools.wraps` does."""

    calls = 0

    @functools.wraps(torch.optim.SGD.step)
    def step(self, closure=None):
        type(self).calls += 1
        return super().step(closure)


def test_a_step_of_the_users_own_class_is_called() -> None:
    assert not stepped(optimizer(Own))[0].is_from_torch
    before = Wrapped.calls
    assert stepped(optimizer(Wrapped))[1] == 0.5
    assert Wrapped.calls == before + 1


def _on_instance(made: Any, note: Callable[..., None]) -> None:
    original = made.step
    made.step = lambda closure=None: (note(), original(closure))[1]


def _hook_before(made: Any, note: Callable[..., None]) -> None:
    made.register_step_pre_hook(lambda *_: note())


def _hook_after(made: Any, note: Callable[..., None]) -> None:
    made.register_step_post_hook(lambda *_: note())


@pytest.mark.parametrize("change", [_on_instance, _hook_before, _hook_after])
def test_what_is_put_around_a_step_later_is_called(change: Callable[..., None]) -> None:
    made, notes = optimizer(), []
    direct, *_ = stepped(made)
    change(made, lambda: notes.append(1))
    direct.step(lambda: None)
    assert notes == [1]


def test_a_hook_of_all_optimizers_is_called() -> None:
    notes: list[Any] = []
    handle = register_optimizer_step_post_hook(lambda *_: notes.append(1))
    try:
        stepped(optimizer())
    finally:
        handle.remove()
    stepped(optimizer())
    assert notes == [1]


def test_a_step_shows_in_a_profile() -> None:
    made = optimizer()
    direct, *_ = stepped(made)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        direct.step(lambda: None)
        direct.zero_grad()
    names = {event.key for event in profile.key_averages()}
    assert {"Optimizer.step#SGD.step", "Optimizer.zero_grad#SGD.zero_grad"} <= names


def test_gradients_are_none_after_zero_grad_or_what_the_optimizers_own_makes_of_them() -> None:
    made = optimizer()
    direct, *_ = stepped(made)
    assert direct.has_plain_zero_grad
    direct.zero_grad()
    assert made.param_groups[0]["params"][0].grad is None
    stepped(made)
    made.zero_grad = functools.partial(made.zero_grad, set_to_none=False)
    assert not direct.has_plain_zero_grad
    direct.zero_grad()
    assert made.param_groups[0]["params"][0].grad.tolist() == [0.0, 0.0]


def test_a_wrapper_of_lightning_is_plain_until_something_is_put_around_its_step() -> None:
    assert is_plain_wrapper(LightningOptimizer(optimizer()))
    for name in ("step", "_on_before_step", "_on_after_step"):
        wrapper = LightningOptimizer(optimizer())
        setattr(wrapper, name, lambda *_: None)
        assert not is_plain_wrapper(wrapper)
