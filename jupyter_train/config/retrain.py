"""`RetrainConfig`: options and parameters of `%retrain`."""

from __future__ import annotations

import contextlib
import functools
import json
import keyword
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jupyter_train.config.options import Option, Scope, declared_options, literal
from jupyter_train.config.options import option_field as _option
from jupyter_train.exceptions import OptionError, ParameterError

#: Numbers that `ast.literal_eval` does not read.
_NUMBERS = ("nan", "inf", "infinity")


@dataclass
class RetrainConfig:
    """A notebook, its parameters and its output.

    Attributes:
        notebook: Path of the notebook; never written.
        parameters: JSON values by identifier; a tuple becomes a list, a numpy scalar a plain number.
        output: Path or URL of the executed copy; `NAME.ipynb` in the run's folder if empty.
        kernel: Kernel name, if not the notebook's own.
        timeout_s: Seconds one cell may take; None for no limit.
        html: Also write an HTML copy beside the output.
    """

    notebook: str
    parameters: dict[str, Any] = field(default_factory=dict)
    output: str = _option(str, "path or URL of the executed copy", "", short="-o", scope=Scope.ATTEMPT)
    kernel: str = _option(str, "kernel to use instead of the notebook's own", "", scope=Scope.ATTEMPT)
    timeout_s: float | None = _option(
        float, "limit for one cell", typed="timeout", metavar="SECONDS", scope=Scope.ATTEMPT
    )
    html: bool = _option(bool, "also write an HTML copy", False, bare=True, scope=Scope.ATTEMPT)

    def __post_init__(self) -> None:
        self.parameters = {name: parameter(name, value) for name, value in self.parameters.items()}
        if self.timeout_s is not None:
            self.timeout_s = _seconds(self.timeout_s)


@functools.cache
def retrain_options() -> tuple[Option, ...]:
    """The options of `%retrain`, in order."""
    return declared_options(RetrainConfig)


def _seconds(value: float | str) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if not (seconds > 0 and math.isfinite(seconds)):
        raise OptionError(f"`--timeout {value}`: expected seconds above zero")
    return seconds


def parameter(name: str, value: object) -> object:
    """The value as plain JSON types: papermill would write a tuple or a numpy scalar as text.

    Raises:
        ParameterError: The name or the value could carry code.
    """
    value = _plain(value)
    check_parameter(name, value)
    return value


def check_parameter(name: str, value: object) -> None:
    """Raises unless `name` is an identifier and `value` is a JSON type.

    papermill writes both into code: a name is executed as it is, and an object through its `__str__`.

    Raises:
        ParameterError: The name or the value could carry code.
    """
    if not isinstance(name, str) or not name.isidentifier() or not name.isascii() or keyword.iskeyword(name):
        raise ParameterError(f"`{name}` is not a parameter name; expected a Python identifier such as `lr`")
    if problem := _json_problem(value):
        raise ParameterError(
            f"`{name}` {problem}; a parameter is a number, text, true/false, null, a list or a mapping of text to these"
        )


def _plain(value: Any) -> object:
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        return value.item()
    if type(value) in (list, tuple):
        return [_plain(item) for item in value]
    if type(value) is dict:
        return {key: _plain(item) for key, item in value.items()}
    return value


def _json_problem(value: Any, is_inside: bool = False) -> str:
    """Why a value is not JSON; empty if it is. Exact types only: a subclass may have its own `__repr__`."""
    if value is None or type(value) in (bool, int, float, str):
        return ""
    if type(value) in (list, tuple):
        return next(filter(None, (_json_problem(item, True) for item in value)), "")
    if type(value) is dict or _is_notebook_node(value):
        if any(type(key) is not str for key in value):
            return "has a mapping with a key that is no text"
        return next(filter(None, (_json_problem(item, True) for item in value.values())), "")
    return f"{'holds' if is_inside else 'is'} a {type(value).__name__}"


def _is_notebook_node(value: object) -> bool:
    """Whether it is a mapping as papermill's engine gets it, from the notebook's metadata."""
    return isinstance(value, Mapping) and (type(value).__module__, type(value).__name__) == (
        "nbformat.notebooknode",
        "NotebookNode",
    )


def parse_parameter(text: str) -> object:
    """The value of `-p NAME TEXT`, read as Python or JSON: `3e-4`, `nan`, `[1, 2]`, `{"a": null}`; else the text."""
    if text.lower().lstrip("+-") in _NUMBERS:
        return float(text)
    value = literal(text)
    if value is text and text[:1] in ("{", "["):
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(text)
    return value
