"""What is trained, killed and resumed: models, data and options in which exact resume can go wrong."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
import torchmetrics
from pytorch_lightning.callbacks import EMAWeightAveraging, StochasticWeightAveraging
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Sampler,
    TensorDataset,
    WeightedRandomSampler,
)

from tests.models import LitDigits, digits

ROWS = 128


def tensors(rows: int = ROWS) -> TensorDataset:
    images, labels = digits(rows)
    return TensorDataset(torch.from_numpy(images), torch.from_numpy(labels))


class Lit(LitDigits):
    """Dropout; loss and accuracy per step and per epoch."""

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        self.log("train_mean", loss, on_step=False, on_epoch=True)
        return loss


class WithMetrics(Lit):
    """Metric objects: their states are no part of the weights."""

    def __init__(self):
        super().__init__()
        self.train_metric = torchmetrics.Accuracy(task="multiclass", num_classes=10)
        self.val_metric = torchmetrics.MeanMetric()

    def training_step(self, batch, batch_idx):
        self.train_metric(self(batch[0]), batch[1])
        self.log("train_metric", self.train_metric, on_step=True, on_epoch=True)
        return super().training_step(batch, batch_idx)

    def validation_step(self, batch, batch_idx):
        super().validation_step(batch, batch_idx)
        self.val_metric.update(cross_entropy(self(batch[0]), batch[1]))
        self.log("val_metric", self.val_metric)


class Normed(Lit):
    """Batch statistics."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 10))


class Everything(WithMetrics):
    """Batch statistics, metric objects, and values of single validation batches."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 10))

    def validation_step(self, batch, batch_idx):
        super().validation_step(batch, batch_idx)
        self.log("val_batch", cross_entropy(self(batch[0]), batch[1]), on_step=True, on_epoch=False)


class Scheduled(Lit):
    """A schedule of the given kind."""

    def __init__(self, kind: str):
        super().__init__()
        self.kind = kind

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), 0.1, momentum=0.9)
        if self.kind == "onecycle":
            steps = int(self.trainer.estimated_stepping_batches)
            made = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.2, total_steps=steps)
            return [optimizer], [{"scheduler": made, "interval": "step"}]
        if self.kind == "cosine":
            return [optimizer], [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 3)]
        made = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, factor=0.5, threshold=0.5)
        kind, frequency = ("step", 2) if self.kind == "plateau-step" else ("epoch", 1)
        monitor = "train_loss" if kind == "step" else "val_loss"
        return {
            "optimizer": optimizer,
            "lr_scheduler": {
                "scheduler": made,
                "monitor": monitor,
                "interval": kind,
                "frequency": frequency,
                "strict": False,
            },
        }


class TwoOptimizers(Lit):
    """Manual optimization; gradients of one optimizer stay over several batches."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.other = nn.Linear(64, 10)

    def training_step(self, batch, batch_idx):
        first, second = self.optimizers()
        loss = super().training_step(batch, batch_idx)
        first.zero_grad()
        self.manual_backward(loss)
        first.step()
        other = cross_entropy(self.other(nn.functional.dropout(batch[0], 0.3)), batch[1])
        self.manual_backward(other)
        if batch_idx % 3 == 2:
            second.step()
            second.zero_grad()
        self.log("other_loss", other)

    def configure_optimizers(self):
        return torch.optim.Adam(self.net.parameters(), 3e-3), torch.optim.SGD(self.other.parameters(), 0.1)


