"""Takes snapshots of a fit: the content of a checkpoint, copied where memory allows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psutil
import pytorch_lightning as pl

from jupyter_train.events import CheckpointKind
from jupyter_train.store.metrics import reader
from jupyter_train.store.writer import RunWriter
from jupyter_train.training.checkpoints.async_writer import AsyncWriter, Snapshot, copy_to_host, tensor_bytes
from jupyter_train.training.checkpoints.best import BestCheckpoint
from jupyter_train.training.checkpoints.last_safe_point import LastSafePoint
from jupyter_train.training.checkpoints.on_disk import WrittenCheckpoints
from jupyter_train.training.lightning.safe_points import SafePoint

#: A copy is made where this many times the checkpoint's size is free; else it is written straight from the model.
_MIN_FREE_RATIO = 2.0
#: Of checkpoints of at least this size there is one copy in memory at a time.
_LARGE_BYTES = 64 * 1024 * 1024


class SnapshotTaker:
    """Takes the snapshots of one fit.

    Args:
        writer: Marks positions in the run's history.
        async_writer: Writes snapshots.
        written: Names checkpoints.
        best: Holds the best snapshot.
        safe_point: The last safe point.
    """

    def __init__(
        self,
        writer: RunWriter,
        async_writer: AsyncWriter,
        written: WrittenCheckpoints,
        best: BestCheckpoint,
        safe_point: LastSafePoint,
    ) -> None:
        self.extra: Callable[[], dict[str, Any]] = dict
        self._writer = writer
        self._async_writer = async_writer
        self._written = written
        self._best = best
        self._safe_point = safe_point

    def take(
        self,
        trainer: pl.Trainer,
        kind: CheckpointKind,
        moment: SafePoint,
        random: dict[str, Any] | None = None,
        value: float | None = None,
        is_shared: bool = False,
    ) -> Snapshot:
        """A snapshot of a safe point.

        Args:
            trainer: At that point.
            kind: BEST, LAST or MANUAL.
            moment: The safe point.
            random: Its random state; the current one if None, or that of the validation's start.
            value: Of the monitored metric.
            is_shared: Whether it may share tensors with the fit: it is written before training continues.
        """
        content = self._safe_point.content(trainer, moment, self.extra, random or self._safe_point.random_at(moment))
        size = tensor_bytes(content)
        if size >= _LARGE_BYTES and not is_shared:  # one copy at a time
            self._best.write()
            self._async_writer.wait()
        has_room = size * _MIN_FREE_RATIO <= psutil.virtual_memory().available
        step = trainer.global_step
        path = self._written.new_path(kind, step)
        row = reader.Checkpoint(path, kind, step, trainer.current_epoch, value, 0, "")
        earlier = self._safe_point.marker if moment is SafePoint.BEFORE_VALIDATION else None
        at = earlier or self._writer.mark()
        if is_shared:
            return Snapshot(content, row, at)
        if not has_room:
            self._async_writer.write_synchronously()
        return Snapshot(copy_to_host(content) if has_room else content, row, at)
