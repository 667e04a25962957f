"""Steps per second of a fit, and how many steps it has."""

from __future__ import annotations

import math
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from jupyter_train.training.callbacks import throughput
from jupyter_train.training.callbacks.throughput import StepRate, total_steps
from tests.models import LitDigits
from tests.training.trainers import At, fit


class Clock:
    """The only clock there is; it stands still by itself."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


def test_a_rate_is_measured_over_the_steps_since_the_last_look(monkeypatch) -> None:
    clock = Clock()
    monkeypatch.setattr(throughput, "time", clock)
    rate = StepRate()
    assert rate.now(0) is None
    clock.now += 0.04
    assert rate.now(100) is None  # less than 50 ms say nothing
    clock.now += 0.96
    assert rate.now(100) == 100.0
    clock.now += 1.0
    assert rate.now(100) == 100.0  # no step since
    assert rate.now(300) == pytest.approx(0.7 * 100 + 0.3 * 200)
    rate.restart(500)
    clock.now += 2.0
    assert rate.now(700) == pytest.approx(0.7 * 130 + 0.3 * 100)


class TwoOptimizers(LitDigits):
    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch: Any, batch_idx: int) -> None:
        """Trains nothing."""

    def configure_optimizers(self) -> Any:
        return [torch.optim.SGD(self.parameters(), 0.1), torch.optim.SGD(self.parameters(), 0.1)]


@pytest.mark.parametrize(
    ("model", "options", "steps"),
    [
        (LitDigits, {"max_epochs": 3}, 6),
        (LitDigits, {"max_epochs": 3, "accumulate_grad_batches": 4}, 3),
        (LitDigits, {"max_epochs": 3, "max_steps": 5}, 5),
        (LitDigits, {"max_epochs": 1, "max_steps": 500}, 2),
        (LitDigits, {"max_epochs": -1, "max_time": "00:00:01:00"}, math.inf),
        (LitDigits, {"max_epochs": 10, "limit_train_batches": 1}, 10),
        (TwoOptimizers, {"max_epochs": 3}, 12),
    ],
)
def test_the_steps_of_the_whole_fit(model: type[pl.LightningModule], options: dict[str, Any], steps: float) -> None:
    found: list[float] = []

    def look(trainer: pl.Trainer) -> None:
        found.append(total_steps(trainer))
        trainer.should_stop = True

    fit(
        model(),
        None,
        At("on_train_start", look),
        At("on_train_batch_end", lambda t: setattr(t, "should_stop", True)),
        **options,
    )
    assert found == [steps]
