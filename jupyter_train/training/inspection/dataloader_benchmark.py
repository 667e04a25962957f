"""`--tune-loader`: measures which DataLoader arguments are fastest; changes nothing."""

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
_MEASURE_S = 1.5
#: Passes of at most so many batches are measured whole, without warm-up.
_SHORT_PASS = 8


@dataclass(frozen=True)
class LoaderSettings:
    """Arguments of a DataLoader."""

    num_workers: int
    prefetch_factor: int | None = None
    pin_memory: bool = False

    @property
    def arguments(self) -> str:
        """The arguments as code."""
        parts = [f"num_workers={self.num_workers}"]
        parts += [f"prefetch_factor={self.prefetch_factor}"] if self.prefetch_factor not in (None, 2) else []
        parts += ["persistent_workers=True"] if self.num_workers else []
        parts += ["pin_memory=True"] if self.pin_memory else []
        return ", ".join(parts)


class LoaderBenchmark:
    """Batches per second of each setting, and the arguments to write; shown as text.

    Attributes:
        rates: Batches per second by setting.
        current: The settings of the loader as it is.
    """

    def __init__(self, rates: dict[LoaderSettings, float], current: LoaderSettings) -> None:
        self.rates = rates
        self.current = current

    @property
    def best(self) -> LoaderSettings:
        """The fastest settings; the current ones unless others are faster by a fifth."""
        fastest = max(self.rates, key=lambda setting: self.rates[setting])
        return fastest if self.rates[fastest] >= _MIN_GAIN * self.rates[self.current] else self.current

    def __repr__(self) -> str:
        width = max(len(setting.arguments) for setting in self.rates)
        lines = [
            f"{each.arguments.ljust(width)}  {rate:9,.0f} batches/s{'  (as it is)' if each == self.current else ''}"
            for each, rate in self.rates.items()
        ]
        if self.best == self.current:
            return "\n".join([*lines, "the loader is best left as it is"])
        gain = self.rates[self.best] / self.rates[self.current]
        return "\n".join([*lines, f"{gain:.1f} times as fast: `DataLoader(..., {self.best.arguments})`"])


def tune_loader(loader: object, seed: int) -> LoaderBenchmark:
    """Measures a training loader with other numbers of workers, prefetched batches and pinned memory.

    Args:
        loader: The training DataLoader.
        seed: The run's.

    Raises:
        DataError: It is no DataLoader over a map-style dataset.
    """
    if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset):
        raise DataError(f"`--tune-loader` measures a DataLoader; `{type(loader).__name__}` is none it can vary")
    pins = torch.cuda.is_available()
    current = LoaderSettings(loader.num_workers, loader.prefetch_factor, bool(loader.pin_memory))
    settings = [current, *(LoaderSettings(n, 2 if n else None, pins) for n in (0, 1, 2, 4, 8) if n <= machine.cores())]
    settings = list(dict.fromkeys(settings))
    rates = {setting: _measure_rate(loader, setting, seed) for setting in settings}
    benchmark = LoaderBenchmark(rates, current)
    if benchmark.best.num_workers:
        prefetching = LoaderSettings(benchmark.best.num_workers, 4, benchmark.best.pin_memory)
        rates[prefetching] = _measure_rate(loader, prefetching, seed)
    return benchmark


def _measure_rate(loader: DataLoader[Any], setting: LoaderSettings, seed: int) -> float:
    """Batches per second over passes of about 1.5 s in all, without the first two batches of long passes."""
    varied = copy.copy(loader)
    varied.__dict__.update(
        num_workers=setting.num_workers,
        prefetch_factor=setting.prefetch_factor,
        pin_memory=setting.pin_memory,
        persistent_workers=False,
        _iterator=None,  # torch keeps that of persistent workers here
    )
    warmup = 2 if len(varied) > _SHORT_PASS else 0
    count, spent_s = 0, 0.0
    deadline = time.perf_counter() + _MEASURE_S
    while time.perf_counter() < deadline:
        started = time.perf_counter()
        for number, _ in enumerate(in_order(varied, order_seed(seed), by_index=True)):
            if number < warmup:
                started = time.perf_counter()
                continue
            count += 1
            if time.perf_counter() > deadline and number >= _SHORT_PASS:
                break
        spent_s += time.perf_counter() - started
        if not count:  # it yields no batch at all
            break
    return count / spent_s if count else 0.0