class EverythingByHand(TwoOptimizers):
    """Manual optimization with batch statistics."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 10))


class Augmented(Dataset):
    """Draws from all three generators for every sample."""

    def __init__(self, draws: bool = True):
        self.images, self.labels = digits(ROWS)
        self.draws = draws

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        image = torch.from_numpy(self.images[index])
        noise = random.random() + np.random.rand() + torch.rand(()).item()
        return image * (1 + 0.1 * noise) + 0.01 * torch.randn(64), self.labels[index]


class Hidden(Dataset):
    """Draws from a generator of its own."""

    def __init__(self):
        self.images, self.labels = digits(ROWS)
        self.mine = np.random.default_rng(1)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.images[index] + self.mine.random(dtype=np.float32), self.labels[index]


class Stream(IterableDataset):
    """Batches in an order of its own, the same in every epoch."""

    def __iter__(self):
        images, labels = digits(ROWS)
        for index in range(ROWS):
            yield images[index], labels[index]


class Shuffled(Sampler):
    """Draws from the global generators."""

    def __len__(self):
        return ROWS

    def __iter__(self):
        order = list(range(ROWS))
        random.shuffle(order)
        return iter(order)


class Blocks(Sampler):
    """A batch sampler with batches of different sizes."""

    def __len__(self):
        return 8

    def __iter__(self):
        order = torch.randperm(ROWS).tolist()
        return iter(np.array_split(order, 8))


class Buckets(BatchSampler):
    """Batches of a torch sampler in an order it draws itself, by the generator of the given library."""

    def __init__(self, library: str):
        super().__init__(RandomSampler(range(ROWS)), 16, False)
        self.library = library

    def __iter__(self):
        batches = list(super().__iter__())
        if self.library == "random":
            random.shuffle(batches)
        elif self.library == "numpy":
            batches = [batches[index] for index in np.random.permutation(len(batches))]
        else:
            batches = [batches[index] for index in torch.randperm(len(batches))]
        return iter(batches)


class Endless(Sampler):
    """Says how long an epoch is, and gives as many as are requested."""

    def __len__(self):
        return ROWS

    def __iter__(self):
        for _ in range(100_000):
            yield int(torch.randint(ROWS, ()))
        raise RuntimeError("drawn without end")


class Reweights(pl.Callback):
    """Gives the sampler other weights after every epoch, by the number of the epoch."""

    def on_train_epoch_start(self, trainer, pl_module):
        sampler = trainer.train_dataloader.sampler
        sampler.weights = torch.rand(ROWS, generator=torch.Generator().manual_seed(trainer.current_epoch)).double()


class Recurrent(Lit):
    """Carries the state of a recurrent net from batch to batch, in a buffer."""

    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(64, 16)
        self.register_buffer("hidden", torch.zeros(1, 16))
        self.head = nn.Linear(16, 10)

    def forward(self, images):
        hidden = self.cell(images, self.hidden.expand(len(images), -1))
        if self.training:
            self.hidden = hidden.detach().mean(0, keepdim=True)
        return self.head(hidden) + self.net(images)


class Averages(pl.Callback):
    """Averaged weights kept by a callback of the user's, which validates with them."""

    def __init__(self):
        self.weights: dict[str, torch.Tensor] = {}
        self.kept: dict[str, torch.Tensor] = {}

    def on_train_batch_end(self, trainer, pl_module, *_):
        for name, one in pl_module.state_dict().items():
            before = self.weights.get(name, one)
            self.weights[name] = 0.9 * before + 0.1 * one

    def on_validation_start(self, trainer, pl_module):
        if self.weights:
            self.kept = {name: one.clone() for name, one in pl_module.state_dict().items()}
            pl_module.load_state_dict(self.weights)

    def on_validation_end(self, trainer, pl_module):
        if self.kept:
            pl_module.load_state_dict(self.kept)
            self.kept = {}

    def state_dict(self):
        return {"weights": self.weights}

    def load_state_dict(self, state_dict):
        self.weights = dict(state_dict["weights"])


def loader(dataset: Any = None, **options: Any) -> DataLoader:
    given = {"batch_size": 16} if "batch_sampler" not in options else {}
    return DataLoader(tensors() if dataset is None else dataset, **given, **options)


def pair(train: Any = None) -> tuple[Any, DataLoader]:
    return (loader(shuffle=True) if train is None else train), loader(tensors(48))


@dataclass
class Subject:
    """A model, its data, options, and how many optimizer steps its run takes."""

    model: Callable[[], Any] = Lit
    data: Callable[[], Any] = pair
    options: dict[str, Any] = field(default_factory=dict)
    callbacks: Callable[[], list[pl.Callback]] = list
    steps: int = 24


