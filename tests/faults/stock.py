"""The same kills with a Trainer of stock Lightning, which saves after every step and at the end of every epoch."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from tests.faults.subjects import SUBJECTS
from tests.faults.training import digest


class _Kill(pl.Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step >= self.step:
            os.kill(os.getpid(), signal.SIGKILL)


def carry_out(name: str, folder: str, epochs: int, kill_at: int, resume: bool) -> str:
    """Trains a subject; gives a hash of its weights and optimizer states."""
    torch.set_num_threads(1)
    subject = SUBJECTS[name]
    pl.seed_everything(7, workers=True, verbose=False)
    module, (train, validation) = subject.model(), subject.data()
    saves = pl.callbacks.ModelCheckpoint(folder, every_n_train_steps=1, save_last=True, save_on_train_epoch_end=True)
    kill = [_Kill(kill_at)] if kill_at else []
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[*subject.callbacks(), saves, *kill],
    )
    last = Path(folder, "last.ckpt")
    trainer.fit(
        module, train, validation, ckpt_path=str(last) if resume and last.exists() else None, weights_only=False
    )
    return digest([module.state_dict(), [one.state_dict() for one in trainer.optimizers]])


def is_exact(name: str, folder: Path, epochs: int, step: int, expected: Any) -> bool:
    """Whether a run killed at a step and resumed ends as the unbroken one did."""
    from tests.faults.children import Child

    assert Child(carry_out, name, str(folder), epochs, step, False).result() is None
    return Child(carry_out, name, str(folder), epochs, 0, True).result() == expected
