"""What an optimizer does with its closure, and how often, ends the same with both loops: errors, too."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.parity.both_ways import attempt, differences
from tests.parity.cases import Case
from tests.parity.models import LogsAll, Plain

pytestmark = [pytest.mark.filterwarnings("ignore")]


class Forgets(torch.optim.SGD):
    """Never calls its closure."""

    def step(self, closure: Any = None) -> Any:
        return super().step()


class ForgetsOnce(torch.optim.SGD):
    """Not in its fourth step."""

    steps = 0

    def step(self, closure: Any = None) -> Any:
        self.steps += 1
        return super().step(None if self.steps == 4 else closure)


class Repeats(torch.optim.SGD):
    """Calls it three times, and gives something else."""

    def step(self, closure: Any = None) -> Any:
        losses = [closure() for _ in range(2)]
        losses[0] += 1  # its own copy
        super().step(closure)
        return "done"


class Remembers(torch.optim.SGD):
    """Calls the closure of the step before, too."""

    before: Any = None

    def step(self, closure: Any = None) -> Any:
        loss = super().step(closure)
        if self.before is not None:
            self.before()
        self.before = closure
        return loss


class OnlyTheOldOne(Remembers):
    """In one step it calls nothing but the closure of the step before."""

    steps = 0

    def step(self, closure: Any = None) -> Any:
        self.steps += 1
        return super().step(self.before if self.steps == 5 else closure)


class WithoutGradients(torch.optim.SGD):
    """Its step runs where no gradients are made."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.sub_(parameter.grad, alpha=group["lr"])


class Breaks(torch.optim.SGD):
    """Hides what its closure raises."""

    def step(self, closure: Any = None) -> Any:
        try:
            return super().step(closure)
        except ZeroDivisionError:
            return None


def _with(kind: type) -> type:
    return type(f"With{kind.__name__}", (Plain,), {"optimizer": kind, "options": {}})


class _NeverCalls(Plain):
    def optimizer_step(self, epoch, batch_idx, optimizer, optimizer_closure=None):
        return None


class _SkipsOne(Plain):
    def optimizer_step(self, epoch, batch_idx, optimizer, optimizer_closure=None):
        if batch_idx != 3:
            optimizer.step(closure=optimizer_closure)


class _CallsItself(Plain):
    def optimizer_step(self, epoch, batch_idx, optimizer, optimizer_closure=None):
        loss = optimizer_closure()
        loss.zero_()  # its own copy
        optimizer.step()


class _LooksAtIt(Plain):
    def optimizer_step(self, epoch, batch_idx, optimizer, optimizer_closure=None):
        optimizer.step(closure=optimizer_closure)
        self.log("kept", optimizer_closure._result.loss + len(type(optimizer_closure).__name__))


class _OldClosure(Plain):
    before: Any = None

    def optimizer_step(self, epoch, batch_idx, optimizer, optimizer_closure=None):
        optimizer.step(closure=self.before if batch_idx == 4 else optimizer_closure)
        self.before = optimizer_closure


class _Fails(_with(Breaks)):
    def training_step(self, batch, batch_idx):
        if batch_idx == 2:
            raise ZeroDivisionError
        return super().training_step(batch, batch_idx)


class _OddOutput(Plain):
    def training_step(self, batch, batch_idx):
        return "loss" if batch_idx == 2 else super().training_step(batch, batch_idx)


class _WithoutLoss(Plain):
    def training_step(self, batch, batch_idx):
        return {"out": 1} if batch_idx == 2 else super().training_step(batch, batch_idx)


class _TurnsAccumulationOn(Plain):
    def training_step(self, batch, batch_idx):
        self.trainer.accumulate_grad_batches = 2 if batch_idx == 2 else 1
        return super().training_step(batch, batch_idx)


CASES = {
    "never called": Case(_with(Forgets)),
    "never called, every second batch": Case(_with(Forgets), options={"accumulate_grad_batches": 2}),
    "never called, bf16": Case(_with(Forgets), options={"precision": "bf16-mixed"}),
    "never called, 64": Case(_with(Forgets), options={"precision": "64-true"}),
    "not called once": Case(_with(ForgetsOnce)),
    "called three times": Case(_with(Repeats)),
    "called three times, accumulated": Case(_with(Repeats), options={"accumulate_grad_batches": 3}),
    "the one before called, too": Case(_with(Remembers)),
    "only the one before called": Case(_with(OnlyTheOldOne)),
    "without gradients": Case(_with(WithoutGradients)),
    "its error hidden": Case(_Fails),
    "module never steps": Case(_NeverCalls),
    "module never steps, accumulated": Case(_NeverCalls, options={"accumulate_grad_batches": 4}),
    "module skips one": Case(_SkipsOne),
    "module calls it itself": Case(_CallsItself),
    "module looks at it": Case(_LooksAtIt),
    "module calls the one before": Case(_OldClosure),
    "odd output": Case(_OddOutput),
    "output without loss": Case(_WithoutLoss),
    "accumulation changed in the step": Case(_TurnsAccumulationOn),
}


@pytest.mark.parametrize("watched", ["", "all"])
@pytest.mark.parametrize("name", CASES)
def test_both_loops_do_the_same(name: str, watched: str) -> None:
    stock, lean = attempt(CASES[name], False, watched), attempt(CASES[name], True, watched)
    assert differences(stock, lean) == []


def test_a_closure_that_never_ran_is_an_error() -> None:
    for name in ("never called", "not called once", "module never steps", "module skips one", "its error hidden"):
        assert "The closure hasn't been executed" in attempt(CASES[name], True)["error"]


def test_a_loss_that_is_changed_before_backward_gives_the_same_gradients() -> None:
    class Changes(LogsAll):
        def training_step(self, batch, batch_idx):
            self.seen = super().training_step(batch, batch_idx)["loss"]
            return self.seen

        def on_before_zero_grad(self, optimizer):
            self.seen.mul_(3)

    assert differences(attempt(Case(Changes), False), attempt(Case(Changes), True)) == []
