"""Asks samplers for indices as a DataLoader does, one item at a time, with draws that follow from a seed.

The user's own object is the one that is asked: what is assigned to it while training (`sampler.weights = ...`) holds
from the next item it decides, and an endless one is asked for no more than is used.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import (
    BatchSampler,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from torch.utils.data.distributed import DistributedSampler

from jupyter_train.training.data.sampler_inspection import memory_of
from jupyter_train.training.state.rng_state import RandomStream

#: Samplers of torch that draw once, when they are asked first, from the generator they have.
WITH_GENERATOR = (RandomSampler, SubsetRandomSampler, WeightedRandomSampler)
#: What gives its items in an order that no generator decides.
_ORDERED = (SequentialSampler, DistributedSampler, list, tuple, range, torch.Tensor, np.ndarray)
#: Whose code is known.
TORCHS = (*WITH_GENERATOR, *_ORDERED, BatchSampler)
_END = object()


def one_pass(sampler: Any, seed: int) -> Iterator[Any]:
    """One pass through a sampler or batch sampler; its items are decided when they are asked for.

    Args:
        sampler: Any iterable of indices, or of lists of them.
        seed: Decides what the sampler draws, from torch's, numpy's or Python's generators; nobody else's draws change
            it, and it changes nobody else's.
    """
    if not draws_by_itself(sampler):
        yield from _one_pass_of_torchs(sampler, seed)
        return
    stream, generator = RandomStream(seed), torch.Generator().manual_seed(seed)
    iterator: Iterator[Any] | None = None
    while True:
        with stream, _drawing_from(generator, index_sampler(sampler)):
            iterator = iter(sampler) if iterator is None else iterator
            item = next(iterator, _END)
        if item is _END:
            return
        yield item


def _one_pass_of_torchs(sampler: Any, seed: int) -> Iterator[Any]:
    with _drawing_from(torch.Generator().manual_seed(seed), index_sampler(sampler)):
        iterator = iter(sampler)
        item = next(iterator, _END)
    if item is not _END:
        yield item
        yield from iterator


def index_sampler(sampler: Any) -> Any:
    """What a batch sampler takes its indices from; the sampler itself where there is nothing of the kind."""
    return getattr(sampler, "sampler", sampler)


def draws_by_itself(sampler: Any) -> bool:
    """True for samplers that are not torch's own: whatever they draw, they draw from the global generators."""
    own = index_sampler(sampler)
    if own is not sampler and type(sampler) is not BatchSampler:
        return True
    return type(own) not in (*WITH_GENERATOR, *_ORDERED)


@contextlib.contextmanager
def _drawing_from(generator: torch.Generator, sampler: Any) -> Iterator[None]:
    """While one of torch's samplers draws from this generator instead of its own."""
    if type(sampler) not in WITH_GENERATOR:
        yield
        return
    its_own = sampler.generator
    sampler.generator = generator
    try:
        yield
    finally:
        sampler.generator = its_own


def remarks_of(sampler: Any) -> list[str]:
    """What of a sampler's order cannot be had again by a resumed run, as far as its code tells: a line each."""
    owners = {id(one): one for one in (sampler, index_sampler(sampler)) if type(one) not in TORCHS}
    return [line for owner in owners.values() for line in memory_of(owner)]
