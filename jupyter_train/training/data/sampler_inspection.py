"""Finds what an object that is iterated answers to besides the numbers it draws, as far as its code tells."""

from __future__ import annotations

import dis
from collections.abc import Iterator
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

from torch.utils.data import Dataset

#: Methods that nobody calls while an epoch runs, or that only say where it is.
_HARMLESS = frozenset({"__new__", "__len__", "__getstate__", "__setstate__", "set_epoch", "load_state_dict"})
#: What is the same whoever reads it, and when.
_CONSTANT = (
    ModuleType,
    FunctionType,
    BuiltinFunctionType,
    int,
    float,
    complex,
    str,
    bytes,
    tuple,
    frozenset,
    type(None),
)
_PASS = ("__iter__", "__next__")
#: Methods, and functions given a container, that change it where it lies.
_CHANGING = frozenset(
    {
        "add",
        "append",
        "appendleft",
        "clear",
        "copy_",
        "discard",
        "extend",
        "fill",
        "fill_",
        "insert",
        "pop",
        "popitem",
        "popleft",
        "remove",
        "reverse",
        "rotate",
        "setdefault",
        "shuffle",
        "sort",
        "update",
    }
)


def assigned_in_a_pass(kind: type) -> set[str]:
    """Attributes that objects of a class assign while they are iterated."""
    return set(_assigned(list(_functions_of(kind, _PASS))))


def named_in_a_pass(kind: type) -> set[str]:
    """Attributes that objects of a class look at while they are iterated."""
    return {name for one in _functions_of(kind, _PASS) for code in _codes(one) for name in code.co_names}


def changes_containers(kind: type) -> bool:
    """Whether objects of a class change what lies in a container while they are iterated."""
    return any(map(_changes_a_container, _functions_of(kind, _PASS)))


def memory_of(owner: Any) -> list[str]:
    """Why an object may give something else when it is asked again, from the same state and seed: a line each."""
    name = type(owner).__name__
    in_pass = list(_functions_of(type(owner), _PASS))
    lines = [f"`{name}` reads `{one}`, which may change, while it is iterated" for one in _read(in_pass)]
    known = {id(one) for one in (*in_pass, *_functions_of(type(owner), ("__init__",)))}
    others = [one for one in _own_methods(type(owner)) if id(one) not in known and one.__name__ not in _HARMLESS]
    changing = [one.__name__ for one in others if _assigned([one]) or _changes_a_container(one)]
    return lines + [f"`{name}` can be changed in the middle of an epoch (`{one}`)" for one in changing]


def _own_methods(kind: type) -> Iterator[FunctionType]:
    """Functions of a class and its bases, those of torch apart."""
    for base in kind.__mro__:
        if base.__module__.partition(".")[0] not in ("torch", "builtins", "typing", "collections", "abc"):
            yield from (one for one in vars(base).values() if type(one) is FunctionType)


def _functions_of(kind: type, names: tuple[str, ...]) -> Iterator[FunctionType]:
    """Methods of these names, and those of the same class that they call."""
    methods: dict[str, list[FunctionType]] = {}
    for function in _own_methods(kind):
        methods.setdefault(function.__name__, []).append(function)  # a base's own too: `super()` may call it
    waiting, seen = [name for name in names if name in methods], set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        yield from methods[name]
        codes = [code for function in methods[name] for code in _codes(function)]
        waiting += [called for code in codes for called in code.co_names if called in methods]


def _codes(function: FunctionType) -> Iterator[CodeType]:
    waiting = [function.__code__]
    while waiting:
        code = waiting.pop()
        yield code
        waiting += [one for one in code.co_consts if isinstance(one, CodeType)]


def _changes_a_container(function: FunctionType) -> bool:
    if any(not _CHANGING.isdisjoint(code.co_names) for code in _codes(function)):
        return True
    return any(step.opname in ("STORE_SUBSCR", "DELETE_SUBSCR") for _, _, step in _steps([function]))


def _steps(functions: list[FunctionType]) -> Iterator[tuple[FunctionType, CodeType, dis.Instruction]]:
    """Every instruction of functions, and of the functions and comprehensions inside them."""
    for function in functions:
        for code in _codes(function):
            yield from ((function, code, step) for step in dis.get_instructions(code))


def _assigned(functions: list[FunctionType]) -> list[str]:
    """Names of attributes that are assigned; each once."""
    steps = [step for _, _, step in _steps(functions) if step.opname in ("STORE_ATTR", "DELETE_ATTR")]
    return list(dict.fromkeys(str(step.argval) for step in steps))


def _read(functions: list[FunctionType]) -> list[str]:
    """Names of global things that are read and can change; each once."""
    names = [
        str(step.argval)
        for function, code, step in _steps(functions)
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")
        and _can_change(function.__globals__.get(step.argval), code.co_names)
    ]
    return list(dict.fromkeys(names))


def _can_change(value: Any, names: tuple[str, ...]) -> bool:
    if isinstance(value, type):
        inside = [vars(value)[name] for name in names if name in vars(value)]
        return any(
            not callable(one) and not isinstance(one, (*_CONSTANT, property, staticmethod, classmethod))
            for one in inside
        )
    return not isinstance(value, (*_CONSTANT, Dataset)) and not callable(value)