class Combined(Lit):
    """Two training loaders of different length, the shorter one cycled."""

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch["long"], batch_idx)
        return loss + 0.1 * cross_entropy(self(batch["short"][0]), batch["short"][1])

    def train_dataloader(self):
        return {"long": loader(shuffle=True), "short": loader(tensors(40), shuffle=True)}

    def val_dataloader(self):
        return [loader(tensors(48)), loader(tensors(32), shuffle=True)]

    def validation_step(self, batch, batch_idx, dataloader_idx=0):
        super().validation_step(batch, batch_idx)


def shuffled_pair() -> tuple[Any, DataLoader]:
    return loader(shuffle=True), loader(tensors(48), shuffle=True)


#: What cannot be made exact.
HIDDEN = Subject(data=lambda: pair(loader(Hidden(), shuffle=True)))

SUBJECTS: dict[str, Subject] = {
    "plain": Subject(),
    "metrics": Subject(WithMetrics),
    "batch norm": Subject(Normed),
    "onecycle": Subject(lambda: Scheduled("onecycle")),
    "cosine": Subject(lambda: Scheduled("cosine")),
    "plateau per epoch": Subject(lambda: Scheduled("plateau")),
    "plateau per step": Subject(lambda: Scheduled("plateau-step")),
    "manual": Subject(TwoOptimizers, steps=30),
    "augmented": Subject(data=lambda: pair(loader(Augmented(), shuffle=True))),
    **{
        f"augmented, {count} workers": Subject(
            data=lambda count=count: pair(loader(Augmented(), shuffle=True, num_workers=count))
        )
        for count in (1, 4)
    },
    "augmented, 2 workers": Subject(data=lambda: pair(loader(Augmented(), shuffle=True, num_workers=2))),
    "stream": Subject(data=lambda: pair(loader(Stream()))),
    "weighted": Subject(data=lambda: pair(loader(sampler=WeightedRandomSampler(torch.rand(ROWS), ROWS)))),
    "own sampler": Subject(data=lambda: pair(loader(sampler=Shuffled()))),
    "own batches": Subject(data=lambda: pair(loader(batch_sampler=Blocks()))),
    "batch sampler": Subject(data=lambda: pair(loader(batch_sampler=BatchSampler(Shuffled(), 16, True)))),
    **{
        f"buckets by {library}": Subject(data=lambda library=library: pair(loader(batch_sampler=Buckets(library))))
        for library in ("random", "numpy", "torch")
    },
    "endless sampler": Subject(data=lambda: pair(loader(sampler=Endless()))),
    "weights set anew": Subject(
        data=lambda: pair(loader(sampler=WeightedRandomSampler(torch.ones(ROWS), ROWS))),
        callbacks=lambda: [Reweights()],
    ),
    "persistent workers": Subject(
        data=lambda: pair(loader(Augmented(), shuffle=True, num_workers=2, persistent_workers=True))
    ),
    "recurrent": Subject(Recurrent),
    "averaged by a callback": Subject(callbacks=lambda: [Averages()]),
    "combined": Subject(Combined, lambda: None),
    "accumulated": Subject(options={"accumulate_grad_batches": 3}, steps=9),
    "everything": Subject(Everything, shuffled_pair, {"accumulate_grad_batches": 2}, steps=12),
    "everything, by hand": Subject(EverythingByHand, shuffled_pair, steps=30),
    "clipped": Subject(options={"gradient_clip_val": 0.1}),
    "val in the epoch": Subject(WithMetrics, options={"val_check_interval": 3}),
    "val by share": Subject(WithMetrics, options={"val_check_interval": 0.4}),
    "val every second": Subject(
        lambda: Scheduled("plateau"), options={"check_val_every_n_epoch": 2, "epochs": 4}, steps=32
    ),
    "max steps": Subject(options={"max_steps": 19, "epochs": None}, steps=19),
    "limited": Subject(options={"limit_train_batches": 5, "limit_val_batches": 2}, steps=15),
    "loaders anew": Subject(options={"reload_dataloaders_every_n_epochs": 1}),
    "early stop": Subject(options={"early_stop": "val_loss:1", "epochs": 6, "lr": 2.0}, steps=10),
    "swa": Subject(callbacks=lambda: [StochasticWeightAveraging(1e-2, swa_epoch_start=1)]),
    "ema": Subject(callbacks=lambda: [EMAWeightAveraging(decay=0.9)]),
    "bf16": Subject(options={"precision": "bf16-mixed"}),
}
