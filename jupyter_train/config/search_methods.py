"""Samplers and pruners as typed: a name with arguments, as in `asha:eta=4,min=2`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jupyter_train.config.options import literal
from jupyter_train.exceptions import did_you_mean


@dataclass(frozen=True)
class MethodArgument:
    """An argument of a sampler or pruner.

    Attributes:
        name: Optuna's parameter name.
        low: Smallest value; None for a boolean.
        high: Largest value.
        is_whole: Whether it takes integers only.
    """

    name: str
    low: float | None = None
    high: float = 0.0
    is_whole: bool = True


Arguments = Mapping[str, Mapping[str, MethodArgument]]

_STARTUP = MethodArgument("n_startup_trials", 0, 100_000)
_ETA, _MIN = MethodArgument("reduction_factor", 2, 100), MethodArgument("min_resource", 1, 1_000_000)
SAMPLERS: Arguments = {
    "tpe": {
        "startup": _STARTUP,
        "candidates": MethodArgument("n_ei_candidates", 1, 10_000),
        "multivariate": MethodArgument("multivariate"),
        "group": MethodArgument("group"),
    },
    "gp": {"startup": _STARTUP},
    "cmaes": {
        "startup": _STARTUP,
        "sigma": MethodArgument("sigma0", 1e-12, 1e12, is_whole=False),
        "population": MethodArgument("popsize", 2, 10_000),
    },
    "random": {},
    "grid": {},
    "qmc": {},
    "nsga2": {
        "population": MethodArgument("population_size", 2, 10_000),
        "mutation": MethodArgument("mutation_prob", 0, 1, is_whole=False),
        "crossover": MethodArgument("crossover_prob", 0, 1, is_whole=False),
    },
}
PRUNERS: Arguments = {
    "asha": {"eta": _ETA, "min": _MIN, "late": MethodArgument("min_early_stopping_rate", 0, 100)},
    "hyperband": {"eta": _ETA, "min": _MIN, "max": MethodArgument("max_resource", 1, 1_000_000)},
    "median": {
        "startup": _STARTUP,
        "warmup": MethodArgument("n_warmup_steps", 0, 1_000_000),
        "every": MethodArgument("interval_steps", 1, 1_000_000),
    },
    "none": {},
}


def name_of(text: str) -> str:
    """The method's name, without arguments."""
    return text.partition(":")[0]


def arguments_of(text: str, known: Arguments) -> dict[str, Any]:
    """The method's arguments, by Optuna's parameter names.

    Raises:
        ValueError: An argument is unknown or its value does not fit; the message says what was expected.
    """
    name, colon, rest = text.partition(":")
    takes = known[name]
    values: dict[str, Any] = {}
    for part in rest.split(",") if colon else []:
        word, _, value = (piece.strip() for piece in part.partition("="))
        if word not in takes:
            raise ValueError(_expected_text(name, takes) + did_you_mean(word, takes))
        argument = takes[word]
        if argument.name in values:
            raise ValueError(f"`{word}` once")
        values[argument.name] = _value(word, value, argument)
    return values


def checked(known: Arguments, text: str) -> str:
    """The text, without spaces.

    Raises:
        ValueError: See `arguments_of`.
    """
    arguments_of(text, known)
    return "".join(text.split())


def _value(word: str, text: str, argument: MethodArgument) -> float:
    value = literal(text)
    if argument.low is None:
        if not isinstance(value, bool):
            raise ValueError(f"`{word}=true` or `{word}=false`")
        return value
    kinds = int if argument.is_whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not argument.low <= value <= argument.high:
        what = "a whole number" if argument.is_whole else "a number"
        raise ValueError(f"`{word}` to be {what} from {argument.low:g} to {argument.high:,g}")
    return value


def _expected_text(name: str, takes: Mapping[str, MethodArgument]) -> str:
    if not takes:
        return f"`{name}` alone, which takes no arguments."
    return f"`{name}:NAME=VALUE,...` with {', '.join(f'`{argument}`' for argument in takes)}."
