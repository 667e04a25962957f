"""What a sampler is made of decides what it gives: what changes while training is kept, and put back at a resume.

Weights that a callback assigns between epochs, a curriculum that counts, batches shuffled in place, generators of the
sampler's own: each epoch begins from what the one before has left.
"""

from __future__ import annotations

import copy
import random
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from jupyter_train.training.data.sampler_inspection import assigned_in_a_pass, changes_containers, named_in_a_pass
from jupyter_train.training.data.samplers import TORCHS, index_sampler

#: Values of at most so many numbers are kept; of at most so many it is known later what they were at first.
_MAX_KEPT, _MAX_SHOWN = 100_000, 100
_SCALARS = frozenset({type(None), bool, int, float, complex, str, bytes})
_UNKNOWN = object()
_GENERATOR = "jupyter_train generator"


class SamplerState:
    """The attributes of one sampler and of the sampler inside it, as far as they can be copied.

    Of objects that a sampler of the user's keeps, such as its dataset, those attributes that it looks at in a pass.

    Args:
        sampler: The user's own object.
    """

    def __init__(self, sampler: Any) -> None:
        self._owners = {"": sampler}
        if index_sampler(sampler) is not sampler:
            self._owners["sampler."] = index_sampler(sampler)
        self._looked_at: dict[str, set[str]] = {}
        for prefix, owner in list(self._owners.items()):
            self._add_objects_of(prefix, owner)
        self._first = self._begin = self._now()
        self._objects = dict(self._attributes())
        self._shown = {name: value for name, value in self._first.items() if 0 <= _size(value) <= _MAX_SHOWN}
        self._restored: set[str] = set()

    def begin(self) -> None:
        """A pass begins from here."""
        self._begin = self._now()

    def _now(self) -> dict[str, Any]:
        """Copies of all attributes that can be copied, by name; a generator's state in its place."""
        copies: dict[str, Any] = {}
        for name, value in self._attributes():
            copied = _copied_of_torchs(value) if type(self._owner(name)[0]) in TORCHS else _copied(value)
            if copied is not _UNKNOWN:
                copies[name] = copied
        return copies

    def _add_objects_of(self, prefix: str, owner: Any) -> None:
        names = named_in_a_pass(type(owner))
        for name, value in list(getattr(owner, "__dict__", {}).items()):
            inside = names & vars(value).keys() if type(getattr(value, "__dict__", None)) is dict else set()
            if inside and value is not self._owners.get("sampler."):
                self._owners[f"{prefix}{name}."] = value
                self._looked_at[f"{prefix}{name}."] = inside

    def _attributes(self) -> Iterator[tuple[str, Any]]:
        for prefix, owner in self._owners.items():
            names = self._looked_at.get(prefix)
            for name, value in list(getattr(owner, "__dict__", {}).items()):
                if names is None or name in names:
                    yield prefix + name, value

    def record(self, is_inside: bool = False, is_again: bool = False) -> dict[str, Any]:
        """For a checkpoint.

        Args:
            is_inside: Whether a pass is running, which a resume goes on with.
            is_again: Whether one is running that a resume begins again.

        Returns:
            `first`: short values as they were at first; `begin` and `now`: what had changed when the running pass
            began, and what has until now; `in_place`: which of it was changed where it lies, so that others who hold
            it see the same; `in_pass`: what somebody else has changed since the pass began, a line each.
        """
        now = self._begin if is_again else self._now()
        return {
            "first": self._shown,
            "begin": self._changed(self._begin),
            "now": self._changed(now),
            "in_place": [name for name, value in self._attributes() if value is self._objects.get(name, _UNKNOWN)],
            "in_pass": self._changed_in_pass(now) if is_inside else [],
        }

    def _changed(self, values: dict[str, Any]) -> dict[str, Any]:
        return {
            name: value
            for name, value in values.items()
            if name in self._restored or _is_generator(value) or not _same(value, self._first.get(name))
        }

    def _changed_in_pass(self, now: dict[str, Any]) -> list[str]:
        """What somebody else has changed: asked again from the pass's beginning, it would be missed."""
        return [
            f"{self._named(name)} was changed in the middle of an epoch"
            for name, value in now.items()
            if not _is_generator(value) and not _same(value, self._begin.get(name)) and not self._is_own(name, value)
        ]

    def _is_own(self, name: str, value: Any) -> bool:
        """Whether a sampler's own code assigns an attribute in a pass, or shuffles what lies in it."""
        owner, attribute = self._owner(name)
        kind = type(owner)
        if isinstance(value, list | dict | set | deque | np.ndarray):
            return attribute in named_in_a_pass(kind) and changes_containers(kind)
        return attribute in assigned_in_a_pass(kind)

    def restore(self, record: dict[str, Any], is_pass: bool, is_own: bool = True) -> list[str]:
        """Puts back what had changed; gives what cannot be had again, a line each.

        Args:
            record: Of a checkpoint.
            is_pass: Whether the pass that was running begins again; else the next one follows.
            is_own: Whether it is of this process; of another one's, what differs from process to process is left out.
        """
        changed = record["begin" if is_pass else "now"]
        values = {name: value for name, value in changed.items() if is_own or self._began_like(record, name)}
        for name, value in values.items():
            self._set(name, value, name in record["in_place"])
        self._restored |= values.keys()
        lines = list(record["in_pass"]) if is_pass else []
        lines += [f"{self._named(name)} is kept for the first process alone" for name in changed.keys() - values.keys()]
        for name, first in record["first"].items():
            if name not in changed and name in self._first and not _same(first, self._first[name]):
                lines.append(f"{self._named(name)} was {_words(first)} and is {_words(self._first[name])}")
        self.begin()
        return lines

    def _began_like(self, record: dict[str, Any], name: str) -> bool:
        return name in record["first"] and _same(record["first"][name], self._first.get(name))

    def _owner(self, name: str) -> tuple[Any, str]:
        """Whose attribute it is, and what it is called there."""
        prefix = name[: name.rfind(".") + 1]
        return self._owners.get(prefix), name.removeprefix(prefix)

    def _named(self, name: str) -> str:
        owner, attribute = self._owner(name)
        return f"`{attribute}` of `{type(owner).__name__}`"

    def _set(self, name: str, value: Any, is_in_place: bool) -> None:
        owner, attribute = self._owner(name)
        if owner is None:  # of an object that the sampler does not keep this time
            return
        current = getattr(owner, attribute, None)
        if _is_generator(value):
            _put_into(current, value[_GENERATOR])
        elif not (is_in_place and _fill(current, value)):
            copied = _copied(value)
            if isinstance(copied, torch.Tensor) and isinstance(current, torch.Tensor):
                copied = copied.to(current.device)
            setattr(owner, attribute, copied)


