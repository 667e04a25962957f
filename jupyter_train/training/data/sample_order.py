"""In which order samples come, and what datasets draw while they are read: functions of the run's seed.

A shuffled DataLoader draws its order from whatever state the global generator is in, so a resumed epoch would see
other samples than the one that was broken off. Here the order follows from (seed, epoch), and what a dataset draws for
its n-th sample of an epoch from (seed, epoch, n), whichever worker process reads it.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

from torch.utils.data import DataLoader, IterableDataset

from jupyter_train.training.data.in_memory import collated, indexed
from jupyter_train.training.data.sampler_state import SamplerState
from jupyter_train.training.data.samplers import WITH_GENERATOR, one_pass, remarks_of
from jupyter_train.training.data.seeded_dataset import Numbered, SeededDataset, WorkerStart, draws
from jupyter_train.training.state.generators import own_generators
from jupyter_train.training.state.rng_state import derived


class PassStart(NamedTuple):
    """Where a pass through a loader begins.

    Attributes:
        epoch: From 0.
        cycle: How many passes through the loader there have been in that epoch before.
        skip: Batches of the pass that are left out, because an earlier attempt has had them.
    """

    epoch: int = 0
    cycle: int = 0
    skip: int = 0


class SampleOrder:
    """The batches (or samples) of one loader, in an order that follows from the run's seed.

    Stands in a loader's place for its batch sampler, or its sampler where it makes no batches; what is read from it
    or assigned to it besides is the sampler's own.

    Args:
        inner: The sampler it stands for, the user's own object.
        seed: The run's, mixed with the loader's place among all loaders.
        is_numbering: Whether the dataset is told the number of each sample.
        is_batching: Whether its items are batches of indices.
        is_reached: Whether Lightning itself tells the sampler inside which epoch it is.
        begins_at_once: Whether a pass begins when the loader is iterated, before anybody asks for a batch.

    Attributes:
        next: Where the next pass begins.
        begun: Where the passes so far began, since somebody last made it begin anew.
        state: Of the sampler inside.
    """

    def __init__(
        self,
        inner: Any,
        seed: int,
        is_numbering: bool,
        is_batching: bool = True,
        is_reached: bool = False,
        begins_at_once: bool = False,
    ) -> None:
        self.next = PassStart()
        self.begun: list[PassStart] = []
        self.state = SamplerState(inner)
        self.begins_at_once = begins_at_once
        self._passes = 0
        self._inner = inner
        self._seed = seed
        self._is_numbering = is_numbering
        self._is_batching = is_batching
        self._is_reached = is_reached

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_inner":
            raise AttributeError(name)
        return getattr(self._inner, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _OWN:
            object.__setattr__(self, name, value)
        else:  # as in `trainer.train_dataloader.batch_sampler.batch_size = 64`
            setattr(self._inner, name, value)

    @property
    def sampler(self) -> Any:
        """Lightning calls `set_epoch` on what a batch sampler takes its samples from: on this, and so on that."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Which epoch comes next; the first pass through the loader in it is the first one again."""
        if epoch != self.next.epoch:
            self.next = PassStart(epoch)
        inside = [] if self._is_reached else [getattr(self._inner, "sampler", None)]
        for one in {id(one): one for one in (self._inner, *inside)}.values():
            if callable(getattr(one, "set_epoch", None)):
                one.set_epoch(epoch)

    def begin_at(self, place: PassStart, passes: int = 0) -> None:
        """Where the next pass begins, whatever passes there were before.

        Args:
            place: Where it begins.
            passes: How many have begun in that epoch already, that one among them; those that follow are counted on.
        """
        self.next = place
        self.begun = []
        self._passes = passes

    def __len__(self) -> int:
        return len(self._inner)

    def __iter__(self) -> Iterator[Any]:
        """One pass, without the batches to be skipped; more passes in one epoch differ from each other.

        It counts from its first batch on: a loader with workers makes two iterators and uses one.
        """
        place = self.next
        self.begun.append(place)
        self.state.begin()
        self.next = PassStart(place.epoch, max(place.cycle + 1, self._passes))
        self._passes = 0
        seed = derived(self._seed, place.epoch, place.cycle)
        items = one_pass(self._inner, seed)
        if self._is_numbering:
            items = self._numbered(items, seed, place.skip)
        yield from items if self._is_numbering else itertools.islice(items, place.skip, None)

    def _numbered(self, items: Iterator[Any], seed: int, skip: int) -> Iterator[Any]:
        number = 0
        for position, item in enumerate(items):
            indices = list(item) if self._is_batching else [item]
            if position >= skip:
                numbered = [Numbered(index, number + offset, seed) for offset, index in enumerate(indices)]
                yield numbered if self._is_batching else numbered[0]
            number += len(indices)


