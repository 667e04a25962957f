"""The random state of this process as tensors and plain numbers, so that a checkpoint can hold it."""

from __future__ import annotations

import ctypes
import random
from typing import Any

import numpy as np
import torch

_GENERATOR = torch.default_generator


def torch_state() -> torch.Tensor:
    """The state of torch's own generator; costs half a microsecond."""
    return _GENERATOR.get_state()


def capture() -> dict[str, Any]:
    """Python's, numpy's, torch's and every used GPU's random state."""
    version, numbers, gauss = random.getstate()
    numpy_state: Any = np.random.get_state()
    name, keys, position, has_gauss, cached = numpy_state
    state = {
        "python": [version, torch.tensor(numbers, dtype=torch.int64), gauss],
        "numpy": [str(name), torch.from_numpy(keys.astype(np.int64)), int(position), int(has_gauss), float(cached)],
        "torch": torch_state(),
    }
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def restore(state: dict[str, Any]) -> None:
    """Restores a captured state; GPUs that no longer exist are left out."""
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers.tolist()), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"])
    if "cuda" in state and torch.cuda.is_available():
        for index, cuda_state in enumerate(state["cuda"][: torch.cuda.device_count()]):
            torch.cuda.set_rng_state(cuda_state, index)


def is_equal_except_torch(left: dict[str, Any], right: dict[str, Any]) -> bool:
    """True where Python's and numpy's generators are equal in two captures."""
    same_python = torch.equal(left["python"][1], right["python"][1]) and left["python"][2] == right["python"][2]
    return bool(
        same_python and torch.equal(left["numpy"][1], right["numpy"][1]) and left["numpy"][2:] == right["numpy"][2:]
    )


def derive_seed(*numbers: int) -> int:
    """A seed derived from numbers, each from 0 to 2**63: the same in every process, unlike Python's `hash`.

    Source: the finalizer of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
    """
    mixed = 0x9E3779B97F4A7C15
    for number in numbers:
        mixed = (mixed ^ (number & _MASK)) * 0xBF58476D1CE4E5B9 & _MASK
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB & _MASK
        mixed ^= mixed >> 31
    return mixed & 0x7FFFFFFFFFFFFFFF


_MASK = (1 << 64) - 1


def seed_sample(seed: int) -> None:
    """Seeds the generators of Python, numpy and torch on the CPU; much cheaper than `seed_everything`."""
    random.seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)
    _GENERATOR.manual_seed(seed)


class PreservedRandomState:
    """Restores the random state of this process on leaving."""

    def __enter__(self) -> None:
        self._python, self._numpy, self._torch = random.getstate(), np.random.get_state(), torch_state()

    def __exit__(self, *_: object) -> None:
        random.setstate(self._python)
        np.random.set_state(self._numpy)
        _GENERATOR.set_state(self._torch)


class RandomStream:
    """A separate random state: while entered, Python's, numpy's and torch's draws come from it, and advance it.

    Entering and leaving takes some 40 microseconds, nearly all of them Python's generator; 200 while numpy is drawn
    from.

    Args:
        seed: Seed of the stream.
    """

    def __init__(self, seed: int) -> None:
        with PreservedRandomState():
            seed_sample(seed)
            self._own: tuple[Any, torch.Tensor] = (random.getstate(), torch_state())
            self._numpy = _NumpyStream()
        self._outer = self._own

    def __enter__(self) -> None:
        self._outer = random.getstate(), torch_state()
        random.setstate(self._own[0])
        _GENERATOR.set_state(self._own[1])
        self._numpy.enter()

    def __exit__(self, *_: object) -> None:
        self._own = random.getstate(), torch_state()
        random.setstate(self._outer[0])
        _GENERATOR.set_state(self._outer[1])
        self._numpy.leave()


class _NumpyStream:
    """numpy's part of a stream, which begins with the current state.

    numpy takes a tenth of a millisecond to return its complete state, which includes the second of a pair of normal
    numbers. Once nothing has been drawn for a while, only the words of the generator are saved, until something is.
    """

    _WHILE = 4

    def __init__(self) -> None:
        self._left_alone = 0
        self._own: Any = np.random.get_state(legacy=False)
        self._outer: Any = None
        self._entered: bytes | None = None

    def enter(self) -> None:
        """Makes numpy draw from this stream."""
        self._outer = self._now()
        self._set(self._own)
        self._entered = _mt19937_words()

    def leave(self) -> None:
        """Makes numpy draw from the outer state again."""
        state_on_leaving = _mt19937_words()
        has_drawn = state_on_leaving is None or state_on_leaving != self._entered
        self._left_alone = 0 if has_drawn else self._left_alone + 1
        self._own = self._now()
        self._set(self._outer)

    def _now(self) -> object:
        return np.random.get_state(legacy=False) if self._left_alone < self._WHILE else _mt19937_words()

    @staticmethod
    def _set(state: Any) -> None:
        if isinstance(state, bytes):
            ctypes.memmove(_mt19937_address(), state, len(state))
        else:
            np.random.set_state(state)


#: `mt19937_state` of numpy: 624 words of 32 bits, and the position among them.
_MT19937_BYTES = 4 * 625


def _mt19937_address() -> int:
    generator: Any = np.random.get_bit_generator()  # type: ignore[attr-defined]
    return int(generator.ctypes.state_address)


def _mt19937_words() -> bytes | None:
    """The words of numpy's global generator; None where it has been replaced by one of another kind."""
    if type(np.random.get_bit_generator()) is not np.random.MT19937:  # type: ignore[attr-defined]
        return None
    return ctypes.string_at(_mt19937_address(), _MT19937_BYTES)
