"""Finds random generators inside user objects, which the run's seed does not reach."""

from __future__ import annotations

import contextlib
import functools
import random
from collections.abc import Iterator, Sequence
from types import FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch

_GENERATORS = (np.random.Generator, np.random.RandomState, random.Random, torch.Generator)
#: The global generators, which `seed_everything` seeds.
_GLOBAL: tuple[Any, ...] = (np.random.mtrand._rand, getattr(random, "_inst", None), torch.default_generator)
#: Limits of the search: nesting, items of a container, and objects in all.
_MAX_DEPTH, _MAX_ITEMS, _MAX_OBJECTS = 3, 32, 2_000


def find_generators(owner: object, others: Sequence[Any] = ()) -> list[str]:
    """Paths of the generators inside an object: `rng`, `noise.<closure>.r`, `transforms[0].rng`.

    Searches attributes, small containers, closures and partial functions; ignores global generators.

    Args:
        owner: The object.
        others: Objects that are searched separately, and so not as parts of this one.
    """
    paths: dict[int, str] = {}
    seen = {id(part) for part in others if part is not owner}
    _search(owner, "", 0, paths, seen)
    return list(paths.values())


def _search(owner: object, path: str, depth: int, paths: dict[int, str], seen: set[int]) -> None:
    if id(owner) in seen or depth > _MAX_DEPTH or len(seen) > _MAX_OBJECTS:
        return
    seen.add(id(owner))
    for name, value in _children(owner):
        path_of_value = f"{path}{name}" if path else name.removeprefix(".")
        if any(value is generator for generator in _GLOBAL):
            continue
        if isinstance(value, _GENERATORS):
            paths.setdefault(id(value), path_of_value)
        else:
            _search(value, path_of_value, depth + 1, paths, seen)


def _children(owner: object) -> Iterator[tuple[str, Any]]:
    """The direct children of an object, each with the suffix of its path."""
    if isinstance(owner, str | bytes | int | float | torch.Tensor | np.ndarray | type | ModuleType | None):
        return
    if isinstance(owner, list | tuple):
        yield from ((f"[{index}]", value) for index, value in enumerate(owner[:_MAX_ITEMS]))
    elif isinstance(owner, dict):
        yield from ((f"[{key!r}]", value) for key, value in list(owner.items())[:_MAX_ITEMS])
    elif isinstance(owner, functools.partial):
        yield from ((".<argument>", value) for value in (owner.func, *owner.args, *owner.keywords.values()))
    else:
        yield from _attributes(owner)


def _attributes(owner: object) -> Iterator[tuple[str, Any]]:
    if isinstance(owner, MethodType):
        yield ".__self__", owner.__self__
        owner = owner.__func__
    if isinstance(owner, FunctionType):
        for name, cell in zip(owner.__code__.co_freevars, owner.__closure__ or (), strict=True):
            with contextlib.suppress(ValueError):  # not filled yet
                yield f".<closure>.{name}", cell.cell_contents
    attributes = getattr(owner, "__dict__", None)
    if isinstance(attributes, dict):
        yield from ((f".{name}", value) for name, value in list(attributes.items()) if type(name) is str)