_OWN = frozenset(
    {
        "next",
        "begun",
        "state",
        "begins_at_once",
        "_passes",
        "_inner",
        "_seed",
        "_is_numbering",
        "_is_batching",
        "_is_reached",
    }
)


def order_seed(seed: int, number: int = 0, is_training: bool = True) -> int:
    """The seed of one loader's order.

    Args:
        seed: The run's.
        number: The loader's place among those of its stage.
        is_training: Whether it gives training batches.
    """
    return derived(seed, number, 0 if is_training else 1)


def order_of(loader: Any) -> SampleOrder | None:
    """The order of a loader that has been put in one."""
    for name in ("batch_sampler", "sampler"):
        found = getattr(loader, name, None)
        if isinstance(found, SampleOrder):
            return found
    return None


def in_order(loader: Any, seed: int, remarks: list[str] | None = None, by_index: bool = False) -> Any:
    """A DataLoader like `loader`, whose order and whose dataset's draws follow from `seed`.

    The user's own loader is left as it is; its own sampler is the one that is asked. What is no DataLoader, and
    streams, are given back unchanged.

    Args:
        loader: What gives batches.
        seed: Decides the order.
        remarks: Gets a line for everything that cannot be made exact.
        by_index: Whether tensors in memory are read a batch at a time: the same values.
    """
    reason = _own_order(loader)
    if remarks is not None:
        remarks += [reason] if reason else _hidden(loader)
    if reason:
        return loader
    is_numbering = loader.num_workers > 0 or draws(loader.dataset)
    ordered = copy.copy(loader)
    inside = ordered.__dict__
    name = "batch_sampler" if ordered.batch_sampler is not None else "sampler"
    # DataLoader refuses assignments; a copy of it may have another order all the same
    inside[name] = SampleOrder(
        inside[name],
        seed,
        is_numbering,
        is_batching=name == "batch_sampler",
        is_reached=getattr(inside[name], "sampler", None) is loader.sampler,
        begins_at_once=loader.num_workers > 0,
    )
    if by_index and loader.batch_sampler is not None and (found := indexed(loader.dataset, loader.collate_fn)):
        inside["dataset"], inside["collate_fn"] = found, collated
    if is_numbering:
        inside["dataset"] = SeededDataset(inside["dataset"])
    if loader.num_workers > 0:
        inside["worker_init_fn"] = WorkerStart(loader.worker_init_fn)
    return ordered


def _own_order(loader: Any) -> str:
    """Why a loader's order is left to itself; empty where it is not."""
    name = type(loader).__name__
    if not isinstance(loader, DataLoader):
        return f"`{name}` gives its batches in an order of its own"
    if keeps_its_place(loader):
        return f"`{name}` keeps its place in the data itself"
    if isinstance(loader.dataset, IterableDataset):
        name = type(loader.dataset).__name__
        return f"`{name}` is a stream: its order is its own, and a resumed epoch reads it from its beginning"
    return ""


def keeps_its_place(loader: Any) -> bool:
    """True for loaders whose state Lightning saves and loads itself, such as torchdata's `StatefulDataLoader`."""
    return callable(getattr(loader, "state_dict", None)) and callable(getattr(loader, "load_state_dict", None))


def _hidden(loader: DataLoader[Any]) -> list[str]:
    """What of a loader does not follow from a seed, a line each."""
    owners: dict[int, Any] = {id(one): one for one in (loader.dataset, loader.sampler, loader.batch_sampler)}
    lines = []
    for owner in owners.values():
        names = [] if type(owner) in WITH_GENERATOR else own_generators(owner, besides=list(owners.values()))
        # the generators of samplers are kept in checkpoints, those of datasets are not
        lines += [f"`{type(owner).__name__}` draws from a generator of its own (`{name}`)" for name in names]
    return lines + remarks_of(loader.batch_sampler if loader.batch_sampler is not None else loader.sampler)
