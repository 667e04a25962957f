"""Seeds the order of samples, and the random numbers that datasets draw, by the run's seed.

A shuffled DataLoader draws its order from the global generator, so a resumed epoch would see other samples than the
interrupted one. Here the order follows from (seed, epoch), and what a dataset draws for its n-th sample of an epoch
from (seed, epoch, n), whichever worker process reads it.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

from torch.utils.data import DataLoader, IterableDataset

from jupyter_train.training.data.in_memory import collate_batch, to_indexed_dataset
from jupyter_train.training.data.sampler_state import SamplerState
from jupyter_train.training.data.samplers import WITH_GENERATOR, find_hidden_state, iterate_seeded
from jupyter_train.training.data.seeded_dataset import NumberedIndex, SeededDataset, WorkerStart, draws_random_numbers
from jupyter_train.training.state.generators import find_generators
from jupyter_train.training.state.rng_state import derive_seed


class PassStart(NamedTuple):
    """The position at which a pass through a DataLoader begins.

    Attributes:
        epoch: From 0.
        cycle: Number of earlier passes through the loader in that epoch.
        skip: Batches of the pass to skip, because an earlier attempt has trained on them.
    """

    epoch: int = 0
    cycle: int = 0
    skip: int = 0


class SampleOrder:
    """Replaces a DataLoader's batch sampler (or sampler, where it makes no batches) by a seeded one.

    Other attributes are read from and assigned to the user's own sampler.

    Args:
        inner: The user's own sampler.
        seed: See `order_seed`.
        is_numbering: Whether indices are yielded as `NumberedIndex`.
        is_batching: Whether its items are batches of indices.
        is_reached: Whether Lightning itself calls `set_epoch` of the inner sampler.
        begins_at_once: Whether a pass begins when the loader is iterated, before the first batch is requested.

    Attributes:
        next: Where the next pass begins.
        begun: Where the passes since the last `begin_at` began.
        state: Of the inner sampler.
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

    def __setattr__(self, name: str, value: object) -> None:
        if name in _OWN_ATTRIBUTES:
            object.__setattr__(self, name, value)
        else:  # as in `trainer.train_dataloader.batch_sampler.batch_size = 64`
            setattr(self._inner, name, value)

    @property
    def sampler(self) -> SampleOrder:
        """Lightning calls `set_epoch` on `batch_sampler.sampler`, which is this object."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch of the next pass, and that of the user's samplers; passes are counted from 0 again."""
        if epoch != self.next.epoch:
            self.next = PassStart(epoch)
        inner_samplers = [] if self._is_reached else [getattr(self._inner, "sampler", None)]
        for sampler in {id(sampler): sampler for sampler in (self._inner, *inner_samplers)}.values():
            if callable(getattr(sampler, "set_epoch", None)):
                sampler.set_epoch(epoch)

    def begin_at(self, start: PassStart, passes: int = 0) -> None:
        """Sets where the next pass begins.

        Args:
            start: Where it begins.
            passes: Number of passes begun in that epoch, that one included; later ones are counted from it.
        """
        self.next = start
        self.begun = []
        self._passes = passes

    def __len__(self) -> int:
        return len(self._inner)

    def __iter__(self) -> Iterator[Any]:
        """One pass, without the batches to skip; passes of one epoch differ from each other.

        A pass counts from its first batch on: a loader with workers makes two iterators and uses one.
        """
        start = self.next
        self.begun.append(start)
        self.state.begin()
        self.next = PassStart(start.epoch, max(start.cycle + 1, self._passes))
        self._passes = 0
        seed = derive_seed(self._seed, start.epoch, start.cycle)
        items = iterate_seeded(self._inner, seed)
        if self._is_numbering:
            items = self._numbered(items, seed, start.skip)
        yield from items if self._is_numbering else itertools.islice(items, start.skip, None)

    def _numbered(self, items: Iterator[Any], seed: int, skip: int) -> Iterator[Any]:
        number = 0
        for position, item in enumerate(items):
            indices = list(item) if self._is_batching else [item]
            if position >= skip:
                numbered = [NumberedIndex(index, number + offset, seed) for offset, index in enumerate(indices)]
                yield numbered if self._is_batching else numbered[0]
            number += len(indices)


