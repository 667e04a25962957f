"""The fields of a form: options, and what a model is made with; each with its hint and its check."""

from __future__ import annotations

import ast
import inspect
import re
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jupyter_train.config import Option
from jupyter_train.config.options import ArgumentUse, literal, python_name


@dataclass(frozen=True)
class Field:
    """One thing that can be filled in.

    Attributes:
        name: What it is called beside the field.
        value: Text it starts with.
        hint: Shown while it is empty.
        help: One line.
        choices: The only values there are, the empty one for the default among them.
        is_switch: True for something that is on or off.
        check: Raises `JupyterTrainError` or `ValueError` for a text that is no value.
    """

    name: str
    value: str = ""
    hint: str = ""
    help: str = ""
    choices: tuple[str, ...] = ()
    is_switch: bool = False
    check: Callable[[str], Any] = str


def fields_of_options(
    options: Iterable[Option], order: Callable[[Option], int | None], texts: Mapping[str, str]
) -> tuple[list[Field], list[Field]]:
    """Fields of the common options, and of all others, filled with the typed texts.

    Args:
        options: Options of the form.
        order: Position of a common option; None for any other.
        texts: Texts by name.
    """
    shown = [option for option in options if option.in_form and option.use is not ArgumentUse.REFUSED]
    common = sorted((option for option in shown if order(option) is not None), key=lambda option: order(option) or 0)
    less_common = [option for option in shown if order(option) is None]
    fields = [[_field_of(option, texts.get(option.name, "")) for option in part] for part in (common, less_common)]
    return fields[0], fields[1]


def _field_of(option: Option, value: str) -> Field:
    is_switch = option.bare is True and option.takes == (bool,)
    default = "" if option.default in (None, [], False) else str(option.default)
    hint = option.metavar or default or re.split(r"[:(]", option.help)[0].strip()

    def check(text: str) -> None:
        for one in texts_in(option, text):
            if not option.is_expression and not (one.startswith("{") and one.endswith("}")):
                option.parse(one)

    choices = ("", *option.choices) if option.choices else ()
    return Field(option.flag, value, hint, option.help, choices, is_switch, check)


@dataclass(frozen=True)
class ModelArgument:
    """What a model's class is made with.

    Attributes:
        name: Its name.
        kind: Its annotation; None where there is none.
        default: As Python would write it; empty where there is none.
    """

    name: str
    kind: Any
    default: str


def arguments_of(model: object) -> list[ModelArgument]:
    """The named arguments of a model class; none for anything else."""
    if not inspect.isclass(model):
        return []
    try:
        hints = typing.get_type_hints(model.__init__)
    except Exception:  # noqa: BLE001  annotations of the user's that cannot be evaluated are no reason to refuse
        hints = {}
    return [
        ModelArgument(name, hints.get(name), "" if parameter.default is parameter.empty else repr(parameter.default))
        for name, parameter in inspect.signature(model).parameters.items()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]


def fields_of_model(model: object, texts: Mapping[str, str]) -> list[Field]:
    """A field for each argument of a model class, which takes a value."""
    return [
        _field_of_argument(argument.name, argument.kind, argument.default, texts.get(argument.name, ""))
        for argument in arguments_of(model)
    ]


def expression(text: str) -> None:
    """Raises unless the text is an expression."""
    if not text:
        raise ValueError("name the model")
    ast.parse(text, mode="eval")


def quoted(text: str) -> str:
    """A text as one word of a line."""
    is_safe = not re.search(r"\s", text) or text[0] in "{([\"'"
    return text if is_safe else '"' + text.replace('"', "'") + '"'


def in_one_field(option: Option, texts: Iterable[str]) -> str:
    """Several values of an option as the text of its field: `a --tag b`, as typed after the first flag."""
    return (" " if option.splits_in_form else f" {option.flag} ").join(texts)


def texts_in(option: Option, text: str) -> list[str]:
    """The values in the text of an option's field: see `in_one_field`."""
    if option.splits_in_form:
        return text.split() or [""]
    return re.split(rf"\s+{re.escape(option.flag)}\s+", text) if option.repeats else [text]


def option_words(known: Mapping[str, Option], filled: Mapping[str, str]) -> list[str]:
    """Options as they are typed.

    Args:
        known: The declared options.
        filled: Texts of fields by flag; empty for a flag that stands alone.
    """
    found = [(known[python_name(flag)], text) for flag, text in filled.items()]
    return [_typed(option, one) for option, text in found for one in texts_in(option, text)]


def _typed(option: Option, text: str) -> str:
    if not text:
        return option.flag
    return f"{option.flag}={quoted(text)}" if option.is_flag else f"{option.flag} {quoted(text)}"


def _field_of_argument(name: str, kind: object, default: str, value: str) -> Field:
    choices: tuple[str, ...] = ()
    if typing.get_origin(kind) is typing.Literal:
        choices = ("", *map(repr, typing.get_args(kind)))
    elif kind is bool:
        choices = ("", "True", "False")

    def check(text: str) -> None:
        typed = literal(text)
        if kind in (int, float) and isinstance(typed, int | float | str) and not _fits(typed, kind):
            raise ValueError(f"expected {'a whole number' if kind is int else 'a number'}")
        ast.parse(text, mode="eval")

    return Field(name, value, default or "needed", getattr(kind, "__name__", ""), choices, check=check)


def _fits(typed: object, kind: type) -> bool:
    if isinstance(typed, str):  # a name or an expression: known only once it is evaluated
        return not re.fullmatch(r"['\"].*['\"]", typed)
    return isinstance(typed, int if kind is int else int | float) and not isinstance(typed, bool)
