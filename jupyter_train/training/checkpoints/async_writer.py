"""Writes checkpoints, on a separate thread where memory allows, and records them once they are complete."""

from __future__ import annotations

import errno
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch

from jupyter_train.events import EventKind
from jupyter_train.store.metrics.reader import Checkpoint
from jupyter_train.store.redaction import one_line
from jupyter_train.store.run_folder import RunFolder
from jupyter_train.store.writer import HistoryMarker, RunWriter
from jupyter_train.training.checkpoints.format import PICKLED_KEY, RUN_STATE_KEY, write
from jupyter_train.training.checkpoints.plain_content import pickle_extracted, split_plain

_MARGIN_BYTES = 16 * 1024 * 1024


@dataclass
class Snapshot:
    """A checkpoint on its way to the disk.

    Attributes:
        content: What is written; not shared with the fit while it waits.
        row: Its row in the store, still without size and hash.
        at: Its position in the run's history.
        replaced: Called once it is on disk; returns the paths of the checkpoints it replaces.
        failed: Called when writing failed.
    """

    content: dict[str, Any]
    row: Checkpoint
    at: HistoryMarker
    replaced: Callable[[], list[str]] = list
    failed: Callable[[], None] = lambda: None


class AsyncWriter:
    """A queue of snapshots, written oldest first; a waiting one is dropped for a newer one of its slot.

    A disk error is recorded once; the next snapshot is tried again.

    Args:
        folder: The run's folder.
        writer: Records complete checkpoints.
        is_async: Whether to write on a separate thread.
    """

    def __init__(self, folder: RunFolder, writer: RunWriter, is_async: bool) -> None:
        self.spent_s = 0.0
        self.problem = ""
        self._folder = folder
        self._writer = writer
        self.is_async = is_async
        self._waiting: dict[str, Snapshot] = {}
        self._has_work = threading.Condition()
        self._is_busy = False
        self._is_closed = False
        self._reported: set[str] = set()
        self._thread: threading.Thread | None = None

    def save(self, slot: str, snapshot: Snapshot, must_wait: bool = False) -> bool:
        """Writes or queues a snapshot; False where writing it at once failed.

        Args:
            slot: A snapshot that waits in the same slot is dropped.
            snapshot: The checkpoint.
            must_wait: Return once it is on disk.
        """
        if must_wait or not self.is_async:
            self.wait()
            return self._write(snapshot)
        with self._has_work:
            self._waiting.pop(slot, None)
            self._waiting[slot] = snapshot
            self._has_work.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="jupyter_train saver", daemon=True)
                self._thread.start()
        return True

    def write_synchronously(self) -> None:
        """Writes every later snapshot in the calling thread: there is no memory for copies."""
        if self.is_async:
            self.is_async = False
            self._writer.event(EventKind.CHECKPOINT, "memory is short: training waits while a checkpoint is written")

    def wait(self) -> None:
        """Blocks until the queue is empty."""
        with self._has_work:
            self._has_work.wait_for(lambda: not self._waiting and not self._is_busy)

    def close(self) -> None:
        """Writes the queued snapshots and ends the thread."""
        self.wait()
        with self._has_work:
            self._is_closed = True
            self._has_work.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _loop(self) -> None:
        while True:
            with self._has_work:
                self._has_work.wait_for(lambda: bool(self._waiting) or self._is_closed)
                if not self._waiting:
                    return
                snapshot = self._waiting.pop(next(iter(self._waiting)))
                self._is_busy = True
            began = time.thread_time()
            try:
                self._write(snapshot)
            except Exception as err:  # noqa: BLE001  without this thread nothing would be saved, and `wait` never end
                self._report(f"checkpoint not announced: {one_line(str(err), 300)}; training continues")
            self.spent_s += time.thread_time() - began
            del snapshot
            with self._has_work:
                self._is_busy = False
                self._has_work.notify_all()

    def _write(self, snapshot: Snapshot) -> bool:
        row = snapshot.row
        target = self._folder.path / row.path
        try:
            self._check_room(snapshot.content)
            size, sha256, problems = write(snapshot.content, target)
        except Exception as err:  # noqa: BLE001  full disk, or an object torch itself refuses: training continues
            snapshot.failed()
            self._report(f"checkpoint not saved: {getattr(err, 'strerror', None) or err}; training continues")
            return False
        self._report_lost(problems)
        self._report("")
        self._writer.checkpoint(row._replace(size=size, sha256=sha256), snapshot.replaced(), snapshot.at)
        return True

    def _check_room(self, content: dict[str, Any]) -> None:
        needed = tensor_bytes(content) + _MARGIN_BYTES
        free = shutil.disk_usage(self._folder.checkpoints).free
        if needed > free:
            text = f"{needed / 1e6:,.0f} MB are needed and {free / 1e6:,.0f} MB are free"
            raise OSError(errno.ENOSPC, text)

    def _report_lost(self, problems: dict[str, str]) -> None:
        for name, reason in problems.items():
            if name not in self._reported:
                self._reported.add(name)
                text = f"`{name}` cannot be kept in a checkpoint ({reason}); a resumed run will not have it"
                self._writer.event(EventKind.WARNING, text)

    def _report(self, problem: str) -> None:
        if problem and problem != self.problem:
            self._writer.event(EventKind.CHECKPOINT, problem)
        elif self.problem and not problem:
            self._writer.event(EventKind.CHECKPOINT, "checkpoints can be saved again")
        self.problem = problem


