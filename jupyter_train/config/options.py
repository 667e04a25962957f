"""An option: its name, how its text is read, and what its value may be."""

from __future__ import annotations

import ast
import dataclasses
import keyword
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_train.config.bounds import MAX_TIMES, Bound, check_text, check_whole, shown
from jupyter_train.config.lightning_packages import refuse_other_lightning
from jupyter_train.exceptions import OptionError


@dataclass(frozen=True)
class Option:
    """One option, as the magic, the YAML cell, Python, the form and the record know it.

    Attributes:
        name: Python name; `--early-stop` is `early_stop`.
        takes: Types a value may have, `object` for anything.
        help: One line.
        default: What holds when nothing is said.
        takes_none: Whether None is a value of its own, and not the same as saying nothing.
        bound: The most that it may ask for, where it makes processes, files or memory.
        is_secret: Whether a value may hold one, so that no error shows it.
        is_literal: Whether what is typed is text, whatever it looks like; in Python it may be something else.
        is_expression: The text is an expression evaluated in the notebook (takes an object).
        bare: Value when the option stands alone (None: it needs one); then a value is only taken as `--name=VALUE`.
        choices: The only values allowed, when there are such.
        has_arguments: Whether a choice may take arguments, as in `asha:eta=4`.
        repeats: May be given several times; the value is a list.
        metavar: What help shows for the value.
        check: Turns a value into its final form or raises `ValueError` with the expectation.
        group: `run` for ours, `trainer` for an argument of `pl.Trainer`.
        shapes_result: Whether another value gives other weights: a resumed run must have the same.
    """

    name: str
    takes: tuple[type, ...]
    help: str
    default: Any = None
    is_expression: bool = False
    bare: Any = None
    choices: tuple[str, ...] = ()
    has_arguments: bool = False
    repeats: bool = False
    metavar: str = ""
    check: Callable[[Any], Any] | None = None
    group: str = "run"
    shapes_result: bool = True
    takes_none: bool = False
    bound: Bound | None = None
    is_secret: bool = False
    is_literal: bool = False

    def is_said(self, value: Any) -> bool:
        """Whether a value says anything: None does where it is not the default."""
        return value is not None or self.default is not None

    @property
    def flag(self) -> str:
        """How it is typed: `--early-stop`; `--from` for `from_`, which Python could not take without the line."""
        return "--" + self.name.rstrip("_").replace("_", "-")

    @property
    def is_flag(self) -> bool:
        """True when it may stand alone."""
        return self.bare is not None

    def parse(self, text: str) -> Any:
        """The value meant by `text`, checked; one item of the list for an option that repeats.

        Raises:
            OptionError: The text is not a value this option takes.
        """
        return self._validate_one(text if self.takes == (str,) or self.is_literal else literal(text))

    def validate(self, value: Any) -> Any:
        """`value` in its final form.

        Raises:
            OptionError: The value is not one this option takes.
        """
        if self.repeats:
            values = value if isinstance(value, list | tuple) else [value]
            if len(values) > MAX_TIMES:
                raise OptionError(f"`{self.flag}` {len(values):,} times: expected at most {MAX_TIMES:,}")
            return [self._validate_one(item) for item in values]
        return self._validate_one(value)

    def _validate_one(self, value: Any) -> Any:
        if value is None and (self.takes_none or self.default is None):
            return None
        if self.is_expression or object in self.takes:
            refuse_other_lightning(value, f"`{self.flag}`")
        if self.is_expression:
            return value
        self._expect(check_whole, value)
        self._expect(check_text, value)
        value = self._as_declared(value)
        chosen = value.partition(":")[0] if self.has_arguments else value
        if self.choices and chosen not in self.choices:
            raise OptionError(f"`{self.flag} {shown(value)}`: expected one of {', '.join(self.choices)}")
        if self.bound is not None:
            self._expect(self.bound.check_at_all, value)
        return value if self.check is None else self._expect(self.check, value)

    def check_machine(self, value: Any) -> None:
        """Raises for a value that asks for more than this machine has, where nobody said that it is meant.

        Raises:
            OptionError: It does.
        """
        if self.bound is not None:
            self._expect(self.bound.check, value)

    def _expect(self, check: Callable[[Any], Any], value: Any) -> Any:
        try:
            return check(value)
        except ValueError as err:
            raise OptionError(f"`{self.flag} {'…' if self.is_secret else shown(value)}`: expected {err}") from None

    def _as_declared(self, value: Any) -> Any:
        """`value` if it has a declared type; numpy scalars and whole floats are let through."""
        if object in self.takes:
            return value
        item = getattr(value, "item", None)
        if item is not None and getattr(value, "ndim", None) == 0:
            value = item()
        if isinstance(value, bool) and bool not in self.takes:
            raise self._type_error(value)
        if isinstance(value, self.takes):
            return value
        if isinstance(value, int) and float in self.takes:
            return float(value)
        if isinstance(value, float) and int in self.takes and value.is_integer():
            return int(value)
        if isinstance(value, Path) and str in self.takes:
            return str(value)
        raise self._type_error(value)

    def _type_error(self, value: Any) -> OptionError:
        words = [_TYPE_WORDS.get(kind, kind.__name__) for kind in self.takes]
        if self.takes_none and self.default is not None:
            words.append("`none`")
        wanted = " or ".join(words) + (f" ({self.metavar})" if self.takes == (str,) and self.metavar else "")
        if self.is_secret:
            return OptionError(f"`{self.flag} …`: expected {wanted}")
        return OptionError(f"`{self.flag} {shown(value)}`: expected {wanted}, not {shown(repr(value))}")


