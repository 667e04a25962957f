"""Iterates samplers as a DataLoader does, one item at a time, with seeded random numbers.

The user's own object is iterated: what is assigned to it while training (`sampler.weights = ...`) holds from the next
item on, and of an infinite one no more items are drawn than are used.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
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

from jupyter_train.training.data.sampler_inspection import describe_hidden_state
from jupyter_train.training.state.rng_state import RandomStream

#: Samplers of torch that draw once, at their first item, from their `generator`.
WITH_GENERATOR = (RandomSampler, SubsetRandomSampler, WeightedRandomSampler)
#: Iterables whose order no generator decides.
_WITHOUT_GENERATOR = (SequentialSampler, DistributedSampler, list, tuple, range, torch.Tensor, np.ndarray)
#: Samplers whose code is known.
TORCH_SAMPLERS = (*WITH_GENERATOR, *_WITHOUT_GENERATOR, BatchSampler)
_END = object()


def iterate_seeded(sampler: Iterable[Any], seed: int) -> Iterator[Any]:
    """One pass through a sampler or batch sampler; each item is drawn when it is requested.

    Args:
        sampler: Any iterable of indices, or of lists of them.
        seed: Seeds torch's, numpy's and Python's generators for the sampler alone; other draws neither change nor are
            changed by it.
    """
    if not draws_from_global_generators(sampler):
        yield from _iterate_torch_sampler(sampler, seed)
        return
    stream, generator = RandomStream(seed), torch.Generator().manual_seed(seed)
    iterator: Iterator[Any] | None = None
    while True:
        with stream, _using_generator(generator, index_sampler(sampler)):
            iterator = iter(sampler) if iterator is None else iterator
            item = next(iterator, _END)
        if item is _END:
            return
        yield item


def _iterate_torch_sampler(sampler: Iterable[Any], seed: int) -> Iterator[Any]:
    with _using_generator(torch.Generator().manual_seed(seed), index_sampler(sampler)):
        iterator = iter(sampler)
        item = next(iterator, _END)
    if item is not _END:
        yield item
        yield from iterator


def index_sampler(sampler: object) -> Any:
    """The `sampler` inside a batch sampler; the sampler itself where there is none."""
    return getattr(sampler, "sampler", sampler)


def draws_from_global_generators(sampler: object) -> bool:
    """True for samplers that are not torch's own: they may draw from the global generators."""
    inner = index_sampler(sampler)
    if inner is not sampler and type(sampler) is not BatchSampler:
        return True
    return type(inner) not in (*WITH_GENERATOR, *_WITHOUT_GENERATOR)


@contextlib.contextmanager
def _using_generator(generator: torch.Generator, sampler: Any) -> Iterator[None]:
    """Lets one of torch's samplers draw from this generator instead of its own."""
    if type(sampler) not in WITH_GENERATOR:
        yield
        return
    own_generator = sampler.generator
    sampler.generator = generator
    try:
        yield
    finally:
        sampler.generator = own_generator


def find_hidden_state(sampler: object) -> list[str]:
    """Why a resumed run may not repeat a sampler's order, as far as its code tells: a line each."""
    owners = {id(owner): owner for owner in (sampler, index_sampler(sampler)) if type(owner) not in TORCH_SAMPLERS}
    return [line for owner in owners.values() for line in describe_hidden_state(owner)]
