"""Brings batches from a loader to the model, past what has nothing to do."""

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
    """Moves batches to the model's device, by Lightning's own way wherever it would do anything but copy containers.

    Lightning gives every step a new container, whatever came from the loader: a batch that a loader keeps and hands on
    again is as it was, after a step has taken something out of it or put something in.

    Args:
        trainer: The fitting trainer.
        hooks: What is overridden.
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
                if self._are_there(batch):
                    return [*batch] if kind is list else tuple([*batch])
            elif kind is dict and self._are_there(batch.values()):
                return dict(batch)
        trainer = self._trainer
        batch = trainer.lightning_module._on_before_batch_transfer(batch, dataloader_idx=loader)
        return call._call_strategy_hook(trainer, "batch_to_device", batch, dataloader_idx=loader)

    def _are_there(self, items: Iterable[Any]) -> bool:
        """True for plain tensors that are on the device already."""
        device = self._device
        for item in items:  # noqa: SIM110  a generator costs more than what it is asked
            if type(item) is not torch.Tensor or item.device != device:
                return False
        return True


def source_of(fetcher: _DataFetcher) -> Callable[[], Any]:
    """What gives the next batch of an epoch that has begun, keeping Lightning's own counters.

    Raises StopIteration, as the fetcher would, when there is none.
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
    read = _reader(mode.iterators[0])
    length = fetcher.length
    assert length is not None

    def following() -> Any:
        if fetcher.done:
            raise StopIteration
        try:
            batch = read()
        except StopIteration:
            fetcher.done = mode._consumed[0] = True
            raise
        mode._idx += 1
        fetched = fetcher.fetched = fetcher.fetched + 1
        fetcher.done = fetched >= length
        return batch

    return following


def _reader(iterator: Any) -> Callable[[], Any]:
    """What reads the next batch of a loader's iterator."""
    is_simple = (
        type(iterator) is _SingleProcessDataLoaderIter
        and iterator._dataset_kind == _DatasetKind.Map
        and not iterator._pin_memory
        and iterator._sampler_iter is not None
    )
    if not is_simple:
        return iterator.__next__  # type: ignore[no-any-return]
    following, fetch = iterator._sampler_iter.__next__, iterator._dataset_fetcher.fetch

    def read() -> Any:
        batch = fetch(following())
        iterator._num_yielded += 1
        return batch

    return read
