"""The rate of a running fit is changed with its scheduler: the rest of the schedule keeps its shape."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from jupyter_train.exceptions import CommandRefusedError
from jupyter_train.training.lightning.learning_rate import set_learning_rate

STEPS = 12


class Fit:
    """An optimizer with its scheduler, where a fit between two batches has them."""

    def __init__(self, schedule: Callable[[Any], Any] | None = None, rates: tuple[float, ...] = (0.1,)) -> None:
        groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates]
        self.optimizer = torch.optim.SGD(groups, lr=0.1)
        self.scheduler = schedule(self.optimizer) if schedule is not None else None
        configs = [] if self.scheduler is None else [SimpleNamespace(scheduler=self.scheduler)]
        self.trainer: Any = SimpleNamespace(optimizers=[self.optimizer], lr_scheduler_configs=configs)

    @property
    def rates(self) -> list[float]:
        return [float(group["lr"]) for group in self.optimizer.param_groups]

    def step(self) -> list[float]:
        self.optimizer.step()
        if self.scheduler is not None:
            self.scheduler.step()
        return self.rates


SCHEDULES: dict[str, Callable[[Any], Any]] = {
    "step": lambda o: lr_scheduler.StepLR(o, 3),
    "exponential": lambda o: lr_scheduler.ExponentialLR(o, 0.9),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS, eta_min=0.01),
    "restarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 4),
    "lambda": lambda o: lr_scheduler.LambdaLR(o, lambda step: 1 / (step + 1)),
    "linear": lambda o: lr_scheduler.LinearLR(o, total_iters=6),
    "one cycle": lambda o: lr_scheduler.OneCycleLR(o, max_lr=0.5, total_steps=2 * STEPS),
    "cyclic": lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.1, step_size_up=3),
    "one after the other": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.ConstantLR(o, 0.5, 4), lr_scheduler.ExponentialLR(o, 0.9)], [4]
    ),
    "chained": lambda o: lr_scheduler.ChainedScheduler(
        [lr_scheduler.ExponentialLR(o, 0.95), lr_scheduler.StepLR(o, 4)]
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("changed_at", [2, 5])
def test_the_rest_of_a_schedule_keeps_its_shape(name: str, changed_at: int) -> None:
    plain, changed = Fit(SCHEDULES[name]), Fit(SCHEDULES[name])
    for step in range(STEPS):
        if step == changed_at:
            set_learning_rate(changed.trainer, factor=0.25)
        factor = 0.25 if step >= changed_at else 1.0
        assert changed.rates == pytest.approx([factor * rate for rate in plain.rates], rel=1e-6), step
        plain.step()
        changed.step()


def test_a_rate_is_set_to_the_very_number() -> None:
    fit = Fit(SCHEDULES["cosine"])
    fit.step()
    assert set_learning_rate(fit.trainer, lr=0.007) == "learning rate set to 0.007"
    assert fit.rates == [0.007]


def test_one_group_is_changed_and_the_others_stay() -> None:
    fit = Fit(SCHEDULES["exponential"], (0.1, 0.2))
    assert set_learning_rate(fit.trainer, factor=10, group=1) == "learning rate multiplied by 10 in group 1"
    assert fit.rates == pytest.approx([0.1, 2.0])
    assert fit.step() == pytest.approx([0.09, 1.8])
    set_learning_rate(fit.trainer, lr=0.5)
    assert fit.rates == [0.5, 0.5]
    assert fit.step() == pytest.approx([0.45, 0.45])


def test_a_rate_that_is_a_tensor_stays_that_tensor() -> None:
    fit = Fit()
    rate = torch.tensor(0.1)
    fit.optimizer.param_groups[0]["lr"] = rate
    set_learning_rate(fit.trainer, lr=0.05)
    assert fit.optimizer.param_groups[0]["lr"] is rate
    assert float(rate) == pytest.approx(0.05)


def test_what_cannot_be_changed_is_refused() -> None:
    with pytest.raises(CommandRefusedError, match="there is no parameter group 1; the only one is 0"):
        set_learning_rate(Fit().trainer, lr=0.1, group=1)
    with pytest.raises(CommandRefusedError, match="there are 0 to 1"):
        set_learning_rate(Fit(rates=(0.1, 0.2)).trainer, lr=0.1, group=2)
    with pytest.raises(CommandRefusedError, match="the schedule is at a rate of 0 now"):
        set_learning_rate(Fit(rates=(0.0,)).trainer, lr=0.1)
    with pytest.raises(CommandRefusedError, match="the run has no optimizer"):
        set_learning_rate(SimpleNamespace(optimizers=[], lr_scheduler_configs=[]), lr=0.1)  # type: ignore[arg-type]
