"""What the earlier release trained: its pickles name the classes of this module, which stay as they are."""

from __future__ import annotations

import os
import time
from typing import Any

import pandas as pd
import pytorch_lightning as pl
import torch
from sklearn.datasets import load_iris
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

KINDS = ["small", "large", None]


def flowers() -> pd.DataFrame:
    """Iris with a text column that has gaps: 150 rows, four numbers, `kind`, and `species` as the target."""
    inputs, species = load_iris(return_X_y=True)
    frame = pd.DataFrame(inputs, columns=["sepal", "sepal_width", "petal", "petal_width"])
    frame["kind"] = [KINDS[index % 3] for index in range(len(frame))]
    return frame.assign(species=species)


class Stage:
    """A hyperparameter that only `pickle` can keep: it goes into a checkpoint's object block."""

    def __init__(self, name: str) -> None:
        self.name = name


class Flowers(pl.LightningModule):
    """A classifier with dropout, an object among its hyperparameters, and a learning rate that falls by epoch."""

    pause_s = 0.0

    def __init__(self, inputs: int = 7, lr: float = 0.01, hidden: int = 8, stage: Any = None) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Dropout(0.1), nn.Linear(hidden, 3))

    def forward(self, rows):
        return self.net(rows)

    def training_step(self, batch, batch_idx):
        time.sleep(self.pause_s)
        loss = cross_entropy(self(batch[0]), batch[1])
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        outputs = self(batch[0])
        self.log("val_loss", cross_entropy(outputs, batch[1]))
        self.log("val_acc", (outputs.argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.parameters(), lr=self.hparams.lr)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 2)]


class Slow(Flowers):
    """The same, slow enough to be stopped on its way where the environment says so."""

    pause_s = float(os.environ.get("PAUSE_S", "0"))


class FlowersData(pl.LightningDataModule):
    """The four numbers of iris behind a datamodule, shuffled for training."""

    def setup(self, stage):
        inputs, species = load_iris(return_X_y=True)
        self.rows = TensorDataset(torch.tensor(inputs, dtype=torch.float32), torch.tensor(species))

    def train_dataloader(self):
        return DataLoader(self.rows, batch_size=16, shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.rows, batch_size=50)


class StopAt(pl.Callback):
    """Ends the first attempt at a step, as an error of the user's would."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == self.step:
            raise ValueError("stopped on its way")
