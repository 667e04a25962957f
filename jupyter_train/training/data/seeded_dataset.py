"""What datasets draw while they are read follows from the run's seed and the sample's number, whoever reads them."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import sys
from typing import Any, NamedTuple

import numpy as np
from lightning_fabric.utilities.seed import pl_worker_init_function
from torch.utils.data import Dataset, TensorDataset, get_worker_info

from jupyter_train.training.state.rng_state import PreservedRandomState, capture, derived, seed_sample

_PROBED = 3


class Numbered(NamedTuple):
    """An index with the number of its sample in the epoch, on its way to a dataset."""

    index: Any
    number: int
    seed: int


class DatasetProxy(Dataset[Any]):
    """Stands in a dataset's place, and looks like it."""

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
    """A dataset whose draws for a sample follow from the sample's number."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "inner":
            object.__setattr__(self, name, value)
        else:  # a `worker_init_fn` that opens a file on `get_worker_info().dataset` means the one inside
            setattr(self.inner, name, value)

    def __reduce__(self) -> Any:
        return SeededDataset, (self.inner,)

    def __getitem__(self, numbered: Any) -> Any:
        """One sample."""
        return self.__getitems__([numbered])[0] if isinstance(numbered, Numbered) else self.inner[numbered]

    def __getitems__(self, numbered: list[Any]) -> Any:
        """The samples of a batch, by the dataset's own way to read several at once where it has one."""
        several = getattr(self.inner, "__getitems__", None)
        # in a worker process nobody else draws
        with PreservedRandomState() if get_worker_info() is None else contextlib.nullcontext():
            if several is not None:
                seed_sample(derived(numbered[0].seed, numbered[0].number))
                return several([one.index for one in numbered])
            return [self._read(one) for one in numbered]

    def _read(self, numbered: Numbered) -> Any:
        seed_sample(derived(numbered.seed, numbered.number))
        return self.inner[numbered.index]


class WorkerStart:
    """What a DataLoader's worker process does first."""

    def __init__(self, theirs: Any) -> None:
        self._theirs = theirs

    def __call__(self, worker: int) -> None:
        """Dies with its parent: workers of a killed process wait for each other for ever."""
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        if self._theirs is not None:
            self._theirs(worker)
        else:
            pl_worker_init_function(worker)


_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG, prctl(2)


def draws(dataset: Any) -> bool:
    """True when reading some samples changes the random state of this process, which is left as it was."""
    if isinstance(dataset, TensorDataset) or not hasattr(dataset, "__len__") or len(dataset) == 0:
        return False
    with PreservedRandomState():
        before = _fixed(capture())
        try:
            for index in sorted({int(one) for one in np.linspace(0, len(dataset) - 1, _PROBED)}):
                dataset[index]
        except Exception:  # noqa: BLE001  what a dataset does not like to be asked is found in training
            return True
        return _fixed(capture()) != before


def _fixed(state: dict[str, Any]) -> tuple[Any, ...]:
    """A random state in a form that can be compared."""
    parts = [state["python"][1], state["numpy"][1], state["torch"]]
    return (*(part.numpy().tobytes() for part in parts), state["numpy"][2])
