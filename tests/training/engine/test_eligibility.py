"""Which loop a fit takes and why, also after something has changed in the middle of it."""

from __future__ import annotations

from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loops.training_epoch_loop import _TrainingEpochLoop
from pytorch_lightning.profilers import SimpleProfiler
from torch.nn.functional import cross_entropy

from jupyter_train.training.engine.eligibility import LoopSelector, ineligible_reason
from tests.models import LitDigits
from tests.training.trainers import At, fit


class Manual(LitDigits):
    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch, batch_idx): ...


class Several(Manual):
    """Of its optimizers there are two; that it is manual is told before."""

    def configure_optimizers(self):
        return [super().configure_optimizers(), torch.optim.SGD(self.parameters(), lr=0.1)]


class NoOptimizer(LitDigits):
    def configure_optimizers(self): ...


class TakesIterator(LitDigits):
    def training_step(self, dataloader_iter):
        images, labels = next(dataloader_iter)[0]
        return cross_entropy(self(images), labels)


class OwnLoop(_TrainingEpochLoop):
    """A loop of the user's."""


def reason(module: pl.LightningModule, *callbacks: pl.Callback, **options: Any) -> str | None:
    """Why such a fit takes Lightning's own loop."""
    seen: list[str | None] = []
    begun = At("on_train_start", lambda trainer: seen.append(ineligible_reason(trainer)))
    fit(module, None, *callbacks, begun, limit_train_batches=1, limit_val_batches=0, **options)
    return seen[0]


@pytest.mark.parametrize(
    ("module", "options", "expected"),
    [
        (LitDigits, {}, None),
        (LitDigits, {"precision": "bf16-mixed", "accumulate_grad_batches": 2, "gradient_clip_val": 1.0}, None),
        (Manual, {}, "the model optimizes manually"),
        (Several, {}, "the model optimizes manually"),
        (NoOptimizer, {}, "the model has no optimizer"),
        (TakesIterator, {}, "`training_step` takes a `dataloader_iter`"),
        (LitDigits, {"profiler": "simple"}, "SimpleProfiler watches Lightning's own loop"),
    ],
)
def test_why_a_fit_takes_lightnings_own_loop(module: type, options: dict[str, Any], expected: str | None) -> None:
    assert reason(module(), **options) == expected


def test_a_loop_of_the_users_is_kept() -> None:
    def replaced(trainer: pl.Trainer) -> None:
        trainer.fit_loop.epoch_loop.__class__ = OwnLoop

    assert reason(LitDigits(), At("on_fit_start", replaced)) == "OwnLoop is a loop of its own"


def _another_optimizer(trainer: pl.Trainer) -> None:
    trainer.strategy.optimizers = [*trainer.optimizers, torch.optim.SGD(trainer.lightning_module.parameters(), lr=0.1)]


def _profile(trainer: Any) -> None:
    trainer.profiler = SimpleProfiler()


def _by_hand(trainer: pl.Trainer) -> None:
    trainer.lightning_module.automatic_optimization = False


def _own_backward(trainer: pl.Trainer) -> None:
    trainer.strategy.backward = trainer.strategy.backward  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_another_optimizer, "the model has several optimizers"),
        (_profile, "SimpleProfiler watches Lightning's own loop"),
        (_by_hand, "the model optimizes manually"),
        (_own_backward, "SingleDeviceStrategy.backward has been replaced"),
    ],
)
def test_a_change_in_the_middle_is_noticed_once(change: Any, expected: str) -> None:
    seen: list[Any] = []

    def work(trainer: pl.Trainer) -> None:
        selector = LoopSelector(trainer)
        seen.append((selector.has_changed(), selector.reason))
        change(trainer)
        seen.append((selector.has_changed(), selector.reason))
        seen.append((selector.has_changed(), selector.reason))
        trainer.should_stop = True

    fit(LitDigits(), None, At("on_train_epoch_end", work), limit_train_batches=1, limit_val_batches=0)
    assert seen == [(False, None), (True, expected), (False, expected)]


def test_a_function_that_is_put_back_is_noticed_too() -> None:
    seen: list[Any] = []

    def work(trainer: pl.Trainer) -> None:
        _own_backward(trainer)
        selector = LoopSelector(trainer)
        seen.append(selector.reason)
        del trainer.strategy.backward
        seen.append((selector.has_changed(), selector.reason))

    fit(LitDigits(), None, At("on_train_epoch_end", work), limit_train_batches=1, limit_val_batches=0)
    assert seen == ["SingleDeviceStrategy.backward has been replaced", (True, None)]
