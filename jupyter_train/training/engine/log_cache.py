"""Makes `self.log` add to Lightning's results directly, without its checks at every batch.

The first call of each kind takes Lightning's path, which checks it and creates its `_ResultMetric`. Equal calls, in
the same hook with the same arguments, then add to that entry by the arithmetic of `_ResultMetric.update` (2.6). Every
other call takes Lightning's path.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.trainer.connectors.logger_connector.result import _get_default_dtype
from pytorch_lightning.utilities.data import extract_batch_size
from torchmetrics import Metric

from jupyter_train.training.lightning.patches import replace_log, restore_log

if TYPE_CHECKING:
    from pytorch_lightning.trainer.connectors.logger_connector.result import _ResultCollection, _ResultMetric

_FLOATS = (torch.float32, torch.float64)


class _Entry:
    """One logged name: its `_ResultMetric`, and how its values are reduced."""

    __slots__ = (
        "device",
        "is_mean",
        "is_object",
        "is_sized",
        "key",
        "metric",
        "on_epoch",
        "on_step",
        "reduce",
        "slots",
    )

    def __init__(self, key: str, metric: _ResultMetric) -> None:
        meta = metric.meta
        self.key = key
        self.metric = metric
        self.slots: dict[str, Any] = metric.__dict__
        self.device = metric.value.device
        self.on_step = meta.on_step
        self.on_epoch = meta.on_epoch
        self.is_object = not metric.is_tensor
        self.is_mean = meta.is_mean_reduction
        self.is_sized = meta.is_mean_reduction and meta.on_epoch
        self.reduce = meta.reduce_fx if meta.is_min_reduction or meta.is_max_reduction else torch.add

    def add(self, value: torch.Tensor, batch_size: int) -> None:
        """Adds a value, as `_ResultMetric.update` does."""
        slots = self.slots
        slots["_computed"] = None
        slots["_update_count"] += 1
        slots["has_reset"] = False
        if self.on_step:
            cached = slots["_forward_cache"] = value.clone()
            if not self.on_epoch:
                slots["value"] = cached
                return
        if self.is_mean:
            slots["value"] = slots["value"] + value * batch_size
            slots["cumulated_batch_size"] = slots["cumulated_batch_size"] + batch_size
        else:
            slots["value"] = self.reduce(slots["value"], value)

    def add_object(self, value: Metric) -> None:
        """Adds the value that a torchmetrics object has just computed for its batch."""
        slots = self.slots
        slots["_computed"] = None
        slots["_update_count"] += 1
        slots["has_reset"] = False
        slots["_forward_cache"] = value._forward_cache


class ResultCache:
    """Finds the entry of a logged value in the `_ResultCollection` of one fit.

    Args:
        trainer: The fitting trainer.
    """

    def __init__(self, trainer: pl.Trainer) -> None:
        connector: Any = trainer._logger_connector
        self._trainer = trainer
        self._attributes = trainer.lightning_module.__dict__
        self._connector = connector
        self._results: Any = None
        self._tables: dict[tuple[int, int | None], dict[Any, _Entry]] = {}
        self._table: dict[Any, _Entry] = {}
        self._is_unflushed = False
        self._overwritten: list[tuple[_Entry, Any]] = []
        self._counted = -1
        self._has_step_values = False

    def begin(self, results: _ResultCollection, batch: object, loader: int | None = None) -> None:
        """Begins a batch, as `_LoggerConnector.on_batch_start` does."""
        connector = self._connector
        connector._first_loop_iter = connector._first_loop_iter is None
        results.batch = batch
        results.batch_size = None
        results.dataloader_idx = loader
        self._results = results
        self._overwritten.clear()
        self._table = self._tables.setdefault((id(results), loader), {})

    def end(self) -> None:
        """Ends a batch; the metrics that `_LoggerConnector.on_batch_end` copies are copied by `flush`."""
        self._is_unflushed = True
        self._results.batch = None
        self._results.batch_size = None
        self._results = None

    def discard(self) -> None:
        """Ends a batch that has nothing to copy."""
        self._results = None

    def flush(self) -> None:
        """Copies the last batch's metrics to where `trainer.callback_metrics` and others read them."""
        if not self._is_unflushed:
            return
        self._is_unflushed = False
        copies = self._copies()
        if self._results is not None and self._overwritten:  # in the middle of a batch, which copies nothing yet
            self._flush_before_batch(copies)
            return
        for kind, copied in copies:
            copied.update(self._connector.metrics[kind])

    def _copies(self) -> list[tuple[str, dict[str, Any]]]:
        connector = self._connector
        return [
            ("pbar", connector._progress_bar_metrics),
            ("callback", connector._callback_metrics),
            ("log", connector._logged_metrics),
        ]

    def _flush_before_batch(self, copies: list[tuple[str, dict[str, Any]]]) -> None:
        """Copies the metrics of the batch before this one; values that user code has read since are newer, and stay."""
        current = self._connector.metrics
        newest = {entry: entry.slots["_forward_cache"] for entry, _ in self._overwritten}
        for entry, previous in reversed(self._overwritten):
            entry.slots["_forward_cache"] = previous
        earlier = self._connector.metrics
        for entry, value in newest.items():
            entry.slots["_forward_cache"] = value
        for kind, copied in copies:
            already_current = {name for name, value in copied.items() if _is_same(value, current[kind].get(name))}
            copied.update({name: value for name, value in earlier[kind].items() if name not in already_current})

    def has_step_values(self, results: _ResultCollection) -> bool:
        """Whether any of the results is logged on each step."""
        if len(results) != self._counted:
            self._counted = len(results)
            self._has_step_values = any(item.meta.on_step for item in results.values())
        return self._has_step_values

    def log(
        self, name: str, value: object, batch_size: Any, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> bool:
        """Adds a value; False where it must take Lightning's path."""
        results = self._results
        if results is None:
            return False
        connector = self._connector
        hook = self._attributes["_current_fx_name"]
        if connector._current_fx != hook and connector._first_loop_iter is not False:
            return False
        try:
            entry = self._table.get((hook, name, arguments, *options.items()))
        except TypeError:  # an argument that cannot be hashed
            return False
        if entry is None or results.get(entry.key) is not entry.metric:
            return False
        if entry.on_step:
            self._overwritten.append((entry, entry.slots["_forward_cache"]))
        if entry.is_object:
            if value is not entry.slots["value"] or value.device != entry.device:
                return False
            entry.add_object(value)
        else:
            plain = _plain_tensor(value, entry.device)
            if plain is None:
                return False
            if entry.is_sized and batch_size is None:
                batch_size = self._batch_size()
            entry.add(plain, batch_size)
        connector._current_fx = hook
        return True

    def _batch_size(self) -> int:
        results = self._results
        if results.batch_size is None:
            results.batch_size = _count_samples(results.batch)
        return int(results.batch_size)

    def learn(self, name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        """Remembers the entry of a value that Lightning has added, unless the call is of an uncommon kind."""
        results = self._results
        if results is None or len(arguments) > len(_POSITIONAL):
            return
        call_options = dict(zip(_POSITIONAL, arguments, strict=False)) | options
        if call_options.get("enable_graph") or (call_options.get("logger") and self._trainer.logger is None):
            return
        hook = self._attributes["_current_fx_name"]
        loader = results.dataloader_idx if call_options.get("add_dataloader_idx", True) else None
        key = f"{hook}.{name}" if loader is None else f"{hook}.{name}.{loader}"
        metric = results.get(key)
        if metric is not None:
            with contextlib.suppress(TypeError):  # an argument that cannot be hashed
                self._table[(hook, name, arguments, *options.items())] = _Entry(key, metric)


#: The positional parameters of `self.log` after name and value.
_POSITIONAL = ("prog_bar", "logger", "on_step", "on_epoch", "reduce_fx", "enable_graph")


def _plain_tensor(value: object, device: torch.device) -> torch.Tensor | None:
    """A value as Lightning would add it; None where Lightning would do more than detach it."""
    if isinstance(value, torch.Tensor):
        if value.ndim or value.dtype not in _FLOATS or value.device != device:
            return None
        return value.detach()
    if type(value) is float or type(value) is int:
        return torch.tensor(value, device=device, dtype=_get_default_dtype())
    return None


def _is_same(left: object, right: object) -> bool:
    """True where two reads of a metric returned the same value."""
    if isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor):
        return left.data_ptr() == right.data_ptr()
    return type(left) is type(right) and bool(left == right)


def _count_samples(batch: Any) -> int:
    """The number of samples in a batch, as Lightning's `extract_batch_size` returns it."""
    kind = type(batch)
    if kind is list or kind is tuple:
        first = batch[0] if batch else None
        if type(first) is torch.Tensor and first.ndim:
            size = first.shape[0]
            if all(type(tensor) is torch.Tensor and tensor.ndim and tensor.shape[0] == size for tensor in batch):
                return size
    elif kind is torch.Tensor and batch.ndim:
        return int(batch.shape[0])
    return int(extract_batch_size(batch))


_CACHES: dict[int, ResultCache] = {}
_LOCK = threading.Lock()
_lightning_log: Any = pl.LightningModule.log


@contextlib.contextmanager
def log_through(module: pl.LightningModule, cache: ResultCache) -> Iterator[None]:
    """While entered, `module.log` tries the cache first."""
    global _lightning_log
    with _LOCK:
        if not _CACHES:
            _lightning_log = replace_log(_log)
        outer_cache = _CACHES.get(id(module))
        _CACHES[id(module)] = cache
    try:
        yield
    finally:
        with _LOCK:
            if outer_cache is None:
                del _CACHES[id(module)]
            else:
                _CACHES[id(module)] = outer_cache
            if not _CACHES:
                restore_log(_log, _lightning_log)


def _log(
    self: pl.LightningModule,
    name: str,
    value: object,
    *arguments: object,
    batch_size: int | None = None,
    **options: object,
) -> None:
    """See `LightningModule.log`."""
    cache = _CACHES.get(id(self))
    if cache is not None:
        if cache.log(name, value, batch_size, arguments, options):
            return
        cache.flush()  # Lightning overwrites the last value
    _lightning_log(
        self, name, value, *arguments, **(options if batch_size is None else {**options, "batch_size": batch_size})
    )
    if cache is not None:
        cache.learn(name, arguments, options)
