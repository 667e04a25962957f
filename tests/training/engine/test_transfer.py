"""Batches reach the step in a container of their own, and are read as Lightning's fetcher counts them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loops.fetchers import _PrefetchDataFetcher
from pytorch_lightning.utilities import CombinedLoader
from torch.utils.data import DataLoader, TensorDataset

from jupyter_train.training.engine.hooks import Hooks
from jupyter_train.training.engine.transfer import Transfer, batch_reader
from tests.models import LitDigits
from tests.training.trainers import At, fit


def in_fit(work: Callable[[Transfer], Any], module: pl.LightningModule | None = None, **options: Any) -> Any:
    """What `work` returns, called at the end of a fit of one batch."""
    results: list[Any] = []
    ended = At("on_train_epoch_end", lambda trainer: results.append(work(Transfer(trainer, Hooks(trainer)))))
    fit(module, None, ended, limit_train_batches=1, limit_val_batches=0, **options)
    return results[0]


ONE, TWO = torch.ones(2), torch.zeros(2)


@pytest.mark.parametrize("batch", [[ONE, TWO], (ONE, TWO), {"x": ONE, "y": TWO}], ids=["list", "tuple", "dict"])
def test_a_container_is_another_one_of_the_same_tensors(batch: Any) -> None:
    moved = in_fit(lambda transfer: transfer(batch))
    assert type(moved) is type(batch)
    assert moved is not batch
    assert [id(part) for part in (moved.values() if type(moved) is dict else moved)] == [id(ONE), id(TWO)]


def test_a_tensor_that_is_there_already_is_itself() -> None:
    assert in_fit(lambda transfer: transfer(ONE)) is ONE


def test_what_holds_other_things_is_moved_by_lightning() -> None:
    nested = {"x": [ONE, {"y": TWO}], "name": "row 3"}
    moved = in_fit(lambda transfer: transfer(nested))
    assert moved["name"] == "row 3"
    assert moved["x"][1] is not nested["x"][1]
    assert moved["x"][1]["y"] is TWO


def test_a_batch_is_in_the_precision_of_the_fit() -> None:
    moved = in_fit(lambda transfer: transfer([torch.ones(2), torch.ones(2, dtype=torch.int64)]), precision="64-true")
    assert [part.dtype for part in moved] == [torch.float64, torch.int64]


def test_a_hook_of_the_module_has_the_batch() -> None:
    class Doubles(LitDigits):
        def on_after_batch_transfer(self, batch, dataloader_idx):
            return [part * 2 for part in batch] if dataloader_idx == 7 else batch

    moved = in_fit(lambda transfer: transfer([ONE, TWO], 7), Doubles())
    assert moved[0].tolist() == [2.0, 2.0]


def fetcher(loaders: Any) -> _PrefetchDataFetcher:
    """A fetcher whose epoch has begun."""
    made = _PrefetchDataFetcher()
    combined = CombinedLoader(loaders, "max_size_cycle")
    combined.limits = None
    made.setup(combined)
    iter(made)
    return made


def numbers(count: int = 5) -> DataLoader[Any]:
    return DataLoader(TensorDataset(torch.arange(count)), 2)


def counters(of: _PrefetchDataFetcher) -> tuple[Any, ...]:
    combined: Any = of.combined_loader
    mode = combined._iterator
    return of.fetched, of.done, mode._idx, list(mode._consumed)


@pytest.mark.parametrize(
    "loaders",
    [numbers, lambda: [numbers()], lambda: [numbers(), numbers(3)], lambda: {"a": numbers()}, lambda: [[1], [2], [3]]],
    ids=["one", "list", "two", "mapping", "no loader"],
)
def test_batches_and_counters_are_those_of_the_fetcher(loaders: Callable[[], Any]) -> None:
    stock, ours = fetcher(loaders()), fetcher(loaders())
    read = batch_reader(ours)
    while not stock.done:
        batch, _, _ = next(stock)
        assert repr(read()) == repr(batch)
        assert counters(ours) == counters(stock)
    for end in (lambda: next(stock), read):
        with pytest.raises(StopIteration):
            end()
    assert counters(ours) == counters(stock)
