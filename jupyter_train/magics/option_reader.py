"""Reads options as they were typed: by their type, as words, or as expressions of the notebook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jupyter_train.config import Option
from jupyter_train.config.options import literal, python_name
from jupyter_train.config.train import unknown_option
from jupyter_train.config.trainer_arguments import WORDS_OR_OBJECTS
from jupyter_train.exceptions import OptionError
from jupyter_train.magics.line import TypedOption, expression_in, unquoted
from jupyter_train.magics.namespace import Namespace


class OptionReader:
    """Gives options their values, and remembers what was typed for those that are expressions.

    Args:
        namespace: The notebook's variables.
        known: The options there are.
    """

    def __init__(self, namespace: Namespace, known: Mapping[str, Option]) -> None:
        self.typed: dict[str, str | list[str]] = {}
        self._namespace = namespace
        self._known = known

    def of_line(self, given_options: list[TypedOption]) -> dict[str, Any]:
        """The options of a line, by name.

        Raises:
            OptionError: One is given twice, or its value does not fit.
        """
        options: dict[str, Any] = {}
        for given in given_options:
            value = self._value(given)
            if given.option.repeats:
                options.setdefault(given.option.name, []).append(value)
            elif given.option.name in options:
                raise OptionError(f"`{given.option.flag}` was given twice")
            else:
                options[given.option.name] = value
        return options

    def of_body(self, content: dict[str, Any]) -> dict[str, Any]:
        """The options of a YAML body, by name.

        Raises:
            OptionError: One is unknown, or its value does not fit.
        """
        options = {}
        for name, value in content.items():
            option = self._known.get(python_name(name))
            if option is None:
                raise unknown_option(python_name(name), self._known, value)
            items = value if option.repeats and isinstance(value, list) else [value]
            values = [self._value(TypedOption(option, item)) if isinstance(item, str) else item for item in items]
            options[option.name] = values if option.repeats else values[0]
        return options

    def _value(self, given: TypedOption) -> Any:
        """The value of an option: evaluated when it is an expression, else read by the option's type."""
        option, text = given
        if text is None:
            return option.bare
        inside = expression_in(text)
        if inside is not None:
            self._remember(option, inside)
            return self._namespace.evaluate_option(option.flag, inside)
        if option.is_expression or option.name in WORDS_OR_OBJECTS:
            return self._object(option, text)
        return option.parse(unquoted(text) if str in option.takes else text)

    def _remember(self, option: Option, text: str) -> None:
        """Keeps what was typed; of an option that was given several times, all of it."""
        before = self.typed.get(option.name)
        if before is None or not option.repeats:
            self.typed[option.name] = text
        else:
            self.typed[option.name] = [*([before] if isinstance(before, str) else before), text]

    def _object(self, option: Option, text: str) -> Any:
        """An option that takes an object: a lone word nobody defined stays a word (`--loss cross_entropy`)."""
        is_word = text.replace("_", "").replace("-", "").replace(".", "").isalnum()
        if is_word and not isinstance(literal(text), str):
            return literal(text)  # `--logger false`
        if is_word and not self._namespace.has(text.split(".")[0]):
            return unquoted(text)
        if text[0] in "'\"":
            return unquoted(text)
        self._remember(option, text)
        return self._namespace.evaluate_option(option.flag, text)
