"""Small real models and data that tests train on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from jupyter_train.training.data.sample_order import in_order, order_seed


def digits(rows: int = 320) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The first rows of scikit-learn's handwritten digits: `(rows, 64)` float32 in [0, 1] and labels."""
    images, labels = load_digits(return_X_y=True)
    return (images[:rows] / 16).astype("float32"), labels[:rows]


class LitDigits(pl.LightningModule):
    """A linear classifier with dropout that logs loss and accuracy."""

    def __init__(self, hidden: int = 16, lr: float = 3e-3):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Dropout(0.1), nn.Linear(hidden, 10))

    def forward(self, images):
        return self.net(images)

    def step(self, batch, stage):
        outputs = self(batch[0])
        loss = cross_entropy(outputs, batch[1])
        self.log_dict({f"{stage}_loss": loss, f"{stage}_acc": (outputs.argmax(1) == batch[1]).float().mean()})
        return loss

    def training_step(self, batch, batch_idx):
        return self.step(batch, "train")

    def validation_step(self, batch, batch_idx):
        self.step(batch, "val")

    def test_step(self, batch, batch_idx):
        self.step(batch, "test")

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.hparams.lr)


class DigitsData(pl.LightningDataModule):
    """Digits behind a datamodule."""

    def __init__(self, rows: int = 320, batch_size: int = 32):
        super().__init__()
        self.rows, self.batch_size = rows, batch_size

    def setup(self, stage):
        images, labels = digits(self.rows)
        self.dataset = TensorDataset(torch.from_numpy(images), torch.from_numpy(labels))

    def train_dataloader(self):
        return DataLoader(self.dataset, batch_size=self.batch_size, shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.dataset, batch_size=self.batch_size)

    def test_dataloader(self):
        return DataLoader(self.dataset, batch_size=self.batch_size)


class OrderedDigits(DigitsData):
    """The same, in the order that a run with this seed gives it; for a trainer of stock Lightning."""

    def __init__(self, seed: int, rows: int = 320, batch_size: int = 32):
        super().__init__(rows, batch_size)
        self.seed = seed

    def train_dataloader(self):
        return in_order(super().train_dataloader(), order_seed(self.seed))


def weights(model: nn.Module) -> list[torch.Tensor]:
    """Copies of all parameters and buffers."""
    return [tensor.detach().clone() for tensor in model.state_dict().values()]


def are_equal(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    """True when both are bit-equal."""
    return len(one) == len(other) and all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
