"""`Option`: the declaration of an option, and how its value is parsed and validated."""

from __future__ import annotations

import ast
import dataclasses
import enum
import keyword
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_train.config.bounds import MAX_REPEATS, Bound, check_integer, check_text, shown
from jupyter_train.config.lightning_packages import refuse_other_lightning
from jupyter_train.exceptions import OptionError


class ArgumentUse(enum.Enum):
    """How a Trainer argument is used."""

    PASSED = "passed on"
    REPLACED = "replaced"
    REFUSED = "refused"


class Scope(enum.Enum):
    """What the value of an option holds for."""

    RUN = "every attempt"
    ATTEMPT = "one attempt"
    START = "where one attempt starts"


class Completion(enum.Enum):
    """What the store completes a value with."""

    NOTHING = "nothing"
    METRICS = "names of metrics"
    RUNS = "refs of runs"


@dataclass(frozen=True)
class Option:
    """One option, as the magic, the YAML cell, Python, the form and the record know it.

    Attributes:
        name: Python name; `--early-stop` is `early_stop`.
        takes: Types a value may have, `object` for anything.
        help: One line.
        default: Value where the option is not given.
        takes_none: Whether None is a value, rather than "not given".
        bound: Its largest value, where it starts processes or uses files or memory.
        is_secret: Whether its value may be a secret, which no error message shows.
        is_literal: Whether typed text stays text, also where it reads as a number.
        is_expression: Whether its text is evaluated in the notebook (it takes an object).
        bare: Value where the option stands alone (None: it needs one); else its value is only read as `--name=VALUE`.
        choices: The allowed values; empty for no restriction.
        has_arguments: Whether a choice takes arguments, as in `asha:eta=4`.
        repeats: Whether it may be given several times; its value is a list.
        metavar: Placeholder of the value in help.
        check: Converts a value, or raises `ValueError` with what was expected.
        group: `run` for an option of this package, `trainer` for an argument of `pl.Trainer`.
        affects_weights: Whether another value gives other weights (of a search: other trials); a resume must keep it.
        scope: What a value holds for: the run and each of its attempts, or one attempt.
        use: How `pl.Trainer` gets an argument of its own.
        is_word_or_expression: Whether it takes a word or an object: a defined name is evaluated.
        ends_training: Whether it ends training; one such option must be given.
        sets_length: Whether another value can make a finished run longer.
        is_restorable: Whether its recorded value can be given again; False for objects.
        in_fits: Whether each fit of a cross-validation keeps it.
        in_cli_file: Whether its value in a LightningCLI file is used.
        trial_refusal: Why a search does not take it, and what to do instead; empty where every trial does.
        for_tables: Whether it is for arrays and frames only.
        makes_batches: Whether it has no effect where the model brings its own loaders.
        checked_before_search: Whether searched values are checked against model and data first.
        in_form: Whether a form has a field for it.
        form_order: Position among the common fields of the form of `%train`; None under "more".
        search_form_order: The same in the form of `%tune`.
        splits_in_form: Whether its form field holds several values, separated by spaces.
        completes: What the store completes its value with.
        suggestions: Common values, for completion.
        short: A flag of one letter: `-o`.
        typed: Its name in a line, where that is not `name`.
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
    takes_none: bool = False
    bound: Bound | None = None
    is_secret: bool = False
    is_literal: bool = False
    affects_weights: bool = True
    scope: Scope = Scope.RUN
    use: ArgumentUse = ArgumentUse.PASSED
    is_word_or_expression: bool = False
    ends_training: bool = False
    sets_length: bool = False
    is_restorable: bool = True
    in_fits: bool = True
    in_cli_file: bool = True
    trial_refusal: str = ""
    for_tables: bool = False
    makes_batches: bool = False
    checked_before_search: bool = False
    in_form: bool = True
    form_order: int | None = None
    search_form_order: int | None = None
    splits_in_form: bool = False
    completes: Completion = Completion.NOTHING
    suggestions: tuple[str, ...] = ()
    short: str = ""
    typed: str = ""

    def is_set(self, value: object) -> bool:
        """Whether `value` sets the option: None does where it is not the default."""
        return value is not None or self.default is not None

    @property
    def flag(self) -> str:
        """How it is typed: `--early-stop`; `--from` for `from_`, which Python could not take without the line."""
        return "--" + (self.typed or self.name.rstrip("_").replace("_", "-"))

    @property
    def is_flag(self) -> bool:
        """Whether it may stand alone."""
        return self.bare is not None

    def parse(self, text: str) -> Any:
        """The checked value of `text`; one item of the list for an option that repeats.

        Raises:
            OptionError: The text is no value of this option.
        """
        return self._validate_one(text if self.takes == (str,) or self.is_literal else literal(text))

    def validate(self, value: object) -> Any:
        """`value`, checked and converted.

        Raises:
            OptionError: It is no value of this option.
        """
        if self.repeats:
            values = value if isinstance(value, list | tuple) else [value]
            if len(values) > MAX_REPEATS:
                raise OptionError(f"`{self.flag}` {len(values):,} times: expected at most {MAX_REPEATS:,}")
            return [self._validate_one(item) for item in values]
        return self._validate_one(value)

    def _validate_one(self, value: Any) -> Any:
        if value is None and (self.takes_none or self.default is None):
            return None
        if self.is_expression or object in self.takes:
            refuse_other_lightning(value, f"`{self.flag}`")
        if self.is_expression:
            return value
        self._expect(check_integer, value)
        self._expect(check_text, value)
        value = self._as_declared(value)
        chosen = value.partition(":")[0] if self.has_arguments else value
        if self.choices and chosen not in self.choices:
            raise OptionError(f"`{self.flag} {shown(value)}`: expected one of {', '.join(self.choices)}")
        if self.bound is not None:
            self._expect(self.bound.check_hard_limit, value)
        return value if self.check is None else self._expect(self.check, value)

    def check_machine(self, value: object) -> None:
        """Raises for a value above what this machine has, which only `--oversubscribe` allows.

        Raises:
            OptionError: The value is too large.
        """
        if self.bound is not None:
            self._expect(self.bound.check, value)

    def _expect(self, check: Callable[[Any], Any], value: object) -> Any:
        try:
            return check(value)
        except ValueError as err:
            raise OptionError(f"`{self.flag} {'…' if self.is_secret else shown(value)}`: expected {err}") from None

    def _as_declared(self, value: object) -> Any:
        """`value` if it has a declared type; numpy scalars and whole floats are converted."""
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

    def _type_error(self, value: object) -> OptionError:
        expected_types = [_TYPE_WORDS.get(kind, kind.__name__) for kind in self.takes]
        if self.takes_none and self.default is not None:
            expected_types.append("`none`")
        expected = " or ".join(expected_types) + (f" ({self.metavar})" if self.takes == (str,) and self.metavar else "")
        if self.is_secret:
            return OptionError(f"`{self.flag} …`: expected {expected}")
        return OptionError(f"`{self.flag} {shown(value)}`: expected {expected}, not {shown(repr(value))}")


def option_field(takes: type | tuple[type, ...], help_text: str, default: object = None, **more: object) -> Any:
    """A dataclass field that carries its `Option`."""
    kinds = takes if isinstance(takes, tuple) else (takes,)
    metadata = {"option": {"takes": kinds, "help": help_text, **more}}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def declared_options(config: type) -> tuple[Option, ...]:
    """The options that the fields of a configuration declare, in order.

    Args:
        config: A dataclass with fields made by `option_field`.
    """
    options = []
    for declared_field in dataclasses.fields(config):
        declared = declared_field.metadata.get("option")
        if declared is not None:
            default = None if declared_field.default is dataclasses.MISSING else declared_field.default
            options.append(Option(name=declared_field.name, default=default, **declared))
    return tuple(options)


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
    """The Python value of a text: `3e-4` a float, `[0, 1]` a list, else the text itself."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return value if isinstance(value, int | float | str | list | tuple | dict) else text
