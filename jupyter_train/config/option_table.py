"""The options of `%train` by name: lookup, typed values, and errors for unknown ones."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from jupyter_train.config.options import ArgumentUse, Option, python_name
from jupyter_train.config.synonyms import suggestion_for
from jupyter_train.config.train_options import own_options
from jupyter_train.config.trainer_arguments import trainer_arguments, trainer_options
from jupyter_train.exceptions import OptionError, did_you_mean


@functools.cache
def options_by_name() -> dict[str, Option]:
    """Every option of `%train`: its own, then `pl.Trainer`'s."""
    own = {option.name: option for option in own_options()}
    return own | {option.name: option for option in trainer_options() if option.name not in own}


def option_values(words: Sequence[str], known: Mapping[str, Option] | None = None) -> dict[str, Any]:
    """Values by option name, from words typed after a verb: `epochs=30`, `--epochs=30`, `from=best`.

    Args:
        words: As typed.
        known: The declared options; those of `%train` if None.

    Raises:
        OptionError: A word is no option, or its value does not fit.
    """
    values = {}
    there = known if known is not None else options_by_name()
    for word in words:
        name, equals, text = word.partition("=")
        option = there.get(python_name(name))
        if option is None:
            raise unknown_option(python_name(name), known, text if equals else None)
        if not equals and option.bare is None:
            raise OptionError(f"`{option.flag}` needs a value: `{option.flag.removeprefix('--')}=VALUE`")
        values[option.name] = option.parse(text) if equals else option.bare
    return values


def check_machine(known: Mapping[str, Option], values: Mapping[str, Any]) -> None:
    """Raises for values above what this machine has, unless `oversubscribe` is set.

    Args:
        known: The declared options.
        values: Checked values, by name.

    Raises:
        OptionError: A value is too large.
    """
    if not values.get("oversubscribe"):
        for name, value in values.items():
            known[name].check_machine(value)


def unknown_option(name: str, known: Mapping[str, Option] | None = None, value: object = None) -> OptionError:
    """The error for an undeclared option.

    Args:
        name: As given.
        known: The declared options; those of `%train` if None.
        value: Its value; None if it had none.
    """
    flag = "--" + name.replace("_", "-")
    there = known if known is not None else options_by_name()
    magic = "tune" if "trials" in there else "train"
    if suggestion := suggestion_for(name, value, there):
        return OptionError(f"unknown option `{flag}`: {suggestion}; `%{magic}?` lists them all")
    close = did_you_mean(flag, [option.flag for option in there.values()])
    space = f" What is searched is written `{name}=RANGE`." if magic == "tune" and not close else ""
    return OptionError(f"unknown option `{flag}`.{close}{space} `%{magic}?` lists them all")


def is_refused(option: Option, value: object) -> bool:
    """Whether it is a refused argument at its default, as a LightningCLI file may have it.

    Raises:
        OptionError: A refused argument has another value.
    """
    if option.use is not ArgumentUse.REFUSED:
        return False
    defaults = {argument.name: argument.default for argument in trainer_arguments()}
    if value in (False, None) or value == defaults.get(option.name):
        return True
    raise OptionError(f"`{option.flag}` is not taken: {option.help}")


@functools.cache
def signature_of_train() -> inspect.Signature:
    """The signature of `train()`: model, data, then every option by keyword."""
    either = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter("model", either), inspect.Parameter("data", either, default=None)]
    parameters += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option.default)
        for name, option in options_by_name().items()
    ]
    return inspect.Signature(parameters)
