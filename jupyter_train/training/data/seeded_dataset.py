"""Seeds the random numbers that a dataset draws for a sample by the sample's number, in any worker process."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from lightning_fabric.utilities.seed import pl_worker_init_function
from torch.utils.data import Dataset, TensorDataset, get_worker_info

from jupyter_train.training.state.rng_state import PreservedRandomState, capture, derive_seed, seed_sample

_N_PROBED_SAMPLES = 3


class NumberedIndex(NamedTuple):
    """An index with the number of its sample in the epoch."""

    index: Any
    number: int
    seed: int


class DatasetProxy(Dataset[Any]):
    """Wraps a dataset, with its attributes and its class."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return type(self.inner)

    def __len__(self) -> int:
        return len(self.inner)


class SeededDataset(DatasetProxy):
    """A dataset whose random numbers for a sample follow from the sample's number."""

    def __setattr__(self, name: str, value: object) -> None:
        if name == "inner":
            object.__setattr__(self, name, value)
        else:  # a `worker_init_fn` that opens a file on `get_worker_info().dataset` means the one inside
            setattr(self.inner, name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        return SeededDataset, (self.inner,)

    def __getitem__(self, numbered: object) -> Any:
        """One sample."""
        return self.__getitems__([numbered])[0] if isinstance(numbered, NumberedIndex) else self.inner[numbered]

    def __getitems__(self, numbered: list[Any]) -> Any:
        """The samples of a batch, by the dataset's own `__getitems__` where it has one."""
        read_batch = getattr(self.inner, "__getitems__", None)
        # a worker process draws nothing else
        with PreservedRandomState() if get_worker_info() is None else contextlib.nullcontext():
            if read_batch is not None:
                seed_sample(derive_seed(numbered[0].seed, numbered[0].number))
                return read_batch([item.index for item in numbered])
            return [self._read(item) for item in numbered]

    def _read(self, numbered: NumberedIndex) -> Any:
        seed_sample(derive_seed(numbered.seed, numbered.number))
        return self.inner[numbered.index]


class WorkerStart:
    """`worker_init_fn` of a DataLoader: the user's own, or Lightning's."""

    def __init__(self, worker_init_fn: Callable[[int], object] | None) -> None:
        self._worker_init_fn = worker_init_fn

    def __call__(self, worker: int) -> None:
        """Initialises a worker that dies with its parent: workers of a killed process wait for each other for ever."""
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if self._worker_init_fn is not None:
            self._worker_init_fn(worker)
        else:
            pl_worker_init_function(worker)


_PR_SET_PDEATHSIG = 1  # PR_SET_PDEATHSIG, prctl(2)


def draws_random_numbers(dataset: Dataset[Any]) -> bool:
    """True when reading some samples changes the global random state, which is restored."""
    if isinstance(dataset, TensorDataset) or not hasattr(dataset, "__len__") or len(dataset) == 0:
        return False
    with PreservedRandomState():
        before = _comparable(capture())
        try:
            for index in sorted({int(index) for index in np.linspace(0, len(dataset) - 1, _N_PROBED_SAMPLES)}):
                dataset[index]
        except Exception:  # noqa: BLE001  training shows what a dataset raises
            return True
        return _comparable(capture()) != before


def _comparable(state: dict[str, Any]) -> tuple[Any, ...]:
    """A random state as a tuple that can be compared."""
    parts = [state["python"][1], state["numpy"][1], state["torch"]]
    return (*(part.numpy().tobytes() for part in parts), state["numpy"][2])
