"""Checkpoints that Lightning's own callbacks write in a run: whole or not there, and nothing is unpickled."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from jupyter_train.exceptions import StoreError
from jupyter_train.training.checkpoints.lightning_io import AtomicCheckpointIO
from tests.models import DigitsData, LitDigits, are_equal, weights
from tests.training.trainers import fit, quiet_trainer

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
CONTENT = {"state_dict": {"a": torch.ones(3)}, "epoch": 1}


def test_a_checkpoint_comes_back_and_its_folder_is_made(tmp_path: Path) -> None:
    plugin = AtomicCheckpointIO()
    path = tmp_path / "deep" / "a.ckpt"
    plugin.save_checkpoint(CONTENT, str(path))
    found = plugin.load_checkpoint(path)
    assert torch.equal(found["state_dict"]["a"], torch.ones(3))
    assert [entry.name for entry in path.parent.iterdir()] == ["a.ckpt"]


class Unpicklable:
    def __reduce__(self) -> Any:
        raise OSError("the disk is full")


def test_one_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    plugin = AtomicCheckpointIO()
    plugin.save_checkpoint(CONTENT, tmp_path / "a.ckpt")
    with pytest.raises(OSError, match="full"):
        plugin.save_checkpoint({"state_dict": Unpicklable()}, tmp_path / "a.ckpt")
    assert plugin.load_checkpoint(tmp_path / "a.ckpt")["epoch"] == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.ckpt"]


class Evil:
    def __reduce__(self) -> Any:
        return os.mkdir, ("unpickled",)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    torch.save({"state_dict": Evil()}, tmp_path / "a.ckpt")
    with pytest.raises(StoreError, match="holds more than tensors and plain values"):
        AtomicCheckpointIO().load_checkpoint(tmp_path / "a.ckpt")
    assert not Path("unpickled").exists()


def test_lightnings_own_callback_writes_and_reads_with_it(tmp_path: Path) -> None:
    model = LitDigits()
    keeper = ModelCheckpoint(tmp_path / "kept", filename="one")
    fit(model, None, keeper, enable_checkpointing=True, plugins=[AtomicCheckpointIO()])
    again = LitDigits()
    trainer: pl.Trainer = quiet_trainer(max_epochs=1, plugins=[AtomicCheckpointIO()])
    trainer.fit(again, DigitsData(64), ckpt_path=keeper.best_model_path)
    assert are_equal(weights(again), weights(model))
