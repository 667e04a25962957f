"""Finds state that an iterated object depends on besides the numbers it draws, by inspecting its bytecode."""

from __future__ import annotations

import dis
from collections.abc import Iterator
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType

from torch.utils.data import Dataset

#: Methods that are not called during an epoch, or only set its number.
_HARMLESS_METHODS = frozenset({"__new__", "__len__", "__getstate__", "__setstate__", "set_epoch", "load_state_dict"})
#: Values that cannot change.
_CONSTANT_TYPES = (
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
_ITERATION_METHODS = ("__iter__", "__next__")
#: Methods and functions that change a container in place.
_MUTATING_METHODS = frozenset(
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


def attributes_assigned_in_pass(kind: type) -> set[str]:
    """Attributes that objects of a class assign while they are iterated."""
    return set(_assigned_attributes(list(_reachable_methods(kind, _ITERATION_METHODS))))


def attributes_read_in_pass(kind: type) -> set[str]:
    """Attributes that objects of a class read while they are iterated."""
    return {
        name
        for method in _reachable_methods(kind, _ITERATION_METHODS)
        for code in _nested_code(method)
        for name in code.co_names
    }


def mutates_containers(kind: type) -> bool:
    """Whether objects of a class change a container in place while they are iterated."""
    return any(map(_mutates_container, _reachable_methods(kind, _ITERATION_METHODS)))


def describe_hidden_state(owner: object) -> list[str]:
    """Why an object may yield something else in a second pass from the same state and seed: a line each."""
    name = type(owner).__name__
    in_pass = list(_reachable_methods(type(owner), _ITERATION_METHODS))
    lines = [
        f"`{name}` reads `{method}`, which may change, while it is iterated"
        for method in _mutable_globals_read(in_pass)
    ]
    checked = {id(method) for method in (*in_pass, *_reachable_methods(type(owner), ("__init__",)))}
    methods = [
        method
        for method in _own_methods(type(owner))
        if id(method) not in checked and method.__name__ not in _HARMLESS_METHODS
    ]
    mutating = [method.__name__ for method in methods if _assigned_attributes([method]) or _mutates_container(method)]
    return lines + [f"`{name}` can be changed in the middle of an epoch (`{method}`)" for method in mutating]


def _own_methods(kind: type) -> Iterator[FunctionType]:
    """Functions of a class and its bases, without those of torch."""
    for base in kind.__mro__:
        if base.__module__.partition(".")[0] not in ("torch", "builtins", "typing", "collections", "abc"):
            yield from (value for value in vars(base).values() if type(value) is FunctionType)


def _reachable_methods(kind: type, names: tuple[str, ...]) -> Iterator[FunctionType]:
    """Methods of these names, and those of the same class that they call."""
    methods: dict[str, list[FunctionType]] = {}
    for function in _own_methods(kind):
        methods.setdefault(function.__name__, []).append(function)  # of the bases too: `super()` may call them
    pending, seen = [name for name in names if name in methods], set()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        yield from methods[name]
        codes = [code for function in methods[name] for code in _nested_code(function)]
        pending += [called for code in codes for called in code.co_names if called in methods]


def _nested_code(function: FunctionType) -> Iterator[CodeType]:
    pending = [function.__code__]
    while pending:
        code = pending.pop()
        yield code
        pending += [constant for constant in code.co_consts if isinstance(constant, CodeType)]


def _mutates_container(function: FunctionType) -> bool:
    if any(not _MUTATING_METHODS.isdisjoint(code.co_names) for code in _nested_code(function)):
        return True
    return any(step.opname in ("STORE_SUBSCR", "DELETE_SUBSCR") for _, _, step in _instructions([function]))


def _instructions(functions: list[FunctionType]) -> Iterator[tuple[FunctionType, CodeType, dis.Instruction]]:
    """Every instruction of functions, and of the functions and comprehensions inside them."""
    for function in functions:
        for code in _nested_code(function):
            yield from ((function, code, step) for step in dis.get_instructions(code))


def _assigned_attributes(functions: list[FunctionType]) -> list[str]:
    """Names of attributes that are assigned; each once."""
    steps = [step for _, _, step in _instructions(functions) if step.opname in ("STORE_ATTR", "DELETE_ATTR")]
    return list(dict.fromkeys(str(step.argval) for step in steps))


def _mutable_globals_read(functions: list[FunctionType]) -> list[str]:
    """Names of mutable globals that are read; each once."""
    names = [
        str(step.argval)
        for function, code, step in _instructions(functions)
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")
        and _is_mutable(function.__globals__.get(step.argval), code.co_names)
    ]
    return list(dict.fromkeys(names))


def _is_mutable(value: object, names: tuple[str, ...]) -> bool:
    if isinstance(value, type):
        attributes = [vars(value)[name] for name in names if name in vars(value)]
        return any(
            not callable(attribute)
            and not isinstance(attribute, (*_CONSTANT_TYPES, property, staticmethod, classmethod))
            for attribute in attributes
        )
    return not isinstance(value, (*_CONSTANT_TYPES, Dataset)) and not callable(value)
