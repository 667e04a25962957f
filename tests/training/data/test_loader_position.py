"""Where each loader of a fit is: its seeded order, the batches to skip after a resume, what a checkpoint says of it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from jupyter_train.training.data.loader_position import LoaderOrders
from jupyter_train.training.lightning.patches import LoopPatches
from tests.models import LitDigits
from tests.training.trainers import At, quiet_trainer

ROWS = TensorDataset(torch.arange(24))


class Seen(LitDigits):
    """Trains nothing; notes the rows of every batch."""

    def __init__(self) -> None:
        super().__init__()
        self.trained: list[list[int]] = []
        self.validated: list[list[int]] = []

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        rows = batch[0] if isinstance(batch, list) else batch
        self.trained.append(rows.tolist())
        return self.net[0].bias.sum()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.validated.append(batch[0].tolist())


def loader(**options: Any) -> Any:
    return DataLoader(ROWS, 4, **{"shuffle": True, **options})


def fit(orders: LoaderOrders, train: Any = None, validation: Any = None, *callbacks: Any, epochs: int = 1) -> Seen:
    model = Seen()
    patches = LoopPatches(quiet_trainer(max_epochs=epochs, callbacks=list(callbacks), num_sanity_val_steps=0))
    orders.register(patches)
    patches.install()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patches.trainer.fit(model, train if train is not None else loader(), validation)
    patches.remove()
    return model


def rows_of(batches: list[list[int]]) -> list[int]:
    return sorted(row for batch in batches for row in batch)


def test_the_order_of_every_epoch_follows_from_the_seed() -> None:
    torch.manual_seed(0)
    first = fit(LoaderOrders(1), epochs=2)
    torch.manual_seed(5)
    assert fit(LoaderOrders(1), epochs=2).trained == first.trained
    assert fit(LoaderOrders(2), epochs=2).trained != first.trained
    one, two = first.trained[:6], first.trained[6:]
    assert one != two
    assert rows_of(one) == rows_of(two) == list(range(24))


@pytest.mark.parametrize("skip", [1, 4, 6])
def test_batches_that_were_trained_on_are_skipped_once(skip: int) -> None:
    whole = fit(LoaderOrders(1), epochs=2).trained
    assert fit(LoaderOrders(1, skip=skip), epochs=2).trained[: 12 - skip] == whole[skip:]


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        return iter(range(24))


class Plain:
    """Yields batches, and is no DataLoader."""

    def __iter__(self) -> Iterator[Any]:
        return iter(torch.full((4,), number) for number in range(6))

    def __len__(self) -> int:
        return 6


def test_a_loader_without_a_seeded_order_has_its_batches_read_and_dropped() -> None:
    assert fit(LoaderOrders(1, skip=2), DataLoader(Stream(), 4)).trained[0] == [8, 9, 10, 11]
    assert fit(LoaderOrders(1, skip=2), Plain()).trained[0] == [2] * 4


def test_what_a_resume_cannot_repeat_is_remarked_once() -> None:
    orders = LoaderOrders(1)
    late: list[str] = []
    orders.on_remark = late.append
    fit(orders, DataLoader(Stream(), 4))
    assert len(orders.remarks) == 1
    assert "Stream" in orders.remarks[0]
    orders.remark([orders.remarks[0], "something new"])
    orders.remark(["something new"])
    assert late == ["something new"]
    fine = LoaderOrders(1)
    fit(fine)
    assert fine.remarks == []


def test_a_checkpoint_says_in_which_pass_of_which_epoch_each_loader_is() -> None:
    orders, found = LoaderOrders(1), {}

    def note(name: str) -> Any:
        return lambda trainer: found.setdefault(name, orders.state(trainer))

    callbacks = [
        At("on_train_start", note("begin")),
        At("on_validation_batch_start", note("validating")),
        At("on_train_epoch_end", note("validated")),
        At("on_train_batch_end", note("second epoch"), step=8),
    ]
    fit(orders, None, loader(), *callbacks, epochs=2)
    places = {name: (state["train"], state["validation"]) for name, state in found.items()}
    assert places == {
        "begin": ([[0, 0]], [[0, 0]]),
        "validating": ([[0, 1]], [[0, 0]]),  # of a running validation, its beginning
        "validated": ([[0, 1]], [[0, 1]]),
        "second epoch": ([[1, 1]], [[0, 1]]),
    }