_OWN_ATTRIBUTES = frozenset(
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
        number: The loader's index among those of its stage.
        is_training: Whether it yields training batches.
    """
    return derive_seed(seed, number, 0 if is_training else 1)


def sample_order_of(loader: object) -> SampleOrder | None:
    """The `SampleOrder` of a loader that `in_order` returned; None for another one."""
    for name in ("batch_sampler", "sampler"):
        sampler = getattr(loader, name, None)
        if isinstance(sampler, SampleOrder):
            return sampler
    return None


def in_order(loader: Any, seed: int, remarks: list[str] | None = None, by_index: bool = False) -> Any:
    """A copy of `loader` whose order, and whose dataset's random numbers, follow from `seed`.

    The user's loader is left as it is; its own sampler is iterated. What is no DataLoader, and streams, are returned
    unchanged.

    Args:
        loader: Yields batches.
        seed: See `order_seed`.
        remarks: Gets a line for everything that a resume cannot repeat exactly.
        by_index: Whether tensors in memory are read a batch at a time: the same values.
    """
    reason = _unordered_reason(loader)
    if remarks is not None:
        remarks += [reason] if reason else _find_own_generators(loader)
    if reason:
        return loader
    is_numbering = loader.num_workers > 0 or draws_random_numbers(loader.dataset)
    ordered = copy.copy(loader)
    attributes = ordered.__dict__
    name = "batch_sampler" if ordered.batch_sampler is not None else "sampler"
    # `DataLoader.__setattr__` refuses `batch_sampler` and `sampler` once it is initialised
    attributes[name] = SampleOrder(
        attributes[name],
        seed,
        is_numbering,
        is_batching=name == "batch_sampler",
        is_reached=getattr(attributes[name], "sampler", None) is loader.sampler,
        begins_at_once=loader.num_workers > 0,
    )
    if (
        by_index
        and loader.batch_sampler is not None
        and (in_memory := to_indexed_dataset(loader.dataset, loader.collate_fn))
    ):
        attributes["dataset"], attributes["collate_fn"] = in_memory, collate_batch
    if is_numbering:
        attributes["dataset"] = SeededDataset(attributes["dataset"])
    if loader.num_workers > 0:
        attributes["worker_init_fn"] = WorkerStart(loader.worker_init_fn)
    return ordered


def _unordered_reason(loader: object) -> str:
    """Why a loader keeps its own order; empty where it gets a seeded one."""
    name = type(loader).__name__
    if not isinstance(loader, DataLoader):
        return f"`{name}` gives its batches in an order of its own"
    if is_stateful_loader(loader):
        return f"`{name}` keeps its place in the data itself"
    if isinstance(loader.dataset, IterableDataset):
        name = type(loader.dataset).__name__
        return f"`{name}` is a stream: its order is its own, and a resumed epoch reads it from its beginning"
    return ""


def is_stateful_loader(loader: object) -> bool:
    """True for loaders whose state Lightning saves and loads itself, such as torchdata's `StatefulDataLoader`."""
    return callable(getattr(loader, "state_dict", None)) and callable(getattr(loader, "load_state_dict", None))


def _find_own_generators(loader: DataLoader[Any]) -> list[str]:
    """Generators and hidden state of a loader that the seed does not reach, a line each."""
    owners: dict[int, Any] = {id(owner): owner for owner in (loader.dataset, loader.sampler, loader.batch_sampler)}
    lines = []
    for owner in owners.values():
        names = [] if type(owner) in WITH_GENERATOR else find_generators(owner, others=list(owners.values()))
        # the generators of samplers are kept in checkpoints, those of datasets are not
        lines += [f"`{type(owner).__name__}` draws from a generator of its own (`{name}`)" for name in names]
    return lines + find_hidden_state(loader.batch_sampler if loader.batch_sampler is not None else loader.sampler)
