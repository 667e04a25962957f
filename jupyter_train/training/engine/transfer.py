"""Reads batches from a loader and moves them to the device, without calls that have no effect."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loops.fetchers import _DataFetcher, _PrefetchDataFetcher
from pytorch_lightning.trainer import call
from pytorch_lightning.utilities.combined_loader import _MaxSizeCycle
from torch.utils.data.dataloader import _DatasetKind, _SingleProcessDataLoaderIter

from jupyter_train.training.engine.hooks import Hooks


class Transfer:
    """Moves batches to the model's device; through Lightning wherever that does more than copy containers.

    Lightning gives every step a new container, so that a batch which a loader yields again is unchanged after a step
    has removed or added an item.

    Args:
        trainer: The fitting trainer.
        hooks: The overridden hooks.
    """

    def __init__(self, trainer: pl.Trainer, hooks: Hooks) -> None:
        self._trainer = trainer
        self._hooks = hooks
        self._convert = trainer.precision_plugin.convert_input
        self._device = trainer.strategy.root_device

    def __call__(self, batch: Any, loader: int = 0) -> Any:
        """The batch on the model's device, in its precision."""
        batch = self._convert(batch)
        if not self._hooks.has_own_transfer:
            kind = type(batch)
            if kind is torch.Tensor:
                if batch.device == self._device:
                    return batch
            elif kind is list or kind is tuple:
                if self._are_on_device(batch):
                    return [*batch] if kind is list else tuple([*batch])
            elif kind is dict and self._are_on_device(batch.values()):
                return dict(batch)
        trainer = self._trainer
        batch = trainer.lightning_module._on_before_batch_transfer(batch, dataloader_idx=loader)
        return call._call_strategy_hook(trainer, "batch_to_device", batch, dataloader_idx=loader)

    def _are_on_device(self, items: Iterable[Any]) -> bool:
        """True for plain tensors that are already on the device."""
        device = self._device
        for item in items:  # noqa: SIM110  a generator costs more than the check
            if type(item) is not torch.Tensor or item.device != device:
                return False
        return True


def batch_reader(fetcher: _DataFetcher) -> Callable[[], Any]:
    """A function that returns the next batch of an epoch that has begun, and keeps the fetcher's counters.

    It raises StopIteration at the end, as the fetcher does. The private parts of the fetcher, the CombinedLoader and
    torch's `_SingleProcessDataLoaderIter` are those of Lightning 2.6 and torch 2.x.
    """
    combined: Any = fetcher.combined_loader
    mode = combined._iterator
    is_plain = (
        type(fetcher) is _PrefetchDataFetcher
        and fetcher.length is not None
        and not fetcher.batches
        and type(mode) is _MaxSizeCycle
        and len(mode.iterators) == 1
        and combined._spec.is_leaf()
    )
    if not is_plain:
        return lambda: next(fetcher)[0]
    read_item = _iterator_reader(mode.iterators[0])
    length = fetcher.length
    assert length is not None

    def read_batch() -> object:
        if fetcher.done:
            raise StopIteration
        try:
            batch = read_item()
        except StopIteration:
            fetcher.done = mode._consumed[0] = True
            raise
        mode._idx += 1
        fetched = fetcher.fetched = fetcher.fetched + 1
        fetcher.done = fetched >= length
        return batch

    return read_batch


def _iterator_reader(iterator: Any) -> Callable[[], Any]:
    """A function that reads the next batch of a loader's iterator."""
    is_simple = (
        type(iterator) is _SingleProcessDataLoaderIter
        and iterator._dataset_kind == _DatasetKind.Map
        and not iterator._pin_memory
        and iterator._sampler_iter is not None
    )
    if not is_simple:
        return iterator.__next__  # type: ignore[no-any-return]
    next_index, fetch = iterator._sampler_iter.__next__, iterator._dataset_fetcher.fetch

    def read_batch() -> object:
        batch = fetch(next_index())
        iterator._num_yielded += 1
        return batch

    return read_batch
