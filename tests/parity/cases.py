"""What is trained both ways."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning import callbacks as cb
from pytorch_lightning.utilities import CombinedLoader
from torch.optim.swa_utils import get_ema_avg_fn

from tests.parity import models as m


def both(**more: Any) -> dict[str, Any]:
    """Loaders for training and validation."""
    return {"train_dataloaders": m.loader(**more), "val_dataloaders": m.loader(seed=4, shuffle=False)}


class Ticks(pl.Callback):
    """A user's callback: logs, reads metrics, and adds another callback in the middle."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        pl_module.log("from_callback", float(trainer.callback_metrics.get("train_loss", 0.0)))
        if trainer.global_step == 5:
            trainer.callbacks.append(Late())

    def on_validation_epoch_end(self, trainer, pl_module):
        pl_module.log("val_from_callback", 2.0)


class Late(pl.Callback):
    """Comes in the middle."""

    def on_before_zero_grad(self, trainer, pl_module, optimizer):
        for group in optimizer.param_groups:
            group["lr"] *= 0.9


class EndsEpochs(pl.Callback):
    """Stops in the middle of the second epoch."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        trainer.should_stop = trainer.global_step >= 8


@dataclass
class Case:
    """One combination.

    Attributes:
        model: The module's class.
        data: Makes what `fit` is given.
        options: For the Trainer.
        callbacks: Makes them.
        own_loop: Why Lightning's own loop is expected; empty where the lean one is.
        resumes: A checkpoint to go on from.
        compiled: Whether the whole module goes through `torch.compile`.
    """

    model: type[pl.LightningModule] = m.Plain
    data: Callable[[], dict[str, Any]] = both
    options: dict[str, Any] = field(default_factory=dict)
    callbacks: Callable[[], list[pl.Callback]] = list
    own_loop: str = ""
    compiled: bool = False
    resumes: str | None = None


CASES: dict[str, Case] = {
    "plain": Case(),
    "batch norm and dropout": Case(m.Normed),
    "tied weights": Case(m.Tied),
    "convolution": Case(m.Convolved),
    "recurrent": Case(m.Recurrent),
    "transformer": Case(m.Attentive),
    "frozen part": Case(m.Frozen),
    "parameter groups": Case(m.Grouped),
    "sgd with momentum": Case(m.Momentous),
    "lbfgs": Case(m.Secant),
    "adamw amsgrad": Case(m.Decayed),
    "optimizer of the user's": Case(m.OwnSteps),
    "logs everything": Case(m.LogsAll),
    "logs everything, accumulated": Case(m.LogsAll, options={"accumulate_grad_batches": 4}),
    "logs everything, every third step": Case(m.LogsAll, options={"log_every_n_steps": 3}),
    "logs nothing": Case(m.Quiet, lambda: {"train_dataloaders": m.loader()}),
    "no validation": Case(data=lambda: {"train_dataloaders": m.loader()}),
    "steps without index": Case(m.WithoutIndex),
    "step gives None": Case(m.SkipsSteps),
    "epoch left early": Case(m.LeavesEarly),
    "mappings with text": Case(
        m.Mapped,
        lambda: {
            "train_dataloaders": torch.utils.data.DataLoader(m.Rows(), 8),
            "val_dataloaders": torch.utils.data.DataLoader(m.Rows(), 16),
        },
    ),
    "two validation loaders": Case(
        m.TwoLoaders,
        lambda: {
            "train_dataloaders": m.loader(),
            "val_dataloaders": [m.loader(seed=4), m.loader(batch_size=16, seed=6)],
        },
    ),
    "two training loaders": Case(
        m.ManyBatches, lambda: {"train_dataloaders": {"a": m.loader(), "b": m.loader(batch_size=12)}}
    ),
    "two training loaders, min size": Case(
        m.ManyBatches,
        lambda: {"train_dataloaders": CombinedLoader({"a": m.loader(), "b": m.loader(batch_size=12)}, "min_size")},
    ),
    "stream": Case(data=lambda: {"train_dataloaders": torch.utils.data.DataLoader(m.Stream(), 8)}),
    "stream with validation": Case(
        data=lambda: {"train_dataloaders": torch.utils.data.DataLoader(m.Stream(), 8), "val_dataloaders": m.loader()}
    ),
    "batches of the user's": Case(data=lambda: {"train_dataloaders": m.Batches()}),
    "workers": Case(data=lambda: both(num_workers=2)),
    "subset": Case(
        data=lambda: {
            "train_dataloaders": torch.utils.data.DataLoader(torch.utils.data.Subset(m.rows(), range(3, 33)), 8)
        }
    ),
    "drop last": Case(data=lambda: both(drop_last=True)),
    "one batch": Case(data=lambda: both(batch_size=64)),
    "transfer hooks": Case(m.OwnTransfer),
    "optimization hooks": Case(m.OwnSteppingHooks),
    "optimization hooks, accumulated": Case(m.OwnSteppingHooks, options={"accumulate_grad_batches": 2}),
    "accumulated": Case(options={"accumulate_grad_batches": 3}),
    "accumulated, batch norm": Case(m.Normed, options={"accumulate_grad_batches": 2}),
    "clipped by norm": Case(m.Momentous, options={"gradient_clip_val": 0.1}),
    "clipped by value": Case(m.Momentous, options={"gradient_clip_val": 0.01, "gradient_clip_algorithm": "value"}),
    "clipped and accumulated": Case(m.Momentous, options={"gradient_clip_val": 0.1, "accumulate_grad_batches": 2}),
    "schedule per epoch": Case(m.Scheduled),
    "schedule per step": Case(m.PerStep),
    "schedule per step, accumulated": Case(m.PerStep, options={"accumulate_grad_batches": 2}),
    "schedule every second step": Case(m.EverySecondStep),
    "schedule every second epoch": Case(m.EverySecondEpoch),
    "plateau": Case(m.OnPlateau),
    "plateau of steps": Case(m.OnPlateauOfSteps),
    "schedule of the user's": Case(m.OwnScheduling),
    "bf16 mixed": Case(m.Normed, options={"precision": "bf16-mixed"}),
    "bf16 true": Case(options={"precision": "bf16-true"}),
    "64 true": Case(options={"precision": "64-true"}),
    "16 mixed": Case(options={"precision": "16-mixed"}),
    "val_check_interval float": Case(options={"val_check_interval": 0.5}),
    "val_check_interval int": Case(m.LogsAll, options={"val_check_interval": 2}),
    "val_check_interval over epochs": Case(options={"val_check_interval": 4, "check_val_every_n_epoch": None}),
    "validation every second epoch": Case(options={"check_val_every_n_epoch": 2}),
    "limited batches": Case(options={"limit_train_batches": 3, "limit_val_batches": 1}),
    "limited shares": Case(options={"limit_train_batches": 0.5, "limit_val_batches": 0.5}),
    "no validation batches": Case(options={"limit_val_batches": 0}),
    "overfit batches": Case(options={"overfit_batches": 2}),
    "fast dev run": Case(options={"fast_dev_run": True}),
    "max steps": Case(options={"max_steps": 9, "max_epochs": -1}),
    "max steps, accumulated": Case(options={"max_steps": 4, "max_epochs": -1, "accumulate_grad_batches": 4}),
    "min steps": Case(m.Stops, options={"min_steps": 14}),
    "min epochs": Case(m.Stops, options={"min_epochs": 2}),
    "stopped in an epoch": Case(m.Stops),
    "reloaded loaders": Case(options={"reload_dataloaders_every_n_epochs": 1}),
    "sanity check": Case(options={"num_sanity_val_steps": 2}),
    "anomalies detected": Case(options={"detect_anomaly": True}),
    "callback of the user's": Case(callbacks=lambda: [Ticks()]),
    "callback that stops": Case(callbacks=lambda: [EndsEpochs()]),
    "early stopping": Case(
        callbacks=lambda: [cb.EarlyStopping("val_loss", min_delta=0.2, patience=1)], options={"max_epochs": 8}
    ),
    "early stopping in an epoch": Case(
        callbacks=lambda: [cb.EarlyStopping("val_loss", min_delta=0.2, patience=1)],
        options={"max_epochs": 8, "val_check_interval": 2},
    ),
    "early stopping on training": Case(
        callbacks=lambda: [cb.EarlyStopping("train_loss", min_delta=0.1, check_on_train_epoch_end=True)],
        options={"max_epochs": 8},
    ),
    "checkpoints": Case(
        callbacks=lambda: [cb.ModelCheckpoint(monitor="val_loss", save_top_k=2, save_last=True)],
        options={"enable_checkpointing": True},
    ),
    "checkpoints every second step": Case(
        callbacks=lambda: [cb.ModelCheckpoint(every_n_train_steps=2, save_top_k=-1)],
        options={"enable_checkpointing": True},
    ),
    "weight averaging": Case(m.Normed, callbacks=lambda: [cb.StochasticWeightAveraging(0.05, swa_epoch_start=1)]),
    "moving average": Case(callbacks=lambda: [cb.WeightAveraging(avg_fn=get_ema_avg_fn(0.9))]),
    "timer": Case(callbacks=lambda: [cb.Timer("00:00:10:00")]),
    "accumulation schedule": Case(callbacks=lambda: [cb.GradientAccumulationScheduler({0: 1, 1: 3})]),
    "learning rate finder": Case(callbacks=lambda: [cb.LearningRateFinder(num_training_steps=12)]),
    "batch size finder": Case(m.OwnData, dict, callbacks=lambda: [cb.BatchSizeFinder(steps_per_trial=1, max_trials=2)]),
    "lr monitor": Case(m.PerStep, callbacks=lambda: [cb.LearningRateMonitor()]),
    "training step swapped": Case(m.Swaps),
    "compiled part": Case(m.CompiledPart),
    "compiled": Case(m.Quiet, lambda: {"train_dataloaders": m.loader()}, compiled=True),
    "adversarial": Case(m.Adversarial, own_loop="the model optimizes manually"),
    "dataloader_iter": Case(m.Iterated, own_loop="`training_step` takes a `dataloader_iter`"),
    "no optimizer": Case(m.NeverLearns, own_loop="the model has no optimizer"),
    "profiler": Case(options={"profiler": "simple"}, own_loop="SimpleProfiler watches Lightning's own loop"),
}
