"""Saves and restores the attributes of samplers that change while training.

Weights that a callback assigns between epochs, a curriculum that counts, batches shuffled in place, generators of the
sampler's own: each epoch depends on what the one before has left.
"""

from __future__ import annotations

import copy
import random
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, TypeGuard

import numpy as np
import torch

from jupyter_train.training.data.sampler_inspection import (
    attributes_assigned_in_pass,
    attributes_read_in_pass,
    mutates_containers,
)
from jupyter_train.training.data.samplers import TORCH_SAMPLERS, index_sampler

#: Values of at most so many numbers are saved; of at most so many the initial value is saved as well.
_MAX_KEPT, _MAX_COMPARED = 100_000, 100
_SCALARS = frozenset({type(None), bool, int, float, complex, str, bytes})
_UNKNOWN = object()
_GENERATOR = "jupyter_train generator"


class SamplerState:
    """The attributes of a sampler and of its inner sampler, as far as they can be copied.

    Of objects that the sampler holds, such as its dataset, the attributes that it reads in a pass.

    Args:
        sampler: The user's own object.
    """

    def __init__(self, sampler: object) -> None:
        self._owners = {"": sampler}
        if index_sampler(sampler) is not sampler:
            self._owners["sampler."] = index_sampler(sampler)
        self._attributes_read: dict[str, set[str]] = {}
        for prefix, owner in list(self._owners.items()):
            self._add_objects_of(prefix, owner)
        self._initial = self._at_pass_start = self._copy_attributes()
        self._objects = dict(self._attributes())
        self._comparable = {
            name: value for name, value in self._initial.items() if 0 <= _count_values(value) <= _MAX_COMPARED
        }
        self._restored: set[str] = set()

    def begin(self) -> None:
        """Takes the state at which a pass begins."""
        self._at_pass_start = self._copy_attributes()

    def _copy_attributes(self) -> dict[str, Any]:
        """Copies of all attributes that can be copied, by name; of a generator its state."""
        copies: dict[str, Any] = {}
        for name, value in self._attributes():
            copied = _copy_torch_attribute(value) if type(self._owner(name)[0]) in TORCH_SAMPLERS else _copy(value)
            if copied is not _UNKNOWN:
                copies[name] = copied
        return copies

    def _add_objects_of(self, prefix: str, owner: object) -> None:
        names = attributes_read_in_pass(type(owner))
        for name, value in list(getattr(owner, "__dict__", {}).items()):
            attributes = names & vars(value).keys() if type(getattr(value, "__dict__", None)) is dict else set()
            if attributes and value is not self._owners.get("sampler."):
                self._owners[f"{prefix}{name}."] = value
                self._attributes_read[f"{prefix}{name}."] = attributes

    def _attributes(self) -> Iterator[tuple[str, Any]]:
        for prefix, owner in self._owners.items():
            names = self._attributes_read.get(prefix)
            for name, value in list(getattr(owner, "__dict__", {}).items()):
                if names is None or name in names:
                    yield prefix + name, value

    def record(self, is_mid_pass: bool = False, repeats_pass: bool = False) -> dict[str, Any]:
        """For a checkpoint.

        Args:
            is_mid_pass: Whether a pass is running that a resume continues.
            repeats_pass: Whether a pass is running that a resume repeats from its beginning.

        Returns:
            `first`: initial values, where short; `begin` and `now`: changed values at the beginning of the running pass
            and now; `in_place`: names of those changed in place, which other objects may share; `in_pass`: changes from
            outside the sampler since the pass began, a line each.
        """
        now = self._at_pass_start if repeats_pass else self._copy_attributes()
        return {
            "first": self._comparable,
            "begin": self._changed(self._at_pass_start),
            "now": self._changed(now),
            "in_place": [name for name, value in self._attributes() if value is self._objects.get(name, _UNKNOWN)],
            "in_pass": self._describe_changes_in_pass(now) if is_mid_pass else [],
        }

    def _changed(self, values: dict[str, Any]) -> dict[str, Any]:
        return {
            name: value
            for name, value in values.items()
            if name in self._restored or _is_generator(value) or not _is_equal(value, self._initial.get(name))
        }

    def _describe_changes_in_pass(self, now: dict[str, Any]) -> list[str]:
        """Changes from outside the sampler, which repeating the pass from its beginning would miss."""
        return [
            f"{self._describe(name)} was changed in the middle of an epoch"
            for name, value in now.items()
            if not _is_generator(value)
            and not _is_equal(value, self._at_pass_start.get(name))
            and not self._assigns_itself(name, value)
        ]

    def _assigns_itself(self, name: str, value: object) -> bool:
        """Whether the sampler's own code assigns an attribute in a pass, or changes it in place."""
        owner, attribute = self._owner(name)
        kind = type(owner)
        if isinstance(value, list | dict | set | deque | np.ndarray):
            return attribute in attributes_read_in_pass(kind) and mutates_containers(kind)
        return attribute in attributes_assigned_in_pass(kind)

    def restore(self, record: dict[str, Any], is_pass: bool, is_same_process: bool = True) -> list[str]:
        """Restores what had changed; returns what cannot be restored, a line each.

        Args:
            record: As `record` returned it.
            is_pass: Whether the running pass is repeated from its beginning; else the next one follows.
            is_same_process: Whether this rank recorded it; else values that differ between ranks are left out.
        """
        changed = record["begin" if is_pass else "now"]
        values = {
            name: value for name, value in changed.items() if is_same_process or self._had_same_initial(record, name)
        }
        for name, value in values.items():
            self._set(name, value, name in record["in_place"])
        self._restored |= values.keys()
        lines = list(record["in_pass"]) if is_pass else []
        lines += [
            f"{self._describe(name)} is kept for the first process alone" for name in changed.keys() - values.keys()
        ]
        for name, first in record["first"].items():
            if name not in changed and name in self._initial and not _is_equal(first, self._initial[name]):
                lines.append(f"{self._describe(name)} was {_shorten(first)} and is {_shorten(self._initial[name])}")
        self.begin()
        return lines

    def _had_same_initial(self, record: dict[str, Any], name: str) -> bool:
        return name in record["first"] and _is_equal(record["first"][name], self._initial.get(name))

    def _owner(self, name: str) -> tuple[Any, str]:
        """The object that has the attribute, and the attribute's name there."""
        prefix = name[: name.rfind(".") + 1]
        return self._owners.get(prefix), name.removeprefix(prefix)

    def _describe(self, name: str) -> str:
        owner, attribute = self._owner(name)
        return f"`{attribute}` of `{type(owner).__name__}`"

    def _set(self, name: str, value: object, is_in_place: bool) -> None:
        owner, attribute = self._owner(name)
        if owner is None:  # of an object that the sampler does not hold this time
            return
        current = getattr(owner, attribute, None)
        if _is_generator(value):
            _set_generator_state(current, value[_GENERATOR])
        elif not (is_in_place and _fill_in_place(current, value)):
            copied = _copy(value)
            if isinstance(copied, torch.Tensor) and isinstance(current, torch.Tensor):
                copied = copied.to(current.device)
            setattr(owner, attribute, copied)


