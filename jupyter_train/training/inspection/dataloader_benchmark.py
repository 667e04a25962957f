"""`--tune-loader`: which DataLoader arguments are fastest here, by measurement; nothing is changed."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset

from jupyter_train.config import machine
from jupyter_train.exceptions import DataError
from jupyter_train.training.data.sample_order import in_order, order_seed

_MIN_GAIN = 1.2
_MAX_S = 1.5
#: Passes of at most so many batches are measured whole, with their beginning.
_SHORT = 8


@dataclass(frozen=True)
class Setting:
    """Arguments of a DataLoader."""

    num_workers: int
    prefetch_factor: int | None = None
    pin_memory: bool = False

    @property
    def words(self) -> str:
        """How it is written."""
        parts = [f"num_workers={self.num_workers}"]
        parts += [f"prefetch_factor={self.prefetch_factor}"] if self.prefetch_factor not in (None, 2) else []
        parts += ["persistent_workers=True"] if self.num_workers else []
        parts += ["pin_memory=True"] if self.pin_memory else []
        return ", ".join(parts)


class LoaderTable:
    """Batches per second of each setting, and what to write; shown as text.

    Attributes:
        rates: Batches per second by setting.
        given: The setting of the loader as it is.
    """

    def __init__(self, rates: dict[Setting, float], given: Setting) -> None:
        self.rates = rates
        self.given = given

    @property
    def best(self) -> Setting:
        """The fastest; the loader's own unless another is faster by a fifth."""
        fastest = max(self.rates, key=lambda one: self.rates[one])
        return fastest if self.rates[fastest] >= _MIN_GAIN * self.rates[self.given] else self.given

    def __repr__(self) -> str:
        width = max(len(one.words) for one in self.rates)
        lines = [
            f"{one.words.ljust(width)}  {rate:9,.0f} batches/s{'  (as it is)' if one == self.given else ''}"
            for one, rate in self.rates.items()
        ]
        if self.best == self.given:
            return "\n".join([*lines, "the loader is best left as it is"])
        gain = self.rates[self.best] / self.rates[self.given]
        return "\n".join([*lines, f"{gain:.1f} times as fast: `DataLoader(..., {self.best.words})`"])


def tune_loader(loader: Any, seed: int) -> LoaderTable:
    """Measures a training loader with other numbers of workers, prefetched batches and pinned memory.

    Args:
        loader: What `fit` is given; a DataLoader.
        seed: The run's.

    Raises:
        DataError: It is no DataLoader over a map-style dataset.
    """
    if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset):
        raise DataError(f"`--tune-loader` measures a DataLoader; `{type(loader).__name__}` is none it can vary")
    pins = torch.cuda.is_available()
    given = Setting(loader.num_workers, loader.prefetch_factor, bool(loader.pin_memory))
    settings = [given, *(Setting(n, 2 if n else None, pins) for n in (0, 1, 2, 4, 8) if n <= machine.cores())]
    settings = list(dict.fromkeys(settings))
    rates = {one: _rate(loader, one, seed) for one in settings}
    table = LoaderTable(rates, given)
    if table.best.num_workers:
        further = Setting(table.best.num_workers, 4, table.best.pin_memory)
        rates[further] = _rate(loader, further, seed)
    return table


def _rate(loader: DataLoader[Any], setting: Setting, seed: int) -> float:
    """Batches per second over some passes of about 1.5 s together, the first two batches of long ones left out."""
    varied = copy.copy(loader)
    varied.__dict__.update(
        num_workers=setting.num_workers,
        prefetch_factor=setting.prefetch_factor,
        pin_memory=setting.pin_memory,
        persistent_workers=False,
        _iterator=None,
    )
    warming = 2 if len(varied) > _SHORT else 0
    count, spent_s = 0, 0.0
    deadline = time.perf_counter() + _MAX_S
    while time.perf_counter() < deadline:
        began = time.perf_counter()
        for number, _ in enumerate(in_order(varied, order_seed(seed), by_index=True)):
            if number < warming:
                began = time.perf_counter()
                continue
            count += 1
            if time.perf_counter() > deadline and number >= _SHORT:
                break
        spent_s += time.perf_counter() - began
        if not count:  # it gives no batch at all
            break
    return count / spent_s if count else 0.0