def tensor_bytes(content: object) -> int:
    """Bytes of all tensors in plain containers."""
    if isinstance(content, torch.Tensor):
        return content.numel() * content.element_size()
    if isinstance(content, dict):
        return sum(tensor_bytes(item) for item in content.values())
    if isinstance(content, list | tuple):
        return sum(tensor_bytes(item) for item in content)
    return 0


def has_nan(content: object) -> bool:
    """Whether a tensor in plain containers holds NaN; infinities are allowed, since masks have them."""
    if isinstance(content, torch.Tensor):
        # the sum takes no memory, and is NaN also where infinities cancel out
        return content.is_floating_point() and bool(content.sum().isnan()) and bool(content.isnan().any())
    items = content.values() if isinstance(content, dict) else content if isinstance(content, list | tuple) else ()
    return any(has_nan(item) for item in items)


def checkpoint_bytes(trainer: pl.Trainer) -> int:
    """Approximate size of a checkpoint in bytes: weights and optimizer states."""
    return tensor_bytes(trainer.lightning_module.state_dict()) + tensor_bytes(
        [dict(optimizer.state) for optimizer in trainer.optimizers]
    )


def copy_to_host(content: dict[str, Any]) -> dict[str, Any]:
    """A copy with every tensor in separate host memory, and objects that are not plain data pickled.

    Tensors that share memory share it in the copy too.
    """
    plain, extracted = split_plain(content)
    copies: dict[tuple[int, Any, Any, Any], torch.Tensor] = {}
    copy = _copy_to_host(plain, copies)
    if extracted:
        copy[RUN_STATE_KEY] = {**copy.get(RUN_STATE_KEY, {}), PICKLED_KEY: pickle_extracted(extracted)}
    return copy  # type: ignore[no-any-return]


def _copy_to_host(content: object, copies: dict[tuple[int, Any, Any, Any], torch.Tensor]) -> Any:
    if isinstance(content, torch.Tensor):
        key = (content.data_ptr(), tuple(content.shape), tuple(content.stride()), content.dtype)
        if content.numel() == 0 or key not in copies:
            copies[key] = content.detach().to("cpu", copy=True)
        return copies[key]
    if isinstance(content, dict):
        copy: Any = type(content)((key, _copy_to_host(item, copies)) for key, item in content.items())
        if hasattr(content, "_metadata"):
            copy._metadata = content._metadata
        return copy
    if isinstance(content, list | tuple) and type(content) in (list, tuple):
        return type(content)(_copy_to_host(item, copies) for item in content)
    return content