def option_field(takes: type | tuple[type, ...], words: str, default: Any = None, **more: Any) -> Any:
    """A dataclass field that carries its `Option`."""
    kinds = takes if isinstance(takes, tuple) else (takes,)
    metadata = {"option": {"takes": kinds, "help": words, **more}}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def declared_options(config: type, shape_nothing: frozenset[str] = frozenset()) -> tuple[Option, ...]:
    """The options that the fields of a configuration declare, in order.

    Args:
        config: A dataclass with fields made by `option_field`.
        shape_nothing: Names of those that leave the weights of a step what they are.
    """
    found = []
    for item in dataclasses.fields(config):
        declared = item.metadata.get("option")
        if declared is not None:
            default = None if item.default is dataclasses.MISSING else item.default
            found.append(
                Option(name=item.name, default=default, shapes_result=item.name not in shape_nothing, **declared)
            )
    return tuple(found)


def python_name(word: str) -> str:
    """The name of an option as typed: `early_stop` for `--early-stop`, `from_` for `from`."""
    name = word.removeprefix("--").replace("-", "_")
    return name + "_" if keyword.iskeyword(name) else name


_TYPE_WORDS: dict[type, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    list: "a list",
    dict: "a mapping",
}

_WORDS: dict[str, Any] = {"true": True, "false": False, "none": None, "null": None}


def literal(text: str) -> Any:
    """The Python value a piece of text stands for: `3e-4` a float, `[0, 1]` a list, else the text itself."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return value if isinstance(value, int | float | str | list | tuple | dict) else text


def positive(value: float) -> float:
    """`value`, when above zero."""
    if not (value > 0 and math.isfinite(value)):
        raise ValueError("a number above zero")
    return value


def number_or_auto(check: Callable[[Any], Any], words: str) -> Callable[[Any], Any]:
    """A check that also takes the word `auto`; `words` say what else it takes."""

    def checked(value: Any) -> Any:
        if isinstance(value, str):
            if value != "auto":
                raise ValueError(f"{words}, or auto")
            return value
        return check(value)

    return checked


def at_least_one(value: int) -> int:
    """`value`, when 1 or more."""
    if value < 1:
        raise ValueError("a whole number of 1 or more")
    return value


def seed(value: int) -> int:
    """`value`, when numpy and torch accept it as a seed."""
    if not 0 <= value < 2**32:
        raise ValueError("a whole number from 0 to 4294967295")
    return value


def fractions(value: Any) -> tuple[float, float, float]:
    """Train, validation and test shares: `0.8/0.2`, `0.7/0.15/0.15` or `0.2` (the validation share, up to a half)."""
    parts = value if isinstance(value, list | tuple) else str(value).split("/")
    try:
        shares = [float(part) for part in parts]
    except (TypeError, ValueError, OverflowError):
        raise ValueError("shares such as `0.8/0.2` or `0.7/0.15/0.15`") from None
    if len(shares) == 1 and 0.5 < shares[0] < 1:  # meant for training, more often than not
        rest = round(1 - shares[0], 6)
        raise ValueError(f"both shares, `{shares[0]:g}/{rest:g}` or `{rest:g}/{shares[0]:g}`")
    if len(shares) == 1:
        shares = [1 - shares[0], shares[0]]
    is_whole = abs(sum(shares) - 1) <= 1e-6  # NaN is not
    if not 2 <= len(shares) <= 3 or shares[0] <= 0 or min(shares) < 0 or not is_whole:
        raise ValueError("shares that add up to 1, such as `0.8/0.2` or `0.7/0.15/0.15`")
    return shares[0], shares[1], shares[2] if len(shares) == 3 else 0.0


def early_stop(value: str) -> str:
    """`METRIC` or `METRIC:PATIENCE`, checked."""
    metric, colon, patience = value.partition(":")
    if not colon and re.fullmatch(r"[1-9]\d{0,8}", metric):
        raise ValueError(f"a metric and its patience: `val_loss:{metric}`")
    if not _is_metric(metric) or (patience and not re.fullmatch(r"[1-9]\d{0,8}", patience)):
        raise ValueError("`METRIC:PATIENCE` such as `val_loss:3`")
    return value


def metric(value: str) -> str:
    """The name of a metric."""
    if not _is_metric(value):
        raise ValueError("the name of a metric such as `val_loss`")
    return value


def _is_metric(name: str) -> bool:
    """Whether it can be a metric's name: what reads as a number or a truth value is a slip."""
    return bool(name.strip()) and isinstance(literal(name), str)


def run_name(value: str) -> str:
    """A name of at most 80 printable letters."""
    if not value.strip() or len(value) > 80 or not value.isprintable():
        raise ValueError("1 to 80 printable characters")
    return value


def place(value: str) -> str:
    """`best`, `last` or a step."""
    if value not in ("best", "last") and not re.fullmatch(r"\d{1,15}", value):
        raise ValueError("`best`, `last` or a step such as `1200`")
    return value