def _fill_in_place(current: Any, value: Any) -> bool:
    """Replaces a container's content; False where it has another type or shape."""
    if type(current) is not type(value):
        return False
    if isinstance(current, torch.Tensor | np.ndarray):
        if current.shape != value.shape or current.dtype != value.dtype:
            return False
        with torch.no_grad():
            current[...] = value
    elif isinstance(current, list):
        current[:] = _copy(value)
    elif isinstance(current, dict | set):
        current.clear()
        current.update(_copy(value))
    elif isinstance(current, deque):
        current.clear()
        current.extend(_copy(value))
    else:
        return False
    return True


def _generator_state(
    generator: torch.Generator | random.Random | np.random.RandomState | np.random.Generator,
) -> dict[str, Any]:
    """The state of a generator, marked as one."""
    if isinstance(generator, torch.Generator):
        return {_GENERATOR: generator.get_state()}
    if isinstance(generator, random.Random):
        return {_GENERATOR: generator.getstate()}
    if isinstance(generator, np.random.RandomState):
        return {_GENERATOR: generator.get_state(legacy=False)}
    return {_GENERATOR: copy.deepcopy(generator.bit_generator.state)}


def _set_generator_state(generator: object, state: object) -> None:
    """Sets a generator's state; a generator of another type stays as it is."""
    if isinstance(generator, torch.Generator) and isinstance(state, torch.Tensor):
        generator.set_state(state)
    elif isinstance(generator, random.Random) and isinstance(state, tuple):
        generator.setstate(state)
    elif isinstance(generator, np.random.RandomState) and isinstance(state, dict):
        generator.set_state(state)
    elif isinstance(generator, np.random.Generator) and isinstance(state, dict):
        generator.bit_generator.state = state


def _is_generator(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict) and _GENERATOR in value


def _copy_torch_attribute(value: object) -> object:
    """As `_copy`, for torch's own samplers: they never change their lists, and get a seeded generator."""
    kind = type(value)
    if kind in _SCALARS or kind is list:  # which may be as long as the data
        return value
    return _copy(value) if kind is torch.Tensor else _UNKNOWN


def _copy(value: Any) -> Any:
    """A copy; `_UNKNOWN` for what is no plain data, or too large."""
    if type(value) in _SCALARS:
        return value
    if isinstance(value, torch.Generator | random.Random | np.random.RandomState | np.random.Generator):
        return _generator_state(value)
    if not 0 <= _count_values(value) <= _MAX_KEPT:
        return _UNKNOWN
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, np.ndarray):
        return value.copy()
    return copy.copy(value) if _is_flat(value) else copy.deepcopy(value)


def _is_flat(value: Iterable[Any]) -> bool:
    return not isinstance(value, dict) and set(map(type, value)) <= _SCALARS


def _count_values(value: Any, depth: int = 0) -> int:
    """The number of scalars in plain data; -1 where it holds anything else."""
    if type(value) in _SCALARS:
        return 1
    if isinstance(value, torch.Tensor):
        return value.numel() if type(value) is torch.Tensor else -1
    if isinstance(value, np.ndarray):
        return value.size if value.dtype.kind in "biufcUS" else -1
    if type(value) not in (list, tuple, dict, set, frozenset, deque, range) or depth > 4:
        return -1
    if type(value) is range or len(value) > _MAX_KEPT or _is_flat(value):
        return len(value)
    sizes = [_count_values(item, depth + 1) for item in (value.values() if isinstance(value, dict) else value)]
    keys = isinstance(value, dict) and not set(map(type, value)) <= _SCALARS
    return -1 if keys or min(sizes, default=0) < 0 else sum(sizes)


def _is_equal(left: Any, right: Any) -> bool:
    if left is right or type(left) is not type(right):
        return left is right
    if isinstance(left, torch.Tensor):
        return left.dtype == right.dtype and left.shape == right.shape and torch.equal(left.cpu(), right.cpu())
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and np.array_equal(left, right)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(_is_equal(value, right[key]) for key, value in left.items())
    if isinstance(left, list | tuple | deque) and not _is_flat(left):
        return len(left) == len(right) and all(map(_is_equal, left, right))
    return bool(left == right)


def _shorten(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 40 else f"{text[:37]}..."
