"""In which order samples come, and what datasets draw while they are read: functions of the run's seed.

A shuffled DataLoader draws its order from whatever state the global generator is in, so a resumed epoch would see
other samples than the one that was broken off. Here the order follows from (seed, epoch), and what a dataset draws for
its n-th sample of an epoch from (seed, epoch, n), whichever worker process reads it.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from jupyter_train.training.datasets import Numbered, SeededDataset, WorkerStart, draws
from jupyter_train.training.indexed import collated, indexed
from jupyter_train.training.moments import before
from jupyter_train.training.randomness import Held, derived, seed_sample

_DRAW_FROM_A_GENERATOR = (RandomSampler, SubsetRandomSampler, WeightedRandomSampler)
_GENERATORS = (np.random.Generator, np.random.RandomState, torch.Generator)


class Order:
    """The batches (or samples) of one loader, in an order that follows from the run's seed.

    Stands in a loader's place for its batch sampler, or its sampler where it makes no batches.

    Args:
        inner: The sampler it stands for.
        seed: The run's, mixed with the loader's place among all loaders.
        is_numbering: Whether the dataset is told the number of each sample.
    """

    def __init__(self, inner: Any, seed: int, is_numbering: bool) -> None:
        self.epoch = 0
        self.cycle = 0
        self.skip = 0
        self._inner = inner
        self._seed = seed
        self._is_numbering = is_numbering

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_inner":
            raise AttributeError(name)
        return getattr(self._inner, name)

    @property
    def sampler(self) -> Any:
        """Lightning calls `set_epoch` on what a batch sampler takes its samples from: on this, and so on that."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Which epoch comes next; the first pass through the loader in it is the first one again."""
        if epoch != self.epoch:
            self.epoch, self.cycle = epoch, 0
        owners: list[Any] = [self._inner, getattr(self._inner, "sampler", None)]
        for one in {id(one): one for one in owners}.values():
            if callable(getattr(one, "set_epoch", None)):
                one.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self._inner)

    def __iter__(self) -> Iterator[Any]:
        """One pass, without the batches to be skipped; more passes in one epoch differ from each other.

        It counts from its first batch on: a loader with workers makes two iterators and uses one.
        """
        seed = derived(self._seed, self.epoch, self.cycle)
        self.cycle += 1
        skip, self.skip = self.skip, 0
        yield from self._pass(seed, skip)

    def _pass(self, seed: int, skip: int) -> Iterator[Any]:
        if not self._is_numbering:
            yield from itertools.islice(self._drawn(seed), skip, None)
            return
        number = 0
        for position, item in enumerate(self._drawn(seed)):
            count = len(item) if isinstance(item, list | tuple) else 1
            if position >= skip:
                yield self._numbered(item, number, seed)
            number += count

    def _drawn(self, seed: int) -> Iterator[Any]:
        drawer: Any = getattr(self._inner, "sampler", self._inner)
        if type(drawer) in _DRAW_FROM_A_GENERATOR:
            drawer.generator = torch.Generator().manual_seed(seed)
            return iter(self._inner)
        if _is_ordered_by_itself(drawer) or not hasattr(self._inner, "__len__"):
            return iter(self._inner)
        with Held():  # a sampler of the user's: whatever it draws, it draws from here
            seed_sample(seed)
            return iter([*self._inner])

    @staticmethod
    def _numbered(item: Any, number: int, seed: int) -> Any:
        if isinstance(item, list | tuple):
            return [Numbered(index, number + offset, seed) for offset, index in enumerate(item)]
        return Numbered(item, number, seed)


def _is_ordered_by_itself(sampler: Any) -> bool:
    from torch.utils.data.distributed import DistributedSampler

    return isinstance(sampler, SequentialSampler | DistributedSampler)


