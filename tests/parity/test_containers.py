"""A step may do with its batch what it likes: the loader's own containers stay as they are, with both loops."""

from __future__ import annotations

from collections import OrderedDict, UserDict, defaultdict
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import pytorch_lightning as pl
import torch
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset

from jupyter_train.training import engine
from tests.parity.both_ways import USUAL
from tests.parity.models import Plain, rows
from tests.parity.spying import told

pytestmark = [pytest.mark.filterwarnings("ignore")]


class Pair(NamedTuple):
    """Named."""

    x: list[torch.Tensor]
    y: torch.Tensor


@dataclass
class Record:
    """A user's own batch."""

    x: torch.Tensor
    y: dict[str, torch.Tensor]


class Moving:
    """Knows how to go to a device: stock hands on what its `to` gives."""

    def __init__(self, x: torch.Tensor, y: torch.Tensor) -> None:
        self.x, self.y = x, y

    def to(self, device: Any) -> Moving:
        return Moving(self.x.to(device), self.y.to(device))


def _of_mapping(batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
    batch["x"] = batch["x"] * 3 - 1
    return batch["x"], batch.pop("y")


def _of_list(batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
    batch[0] = batch[0] * 3 - 1
    return batch[0], batch.pop()


def _of_nested(batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
    batch["names"].append("more")
    return _of_list(batch["pair"])


def _of_tuple(batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
    batch[2]["y"] = batch[2]["y"].roll(1)
    return batch[0], batch[2]["y"]


def _of_pair(batch: Pair) -> tuple[torch.Tensor, torch.Tensor]:
    batch.x[0] = batch.x[0] * 3 - 1
    return batch.x[0], batch.y


def _of_record(batch: Record) -> tuple[torch.Tensor, torch.Tensor]:
    batch.x = batch.x * 3 - 1
    return batch.x, batch.y.pop("y")


def _of_moving(batch: Moving) -> tuple[torch.Tensor, torch.Tensor]:
    batch.x = batch.x * 3 - 1
    return batch.x, batch.y


def _in_place(batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
    batch[0].mul_(0.9)  # the tensor itself is the loader's own on the same device, with stock too
    return batch[0], batch[1]


KINDS: dict[str, tuple[Any, Any]] = {
    "dict": (lambda x, y: {"x": x, "y": y}, _of_mapping),
    "dict with text": (lambda x, y: {"x": x, "y": y, "name": "row"}, _of_mapping),
    "OrderedDict": (lambda x, y: OrderedDict(x=x, y=y), _of_mapping),
    "defaultdict": (lambda x, y: defaultdict(list, x=x, y=y), _of_mapping),
    "mapping of the user's": (lambda x, y: UserDict(x=x, y=y), _of_mapping),
    "list": (lambda x, y: [x, y], _of_list),
    "list with None": (lambda x, y: [x, None, y], _of_list),
    "nested": (lambda x, y: {"pair": [x, y], "names": ["a"]}, _of_nested),
    "tuple": (lambda x, y: (x, 1, {"y": y}), _of_tuple),
    "named tuple": (lambda x, y: Pair([x], y), _of_pair),
    "dataclass": (lambda x, y: Record(x, {"y": y}), _of_record),
    "object that moves": (Moving, _of_moving),
    "tensors in place": (lambda x, y: [x, y], _in_place),
}


def _containers(value: Any) -> list[Any]:
    """A batch and every container in it."""
    if isinstance(value, dict | UserDict):
        return [value, *(inner for one in value.values() for inner in _containers(one))]
    if isinstance(value, list | tuple):
        return [value, *(inner for one in value for inner in _containers(one))]
    if isinstance(value, Record | Moving):
        return [value, *_containers(vars(value))[1:]]
    return []


class _Kept(Dataset):
    """Batches that are there for good."""

    def __init__(self, make: Any) -> None:
        x, y = rows().tensors
        self.batches = [make(x[i : i + 8].clone(), y[i : i + 8].clone()) for i in range(0, 40, 8)]

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Any:
        return self.batches[index]


class _Takes(Plain):
    """Changes its batches, and notes which containers it was given."""

    def __init__(self, take: Any, kept: list[Any]) -> None:
        super().__init__()
        self.take = take
        self.kept = {id(one) for batch in kept for one in _containers(batch)}
        self.notes: list[Any] = []
        self.last: Any = None

    def note(self, place: str, batch: Any) -> None:
        kinds = [type(one).__name__ for one in _containers(batch)]
        owned = [id(one) in self.kept for one in _containers(batch)]
        self.notes.append((place, kinds, owned, batch is self.last))
        self.last = batch

    def on_train_batch_start(self, batch, batch_idx):
        self.note("start", batch)

    def training_step(self, batch, batch_idx):
        self.note("step", batch)
        x, y = self.take(batch)
        return cross_entropy(self(x.to(self.net[0].weight.dtype)).float(), y)

    def on_train_batch_end(self, outputs, batch, batch_idx):
        self.note("end", batch)

    def on_validation_batch_start(self, batch, batch_idx, dataloader_idx=0):
        self.note("validation start", batch)

    def validation_step(self, batch, batch_idx):
        self.note("validation step", batch)
        x, y = self.take(batch)
        self.log("val_loss", cross_entropy(self(x.to(self.net[0].weight.dtype)).float(), y), batch_size=8)

    def on_validation_batch_end(self, outputs, batch, batch_idx, dataloader_idx=0):
        self.note("validation end", batch)


class _Sent(_Takes):
    """Hands on a container of its own, the same one every time."""

    def on_before_batch_transfer(self, batch, dataloader_idx):
        self.sent = vars(self).get("sent", batch)
        return batch


class _Iterated:
    """Gives its batches, and is no DataLoader."""

    def __init__(self, kept: _Kept) -> None:
        self.kept = kept

    def __len__(self) -> int:
        return len(self.kept)

    def __iter__(self) -> Any:
        return iter(self.kept.batches)


class _OfParts(_Takes):
    """Trains on one part of a combined batch."""

    def training_step(self, batch, batch_idx):
        return super().training_step(batch["part"], batch_idx)


SOURCES = {
    "collated": lambda kept: DataLoader(kept, batch_size=1, collate_fn=lambda batch: batch[0]),
    "not batched": lambda kept: DataLoader(kept, batch_size=None, collate_fn=lambda batch: batch),
    "iterated": _Iterated,
}


def _noted(kind: str, source: str, is_lean: bool, module: type = _Takes, **options: Any) -> dict[str, Any]:
    make, take = KINDS[kind]
    kept, seen_later = _Kept(make), _Kept(make)
    pl.seed_everything(11, verbose=False)
    model = module(take, [*kept.batches, *seen_later.batches])
    trainer = pl.Trainer(**USUAL | options, logger=False)
    reasons: list[Any] = []
    if is_lean:
        engine.install(trainer, reasons.append)
    loader = SOURCES[source](kept)
    trainer.fit(model, {"part": loader} if module is _OfParts else loader, SOURCES[source](seen_later))
    assert reasons == ([None] if is_lean else [])
    return {
        "notes": model.notes,
        "weights": told(model.state_dict()),
        "metrics": told(trainer.callback_metrics),
        "left": [told(vars(one) if isinstance(one, Record | Moving) else one) for one in kept.batches],
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_that_its_loader_keeps_is_the_steps_own(kind: str) -> None:
    stock = _noted(kind, "collated", False)
    assert _noted(kind, "collated", True) == stock
    assert len(stock["notes"]) == 3 * (5 + 5) * 3


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("kind", ["dict", "list", "nested"])
def test_whatever_hands_it_on(kind: str, source: str) -> None:
    stock = _noted(kind, source, False)
    assert _noted(kind, source, True) == stock


def test_as_a_part_of_a_combined_batch() -> None:
    stock = _noted("dict", "iterated", False, _OfParts)
    assert _noted("dict", "iterated", True, _OfParts) == stock


@pytest.mark.parametrize("options", [{"precision": "64-true"}, {"precision": "bf16-mixed"}], ids=str)
@pytest.mark.parametrize("module", [_Takes, _Sent])
def test_in_other_precisions_and_with_hooks_on_its_way(module: type, options: dict[str, Any]) -> None:
    stock = _noted("dict", "collated", False, module, **options)
    assert _noted("dict", "collated", True, module, **options) == stock
