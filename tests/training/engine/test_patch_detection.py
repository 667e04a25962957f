"""A function of Lightning that was replaced is found, for all trainers or for one alone."""

from __future__ import annotations

from typing import Any

import pytest
import pytorch_lightning as pl
from pytorch_lightning.loops.training_epoch_loop import _TrainingEpochLoop
from pytorch_lightning.strategies import SingleDeviceStrategy
from pytorch_lightning.trainer import call

from jupyter_train.training.engine.patch_detection import find_patched_function, patchable_parts
from tests.training.trainers import quiet_trainer


def test_nothing_of_a_new_trainer_is_patched() -> None:
    assert find_patched_function(quiet_trainer()) is None


@pytest.mark.parametrize(
    ("owner", "name", "found"),
    [
        (_TrainingEpochLoop, "advance", "_TrainingEpochLoop.advance"),
        (SingleDeviceStrategy, "backward", "SingleDeviceStrategy.backward"),
        (pl.LightningModule, "optimizer_step", "LightningModule.optimizer_step"),
        (call, "_call_callback_hooks", "pytorch_lightning.trainer.call._call_callback_hooks"),
    ],
)
def test_a_function_replaced_for_all_trainers_is_found(monkeypatch, owner: Any, name: str, found: str) -> None:
    trainer, original = quiet_trainer(), getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *arguments, **named: original(*arguments, **named))
    assert find_patched_function(trainer) == found
    monkeypatch.undo()
    assert find_patched_function(trainer) is None


@pytest.mark.parametrize("number", range(5))
def test_a_function_replaced_in_one_trainer_is_found_there_alone(number: int) -> None:
    trainer, other = quiet_trainer(), quiet_trainer()
    part, names = patchable_parts(trainer)[number]
    name = min(names)
    setattr(part, name, getattr(part, name))
    assert find_patched_function(trainer) == f"{type(part).__name__}.{name}"
    assert find_patched_function(other) is None


def test_every_name_is_one_of_its_part() -> None:
    for part, names in patchable_parts(quiet_trainer(precision="bf16-mixed")):
        assert [name for name in names if not callable(getattr(type(part), name, None))] == [], type(part)