class Orders:
    """Puts every loader of a fit in order, and names what cannot be.

    Args:
        seed: The run's.
        skip: Batches of the first training epoch that an earlier attempt has had.
        by_index: Whether tensors in memory are read a batch at a time.

    Attributes:
        remarks: What cannot be made exact, and can be seen: one line each.
    """

    def __init__(self, seed: int, skip: int = 0, by_index: bool = True) -> None:
        self.remarks: list[str] = []
        self._by_index = by_index
        self._seed = seed
        self._skip = skip
        self._known: dict[str, list[Order | None]] = {_TRAIN: [], _VALIDATION: []}

    def watch(self, trainer: pl.Trainer) -> None:
        """Puts loaders in order as Lightning gets them from the user."""
        strategy: Any = trainer.strategy
        theirs = strategy.process_dataloader

        def process(loader: Any) -> Any:
            stage = _TRAIN if trainer.training else _VALIDATION
            epochs: Any = trainer.fit_loop.epoch_progress.current
            return self._ordered(theirs(loader), stage, epochs.processed)

        strategy.process_dataloader = process
        before(trainer.fit_loop, "setup_data", lambda: self._forget(_TRAIN, trainer.fit_loop))
        val_loop = trainer.fit_loop.epoch_loop.val_loop
        before(val_loop, "setup_data", lambda: self._forget(_VALIDATION, val_loop))
        before(trainer.fit_loop.epoch_loop, "on_run_start", lambda: self._begin_pass(trainer))

    def _forget(self, stage: str, loop: Any) -> None:
        """Loaders may be asked for anew every few epochs; they are counted from the first again."""
        is_anew = loop._should_reload_train_dl if stage == _TRAIN else loop._should_reload_val_dl
        if is_anew:
            self._known[stage] = []

    def _ordered(self, loader: Any, stage: str, epoch: int) -> Any:
        seed = order_seed(self._seed, len(self._known[stage]), stage == _TRAIN)
        found = in_order(loader, seed, self.remarks if stage == _TRAIN else None, self._by_index)
        order = order_of(found)
        self._known[stage].append(order)
        skip = self._skip if stage == _TRAIN else 0
        if order is None:
            return _without_first(found, skip) if skip and not _keeps_its_place(found) else found
        order.epoch = epoch
        if skip:
            order.cycle, order.skip = _place(skip, len(order))
        return found

    def state(self) -> dict[str, list[list[int]]]:
        """Each loader's epoch, and how many passes through it have begun in that."""
        return {
            stage: [[0, 0] if one is None else [one.epoch, one.cycle] for one in known]
            for stage, known in self._known.items()
        }

    def restore(self, state: dict[str, list[list[int]]]) -> None:
        """Continues to count passes; those of training loaders follow from the batches that were skipped."""
        self._skip = 0
        for one, (epoch, cycle) in zip(self._known[_VALIDATION], state[_VALIDATION], strict=False):
            if one is not None:
                one.epoch, one.cycle = epoch, cycle

    def _begin_pass(self, trainer: pl.Trainer) -> None:
        """Before Lightning makes the iterator of an epoch: whatever was begun for it before does not count.

        It makes none for the first epoch of a fit, whose iterator is as old as its loaders.
        """
        fit_loop: Any = trainer.fit_loop
        if trainer.current_epoch > 0 and not fit_loop.is_resuming and not fit_loop.epoch_loop.restarting:
            self._skip = 0
            for one in self._known[_TRAIN]:
                if one is not None:
                    one.cycle, one.skip = 0, 0


_TRAIN, _VALIDATION = "train", "validation"


def _place(batches: int, length: int) -> tuple[int, int]:
    """Where so many batches of a loader of this length lead: whole passes, and batches of the next.

    At the end of a pass it is not in the next one yet: that begins, and draws from the global generator, when its
    first batch is asked for.
    """
    passes, rest = divmod(batches, max(1, length))
    return (passes - 1, length) if rest == 0 and passes else (passes, rest)


def order_seed(seed: int, number: int = 0, is_training: bool = True) -> int:
    """The seed of one loader's order.

    Args:
        seed: The run's.
        number: The loader's place among those of its stage.
        is_training: Whether it gives training batches.
    """
    return derived(seed, number, 0 if is_training else 1)


