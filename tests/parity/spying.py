"""Notes every hook of a fit with its arguments, and what the trainer's metrics hold at that moment."""

from __future__ import annotations

import hashlib
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers.logger import Logger

CALLBACK_HOOKS = [
    name
    for name in vars(pl.Callback)
    if (name.startswith("on_") or name in ("setup", "teardown")) and name not in ("on_exception",)
]
MODULE_HOOKS = [
    "setup",
    "teardown",
    "on_fit_start",
    "on_fit_end",
    "on_train_start",
    "on_train_end",
    "on_train_epoch_start",
    "on_train_epoch_end",
    "on_train_batch_start",
    "on_train_batch_end",
    "on_validation_start",
    "on_validation_end",
    "on_validation_epoch_start",
    "on_validation_epoch_end",
    "on_validation_batch_start",
    "on_validation_batch_end",
    "on_validation_model_eval",
    "on_validation_model_train",
    "on_validation_model_zero_grad",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "configure_gradient_clipping",
    "optimizer_step",
    "optimizer_zero_grad",
    "lr_scheduler_step",
    "backward",
    "on_before_batch_transfer",
    "transfer_batch_to_device",
    "on_after_batch_transfer",
    "on_save_checkpoint",
    "on_load_checkpoint",
]


def told(value: Any) -> Any:
    """An argument in a form that can be compared: tensors by their bits, containers and objects by their kind too."""
    if isinstance(value, torch.Tensor):
        plain = value.detach().cpu().contiguous().reshape(-1)
        return hashlib.sha256(plain.view(torch.uint8).numpy().tobytes()).hexdigest()[:12], tuple(value.shape)
    if isinstance(value, dict):
        return type(value).__name__, {str(key): told(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value).__name__, [told(one) for one in value]
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if callable(value):
        return "callable"
    return type(value).__name__


def metrics_of(trainer: pl.Trainer) -> dict[str, Any]:
    """What the three collections hold, and where the loops are."""
    epoch_loop = trainer.fit_loop.epoch_loop
    return {
        "callback": told(trainer.callback_metrics),
        "logged": told(trainer.logged_metrics),
        "bar": told(trainer.progress_bar_metrics),
        "step": trainer.global_step,
        "batches": epoch_loop.batch_progress.state_dict(),
        "optimization": epoch_loop.automatic_optimization.optim_progress.state_dict(),
        "stepped": epoch_loop._batches_that_stepped,
    }


class Journal(list):
    """What happened, in order."""

    def note(self, who: str, hook: str, trainer: pl.Trainer | None, arguments: Any) -> None:
        """One hook."""
        what = {} if hook in ("on_save_checkpoint", "on_load_checkpoint") else told(list(arguments))
        self.append((who, hook, what, metrics_of(trainer) if trainer is not None else None))


def spy(journal: Journal) -> pl.Callback:
    """A callback that overrides every hook."""

    def noting(name: str) -> Any:
        def hook(self: Any, trainer: Any, pl_module: Any, *arguments: Any, **named: Any) -> None:
            journal.note("callback", name, trainer, [*arguments, *named.values()])

        return hook

    return type("Spy", (pl.Callback,), {name: noting(name) for name in CALLBACK_HOOKS})()


def spied(kind: type[pl.LightningModule], journal: Journal) -> type[pl.LightningModule]:
    """A module that overrides every hook, and does what it would have done."""

    def noting(name: str) -> Any:
        def hook(self: Any, *arguments: Any, **named: Any) -> Any:
            journal.note("module", name, self._trainer, [*arguments, *named.values()])
            return getattr(kind, name)(self, *arguments, **named)

        return hook

    # hooks whose arguments Lightning looks at before it calls them keep the names of those
    return type(f"Spied{kind.__name__}", (kind,), {name: noting(name) for name in MODULE_HOOKS})


class Book(Logger):
    """A logger that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[Any] = []

    name = version = ""

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        """Keeps it bit for bit."""
        self.rows.append((step, {name: float(value).hex() for name, value in metrics.items()}))

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Nothing."""
