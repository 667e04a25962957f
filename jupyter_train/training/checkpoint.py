"""Checkpoints of a run: best and last, written so that a kill or a full disk never harms the old one."""

from __future__ import annotations

import hashlib
import math
import os
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from pytorch_lightning.callbacks import Checkpoint

from jupyter_train.config import TrainConfig, direction_of
from jupyter_train.exceptions import OptionError, did_you_mean
from jupyter_train.store.folder import RunFolder, sync_folder
from jupyter_train.store.metrics import reader
from jupyter_train.store.writer import RunWriter
from jupyter_train.training.hooks import lean

#: Share of the training time that writing `last` and `best` may take before the end.
_WRITING_SHARE = 0.01
_MOST_TRAIL = 32
_LARGE_BYTES = 256 * 1024 * 1024


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its target, syncs it and renames it into place.

    Lightning's own goes through `$TMPDIR`, which on another file system is a plain copy: a kill corrupts it.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Writes `checkpoint` to `path`; the old file stays until the new one is complete."""
        if "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        save_atomically(checkpoint, target)


def save_atomically(content: Any, target: Path) -> None:
    """`torch.save` through a temporary file in the target's folder."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
        sync_folder(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


def file_hash(path: Path) -> str:
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


@lean
class RunCheckpoint(Checkpoint):
    """Keeps the best checkpoint by the monitored metric and the last one, announced in the store once complete.

    A better epoch is copied in memory at once and written when writing has its share of time (1 %), at the
    latest when training ends, however it ends. Very large models are written straight away instead.
    """

    def __init__(self, folder: RunFolder, writer: RunWriter, config: TrainConfig, is_keeping: bool) -> None:
        self.monitor: str | None = config.monitor or config.early_stop_metric
        self.best_value: float | None = None
        self._config = config
        self._folder = folder
        self._writer = writer
        self._is_keeping = is_keeping
        self._pending: dict[str, tuple[dict[str, Any], reader.Checkpoint]] = {}
        self._saved: dict[str, str] = {}
        self._began = time.monotonic()
        self._spent_s = 0.0
        self._has_failed = False
        self._seen_at = -1
        self._trail: list[float] = []

    # -- when -------------------------------------------------------------------------------------

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compares the monitored metric."""
        if not trainer.sanity_checking:
            self._look(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compares a metric of training, and takes `last` when it is due."""
        self._look(trainer)
        self._check_monitor(trainer)
        if self._is_due():
            self._take(trainer, "last", None)
            self._write_pending()

    def finish(self, trainer: pl.Trainer) -> None:
        """Takes `last` and writes what waits; called however training ended."""
        if not self._is_keeping or trainer.global_step == 0 or self._has_failed or self._writer.fenced:
            return
        self._take(trainer, "last", None)
        self._write_pending()

    def take_now(self, trainer: pl.Trainer) -> str:
        """Writes a checkpoint of this moment, which is kept; gives its name.

        Raises:
            OSError: It could not be written.
        """
        about = reader.Checkpoint(
            f"checkpoints/manual-step{trainer.global_step}.ckpt", "manual", trainer.global_step, trainer.current_epoch,
            None, 0, "",
        )  # fmt: skip
        if trainer.is_global_zero:
            self._write(trainer._checkpoint_connector.dump_checkpoint(weights_only=False), about)
        return Path(about.path).name

    # -- what -------------------------------------------------------------------------------------

    def _look(self, trainer: pl.Trainer) -> None:
        metrics = trainer.callback_metrics
        if self.monitor is None:
            self.monitor = choose_monitor(list(metrics))
        if self.monitor is None or self.monitor not in metrics or self._seen_at == trainer.global_step:
            return
        value = float(metrics[self.monitor])
        self._seen_at = trainer.global_step
        self._remember(value)
        if not self._is_better(value):
            return
        self.best_value = value
        best = {
            "metric": self.monitor,
            "value": value,
            "epoch": trainer.current_epoch,
            "step": trainer.global_step,
        }
        self._writer.summary(best=best | {"mode": self._direction()})
        if self._is_keeping:
            self._take(trainer, "best", value)
            if self._is_due():
                self._write_pending()

    def _remember(self, value: float) -> None:
        """The way the metric went, in a few numbers: what a list draws of a run."""
        if math.isfinite(value):
            self._trail.append(float(f"{value:.4g}"))
        if len(self._trail) > _MOST_TRAIL:
            self._trail = self._trail[::2]
        self._writer.summary(trail=self._trail.copy())

    def _direction(self) -> str:
        assert self.monitor is not None
        return self._config.direction(self.monitor)

    def _is_better(self, value: float) -> bool:
        if math.isnan(value):
            return False
        if self.best_value is None:
            return True
        return value < self.best_value if self._direction() == "min" else value > self.best_value

    def _check_monitor(self, trainer: pl.Trainer) -> None:
        """A named metric must have been logged by the end of the first epoch that validated."""
        named = self._config.monitor or self._config.early_stop_metric
        if named is None or named in trainer.callback_metrics:
            return
        has_validated = (
            not trainer.enable_validation or (trainer.current_epoch + 1) % (trainer.check_val_every_n_epoch or 1) == 0
        )
        if has_validated:
            raise OptionError(metric_not_logged(named, list(trainer.callback_metrics)))

    def _take(self, trainer: pl.Trainer, kind: str, value: float | None) -> None:
        """A copy of the training state as it is now."""
        path = f"checkpoints/{kind}-step{trainer.global_step}.ckpt"
        if self._saved.get(kind) == path:
            return
        began = time.monotonic()
        content = trainer._checkpoint_connector.dump_checkpoint(weights_only=False)  # what save_checkpoint writes
        size = sum(tensor.numel() * tensor.element_size() for tensor in content["state_dict"].values())
        about = reader.Checkpoint(path, kind, trainer.global_step, trainer.current_epoch, value, 0, "")
        if size > _LARGE_BYTES or kind == "last":
            self._pending[kind] = (content, about)
            self._write_pending()
        else:
            self._pending[kind] = (_copied(content), about)
        self._spent_s += time.monotonic() - began

    def _is_due(self) -> bool:
        if not self._is_keeping or self._has_failed:
            return False
        return self._spent_s <= _WRITING_SHARE * (time.monotonic() - self._began)

    def _write_pending(self) -> None:
        began = time.monotonic()
        for kind, (content, about) in list(self._pending.items()):
            try:
                self._write(content, about, instead_of=self._saved.get(kind, ""))
            except OSError as err:
                self._has_failed = True
                self._writer.event("checkpoint", f"checkpoint not saved: {err.strerror or err}; training goes on")
                return
            del self._pending[kind]
            self._saved[kind] = about.path
        self._spent_s += time.monotonic() - began

    def _write(self, content: Any, about: reader.Checkpoint, instead_of: str = "") -> None:
        """Writes a checkpoint and announces it with its size and hash."""
        path = self._folder.path / about.path
        save_atomically(content, path)
        self._writer.checkpoint(about._replace(size=path.stat().st_size, sha256=file_hash(path)), instead_of)


def _copied(content: Any) -> Any:
    """Tensors copied, containers rebuilt, everything else as it is."""
    if isinstance(content, torch.Tensor):
        return content.detach().clone()
    if isinstance(content, dict):
        copied = {key: _copied(item) for key, item in content.items()}
        return copied if type(content) is dict else _like(content, copied)
    if type(content) in (list, tuple):
        return type(content)(_copied(item) for item in content)
    return content


def _like(original: dict[Any, Any], copied: dict[Any, Any]) -> Any:
    """`copied` in the type of `original` (an OrderedDict of weights carries attributes too)."""
    made = original.copy()
    made.update(copied)
    return made


def choose_monitor(names: list[str]) -> str | None:
    """The metric that tells the best epoch when none was named: a validation loss, then any that can tell."""

    def rank(name: str) -> tuple[bool, bool, bool]:
        return (not name.startswith(("val", "valid", "dev")), "loss" not in name, name.endswith("_step"))

    known = [name for name in names if direction_of(name) is not None]
    return min(known, key=rank) if known else None


def metric_not_logged(name: str, logged: list[str]) -> str:
    """The message for a metric nobody logs."""
    known = ", ".join(f"`{metric}`" for metric in sorted(logged)) or "none"
    return f"`{name}` was never logged.{did_you_mean(name, logged)} Logged are: {known}"
