"""Commands to a running fit or search, declared once for panel, Python, `%runs`, shell and server."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jupyter_train.config import bounds
from jupyter_train.config.options import literal
from jupyter_train.exceptions import CommandError, did_you_mean


@dataclass(frozen=True)
class Verb:
    """A command that a run obeys.

    Attributes:
        name: As typed: `set-lr`; in Python and JSON `set_lr`.
        help: One line.
        arguments: Argument name to the check that converts its value.
        check: Returns what is wrong with the arguments together; empty if nothing.
        mark: Label of the command's line in a chart.
        mapping_argument: The argument that collects every typed `NAME=VALUE`; empty for none.
        is_for_study: Whether only a search obeys it.
    """

    name: str
    help: str
    arguments: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    check: Callable[[Mapping[str, Any]], str] = lambda _arguments: ""
    mark: str = ""
    mapping_argument: str = ""
    is_for_study: bool = False


@dataclass(frozen=True)
class Command:
    """A verb with its checked arguments.

    Attributes:
        verb: One of `VERBS`.
        arguments: Plain JSON values by name.
        source: Where it was sent from: `panel`, `python`, `command line`.
        row: Its row in the store; 0 before it is stored.
    """

    verb: str
    arguments: dict[str, Any] = field(default_factory=dict)
    source: str = "python"
    row: int = 0


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("a number")
    bounds.check_integer(value)
    if not math.isfinite(value):
        raise ValueError("a number")
    return float(value)


def _positive(value: object) -> float:
    if (number := _number(value)) <= 0:
        raise ValueError("a number above 0")
    return number


def _whole_number(minimum: int) -> Callable[[Any], int]:
    def check(value: object) -> int:
        number = _number(value)
        if not minimum <= number <= bounds.MAX_INTEGER or not number.is_integer():
            raise ValueError(f"a whole number of {minimum} or more")
        return int(number)

    return check


def _values_by_name(value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not value or len(value) > _MAX_NAMES:
        raise ValueError("values by name")
    for name, entry in value.items():
        if not isinstance(name, str) or not isinstance(entry, bool | int | float | str):
            raise ValueError(f"a number, a truth value or a word for `{bounds.shown(name)}`")
        bounds.check_integer(entry)
    return dict(value)


def _require_lr_or_factor(arguments: Mapping[str, Any]) -> str:
    return "" if ("lr" in arguments) != ("factor" in arguments) else "give one of `lr` and `factor`"


def _require(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda arguments: "" if name in arguments else f"`{name}` is missing"


_MAX_NAMES = 100

VERBS: dict[str, Verb] = {
    verb.name.replace("-", "_"): verb
    for verb in (
        Verb("pause", "wait at the next batch boundary", mark="pause"),
        Verb("resume", "resume after a pause"),
        Verb("stop", "end gracefully: validate, keep the best and the last weights", mark="stop"),
        Verb("checkpoint", "write a checkpoint now", mark="checkpoint"),
        Verb("validate", "validate now"),
        Verb(
            "set-lr",
            "set the learning rate, or multiply it; a schedule continues scaled by the same factor",
            {"lr": _positive, "factor": _positive, "group": _whole_number(0)},
            _require_lr_or_factor,
            mark="LR",
        ),
        Verb(
            "set-max-epochs",
            "train for so many epochs in all",
            {"epochs": _whole_number(1)},
            _require("epochs"),
            mark="epochs",
        ),
        Verb(
            "set-patience",
            "patience of early stopping",
            {"patience": _whole_number(0)},
            _require("patience"),
            mark="patience",
        ),
        Verb(
            "add-trial",
            "a search tries these values next: `lr=1e-3 hidden=64`; names left out are drawn",
            {"values": _values_by_name},
            _require("values"),
            mapping_argument="values",
            is_for_study=True,
        ),
        Verb(
            "narrow",
            "a search draws from this part of a range from now on: `lr=1e-3..1e-2`",
            {"ranges": _values_by_name},
            _require("ranges"),
            mapping_argument="ranges",
            is_for_study=True,
        ),
    )
}


def command(verb: str, arguments: Mapping[str, Any] | None = None, source: str = "python") -> Command:
    """A checked command.

    Raises:
        CommandError: The verb or an argument is unknown, or a value does not fit.
    """
    name = verb.replace("-", "_")
    declared = VERBS.get(name)
    if declared is None:
        raise CommandError(
            f"`{bounds.shown(verb)}`: no such command.{did_you_mean(name, VERBS)} Known are: {', '.join(VERBS)}"
        )
    checked: dict[str, Any] = {}
    for key, value in (arguments or {}).items():
        check = declared.arguments.get(key)
        if check is None:
            expected = ", ".join(f"`{argument}`" for argument in declared.arguments) or "no arguments"
            raise CommandError(f"`{declared.name}` takes {expected}, not `{bounds.shown(key)}`")
        if value is None:
            continue
        try:
            checked[key] = check(value)
        except ValueError as err:
            raise CommandError(f"`{declared.name}`: `{key}` is {_repr(value)}; expected {err}") from None
    if problem := declared.check(checked):
        raise CommandError(f"`{declared.name}`: {problem}")
    return Command(name, checked, source)


def _repr(value: object) -> str:
    try:
        return bounds.shown(repr(value))
    except (ValueError, RecursionError):  # a number of thousands of digits, or lists in lists in lists
        return "what cannot be shown"


def parse_arguments(verb: str, words: Sequence[str]) -> dict[str, Any]:
    """Arguments by name from typed words: `1e-3`, or `factor=0.5 group=1`.

    Raises:
        CommandError: The verb takes no such argument.
    """
    declared = VERBS.get(verb.replace("-", "_"))
    names = list(declared.arguments) if declared is not None else []
    values: dict[str, Any] = {}
    if declared is not None and declared.mapping_argument:
        return {declared.mapping_argument: _named_values(verb, words)}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            if not names or names[0] in values:
                raise CommandError(f"`{verb} {' '.join(words)}`: `{word}` is one word too many")
            name, text = names[0], word
        values[name] = literal(text)
    return values


def _named_values(verb: str, words: Sequence[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for word in (part for typed in words for part in typed.split(",") if part):
        name, equals, text = (piece.strip() for piece in word.partition("="))
        if not equals or not name:
            raise CommandError(f"`{verb} {' '.join(words)}`: expected `NAME=VALUE`, not `{word}`")
        values[name] = literal(text)
    return values
