"""What a fit or a search can be told while it runs, declared once: for panel, Python, `%runs`, shell and server."""

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
    """One thing that can be asked of a run.

    Attributes:
        name: As typed: `set-lr`; in Python and JSON `set_lr`.
        help: One line.
        arguments: Name to the check that gives a value its final form.
        check: Says what is wrong with the arguments together, or gives an empty string.
        mark: What stands beside its line in a chart.
        gathers: The argument that is a mapping, of every `NAME=VALUE` that is typed.
        is_of_study: True for what only a search can be told.
    """

    name: str
    help: str
    arguments: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    check: Callable[[Mapping[str, Any]], str] = lambda _given: ""
    mark: str = ""
    gathers: str = ""
    is_of_study: bool = False


@dataclass(frozen=True)
class Command:
    """A verb with its checked arguments.

    Attributes:
        verb: One of `VERBS`.
        arguments: Plain JSON values by name.
        source: Who asked: `panel`, `python`, `command line`.
        row: Its row in the store; 0 while it has none.
    """

    verb: str
    arguments: dict[str, Any] = field(default_factory=dict)
    source: str = "python"
    row: int = 0


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("a number")
    bounds.check_whole(value)
    if not math.isfinite(value):
        raise ValueError("a number")
    return float(value)


def _positive(value: Any) -> float:
    if (number := _number(value)) <= 0:
        raise ValueError("a number above 0")
    return number


def _count(least: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        number = _number(value)
        if not least <= number <= bounds.MAX_WHOLE or not number.is_integer():
            raise ValueError(f"a whole number of {least} or more")
        return int(number)

    return check


def _by_name(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not value or len(value) > _MAX_NAMES:
        raise ValueError("values by name")
    for name, one in value.items():
        if not isinstance(name, str) or not isinstance(one, bool | int | float | str):
            raise ValueError(f"a number, a truth value or a word for `{bounds.shown(name)}`")
        bounds.check_whole(one)
    return dict(value)


def _one_of_lr_and_factor(given: Mapping[str, Any]) -> str:
    return "" if ("lr" in given) != ("factor" in given) else "give one of `lr` and `factor`"


def _needs(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda given: "" if name in given else f"`{name}` is missing"


_MAX_NAMES = 100

VERBS: dict[str, Verb] = {
    verb.name.replace("-", "_"): verb
    for verb in (
        Verb("pause", "wait at the next batch boundary", mark="pause"),
        Verb("resume", "go on after a pause"),
        Verb("stop", "end well: validate, keep the best and the last weights", mark="stop"),
        Verb("checkpoint", "write a checkpoint of this moment", mark="checkpoint"),
        Verb("validate", "validate now"),
        Verb(
            "set-lr",
            "set the learning rate, or multiply it; a schedule goes on scaled by the same factor",
            {"lr": _positive, "factor": _positive, "group": _count(0)},
            _one_of_lr_and_factor,
            mark="LR",
        ),
        Verb(
            "set-max-epochs", "train for so many epochs in all", {"epochs": _count(1)}, _needs("epochs"), mark="epochs"
        ),
        Verb(
            "set-patience", "patience of early stopping", {"patience": _count(0)}, _needs("patience"), mark="patience"
        ),
        Verb(
            "add-trial",
            "a search tries these values next: `lr=1e-3 hidden=64`; names left out are drawn",
            {"values": _by_name},
            _needs("values"),
            gathers="values",
            is_of_study=True,
        ),
        Verb(
            "narrow",
            "a search draws from this part of a range from now on: `lr=1e-3..1e-2`",
            {"ranges": _by_name},
            _needs("ranges"),
            gathers="ranges",
            is_of_study=True,
        ),
    )
}


def command(verb: str, arguments: Mapping[str, Any] | None = None, source: str = "python") -> Command:
    """A checked command.

    Raises:
        CommandError: The verb is unknown, an argument is, or a value cannot be.
    """
    name = verb.replace("-", "_")
    known = VERBS.get(name)
    if known is None:
        raise CommandError(
            f"`{bounds.shown(verb)}`: no such command.{did_you_mean(name, VERBS)} Known are: {', '.join(VERBS)}"
        )
    given: dict[str, Any] = {}
    for key, value in (arguments or {}).items():
        check = known.arguments.get(key)
        if check is None:
            expected = ", ".join(f"`{one}`" for one in known.arguments) or "no arguments"
            raise CommandError(f"`{known.name}` takes {expected}, not `{bounds.shown(key)}`")
        if value is None:
            continue
        try:
            given[key] = check(value)
        except ValueError as err:
            raise CommandError(f"`{known.name}`: `{key}` is {_repr(value)}; expected {err}") from None
    if problem := known.check(given):
        raise CommandError(f"`{known.name}`: {problem}")
    return Command(name, given, source)


def _repr(value: Any) -> str:
    try:
        return bounds.shown(repr(value))
    except (ValueError, RecursionError):  # a number of thousands of digits, or lists in lists in lists
        return "what cannot be shown"


def parse_arguments(verb: str, words: Sequence[str]) -> dict[str, Any]:
    """Arguments as they are typed: `1e-3`, or `factor=0.5 group=1`.

    Raises:
        CommandError: The verb takes no such argument.
    """
    known = VERBS.get(verb.replace("-", "_"))
    names = list(known.arguments) if known is not None else []
    given: dict[str, Any] = {}
    if known is not None and known.gathers:
        return {known.gathers: _gathered(verb, words)}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            if not names or names[0] in given:
                raise CommandError(f"`{verb} {' '.join(words)}`: `{word}` is one word too many")
            name, text = names[0], word
        given[name] = literal(text)
    return given


def _gathered(verb: str, words: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for word in (part for one in words for part in one.split(",") if part):
        name, equals, text = (piece.strip() for piece in word.partition("="))
        if not equals or not name:
            raise CommandError(f"`{verb} {' '.join(words)}`: expected `NAME=VALUE`, not `{word}`")
        found[name] = literal(text)
    return found