def _fill(current: Any, value: Any) -> bool:
    """Gives a container the content of another; False where it is of another kind or shape."""
    if type(current) is not type(value):
        return False
    if isinstance(current, torch.Tensor | np.ndarray):
        if current.shape != value.shape or current.dtype != value.dtype:
            return False
        with torch.no_grad():
            current[...] = value
    elif isinstance(current, list):
        current[:] = _copied(value)
    elif isinstance(current, dict | set):
        current.clear()
        current.update(_copied(value))
    elif isinstance(current, deque):
        current.clear()
        current.extend(_copied(value))
    else:
        return False
    return True


def _state_of(generator: Any) -> dict[str, Any]:
    """The state of a generator of the user's, marked as one."""
    if isinstance(generator, torch.Generator):
        return {_GENERATOR: generator.get_state()}
    if isinstance(generator, random.Random):
        return {_GENERATOR: generator.getstate()}
    if isinstance(generator, np.random.RandomState):
        return {_GENERATOR: generator.get_state(legacy=False)}
    return {_GENERATOR: copy.deepcopy(generator.bit_generator.state)}


def _put_into(generator: Any, state: Any) -> None:
    """Gives a generator a state; one of another kind stays as it is."""
    if isinstance(generator, torch.Generator) and isinstance(state, torch.Tensor):
        generator.set_state(state)
    elif isinstance(generator, random.Random) and isinstance(state, tuple):
        generator.setstate(state)
    elif isinstance(generator, np.random.RandomState) and isinstance(state, dict):
        generator.set_state(state)
    elif isinstance(generator, np.random.Generator) and isinstance(state, dict):
        generator.bit_generator.state = state


def _is_generator(value: Any) -> bool:
    return isinstance(value, dict) and _GENERATOR in value


def _copied_of_torchs(value: Any) -> Any:
    """As `_copied`, for torch's own samplers: they change no list of theirs, and get another generator."""
    kind = type(value)
    if kind in _SCALARS or kind is list:  # which may be as long as the data
        return value
    return _copied(value) if kind is torch.Tensor else _UNKNOWN


def _copied(value: Any) -> Any:
    """A copy; `_UNKNOWN` for what is no plain data, or too much of it."""
    if type(value) in _SCALARS:
        return value
    if isinstance(value, torch.Generator | random.Random | np.random.RandomState | np.random.Generator):
        return _state_of(value)
    if not 0 <= _size(value) <= _MAX_KEPT:
        return _UNKNOWN
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, np.ndarray):
        return value.copy()
    return copy.copy(value) if _is_flat(value) else copy.deepcopy(value)


def _is_flat(value: Any) -> bool:
    return not isinstance(value, dict) and set(map(type, value)) <= _SCALARS


def _size(value: Any, depth: int = 0) -> int:
    """How many numbers and words there are in plain data; -1 where there is anything else in it."""
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
    sizes = [_size(item, depth + 1) for item in (value.values() if isinstance(value, dict) else value)]
    keys = isinstance(value, dict) and not set(map(type, value)) <= _SCALARS
    return -1 if keys or min(sizes, default=0) < 0 else sum(sizes)


def _same(one: Any, other: Any) -> bool:
    if one is other or type(one) is not type(other):
        return one is other
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and one.shape == other.shape and torch.equal(one.cpu(), other.cpu())
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple | deque) and not _is_flat(one):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _words(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 40 else f"{text[:37]}..."