def _without_first(loader: Any, batches: int) -> Any:
    """What gives the same batches but the first ones, once: they are read and dropped."""
    left = [batches]

    def without(batches_of: Iterator[Any]) -> Iterator[Any]:
        skip, left[0] = left[0], 0
        return itertools.islice(batches_of, skip, None)

    if isinstance(loader, DataLoader):
        kind = type(loader)
        shorter = copy.copy(loader)
        shorter.__class__ = type(kind.__name__, (kind,), {"__iter__": lambda self: without(kind.__iter__(self))})
        return shorter

    class Shorter:
        def __getattr__(self, name: str) -> Any:
            return getattr(loader, name)

        def __iter__(self) -> Iterator[Any]:
            return without(iter(loader))

    if hasattr(loader, "__len__"):
        Shorter.__len__ = lambda _self: len(loader)  # type: ignore[attr-defined]
    return Shorter()


def order_of(loader: Any) -> Order | None:
    """The order of a loader that has been put in one."""
    for name in ("batch_sampler", "sampler"):
        found = getattr(loader, name, None)
        if isinstance(found, Order):
            return found
    return None


def in_order(loader: Any, seed: int, remarks: list[str] | None = None, by_index: bool = False) -> Any:
    """A DataLoader like `loader`, whose order and whose dataset's draws follow from `seed`.

    The user's own object is left as it is. What is no DataLoader, and streams, are given back unchanged.

    Args:
        loader: What gives batches.
        seed: Decides the order.
        remarks: Gets a line for everything that cannot be made exact.
        by_index: Whether tensors in memory are read a batch at a time: the same values.
    """
    remarks = [] if remarks is None else remarks
    if not isinstance(loader, DataLoader):
        remarks.append(f"`{type(loader).__name__}` gives its batches in an order of its own")
        return loader
    if _keeps_its_place(loader):
        remarks.append(f"`{type(loader).__name__}` keeps its place in the data itself")
        return loader
    if isinstance(loader.dataset, IterableDataset):
        name = type(loader.dataset).__name__
        remarks.append(f"`{name}` is a stream: its order is its own, and a resumed epoch reads it from its beginning")
        return loader
    _name_hidden(loader, remarks)
    is_numbering = loader.num_workers > 0 or draws(loader.dataset)
    ordered = copy.copy(loader)
    inside = ordered.__dict__
    name = "batch_sampler" if ordered.batch_sampler is not None else "sampler"
    # DataLoader refuses assignments; a copy of it may have another order all the same
    inside[name] = Order(copy.copy(_with_own_sampler(inside[name])), seed, is_numbering)
    if by_index and loader.batch_sampler is not None and (found := indexed(loader.dataset, loader.collate_fn)):
        inside["dataset"], inside["collate_fn"] = found, collated
    if is_numbering:
        inside["dataset"] = SeededDataset(inside["dataset"])
    if loader.num_workers > 0:
        inside["worker_init_fn"] = WorkerStart(loader.worker_init_fn)
    return ordered


def _keeps_its_place(loader: Any) -> bool:
    """True for loaders whose state Lightning saves and loads itself, such as torchdata's `StatefulDataLoader`."""
    return callable(getattr(loader, "state_dict", None)) and callable(getattr(loader, "load_state_dict", None))


def _with_own_sampler(inner: Any) -> Any:
    """A copy whose sampler is a copy too: it gets generators of ours, the user's does not."""
    sampler = getattr(inner, "sampler", None)
    if isinstance(inner, BatchSampler) and type(sampler) in _DRAW_FROM_A_GENERATOR:
        inner = copy.copy(inner)
        inner.sampler = copy.copy(sampler)
    return inner


def _name_hidden(loader: DataLoader[Any], remarks: list[str]) -> None:
    for owner in (loader.dataset, loader.sampler, loader.batch_sampler):
        for name, value in getattr(owner, "__dict__", {}).items():
            if isinstance(value, _GENERATORS) and type(owner) not in _DRAW_FROM_A_GENERATOR:
                remarks.append(f"`{type(owner).__name__}` draws from a generator of its own (`{name}`)")
    if not hasattr(loader.sampler, "__len__"):
        remarks.append(f"`{type(loader.sampler).__name__}` has no length: its order is its own")
