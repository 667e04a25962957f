"""Values of typed options: parsed by type, kept as words, or evaluated in the notebook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jupyter_train.config import Option
from jupyter_train.config.option_table import unknown_option
from jupyter_train.config.options import literal, python_name
from jupyter_train.exceptions import OptionError
from jupyter_train.magics.line import TypedOption, expression_in, unquoted
from jupyter_train.magics.namespace import Namespace


class OptionReader:
    """Parses options, and keeps the typed text of those that are expressions.

    Args:
        namespace: The notebook's variables.
        known: The declared options.
    """

    def __init__(self, namespace: Namespace, known: Mapping[str, Option]) -> None:
        self.typed: dict[str, str | list[str]] = {}
        self._namespace = namespace
        self._known = known

    def of_line(self, typed_options: list[TypedOption]) -> dict[str, Any]:
        """The options of a line, by name.

        Raises:
            OptionError: An option is given twice, or its value does not fit.
        """
        options: dict[str, Any] = {}
        for typed in typed_options:
            value = self._value(typed)
            if typed.option.repeats:
                options.setdefault(typed.option.name, []).append(value)
            elif typed.option.name in options:
                raise OptionError(f"`{typed.option.flag}` was given twice")
            else:
                options[typed.option.name] = value
        return options

    def of_body(self, content: dict[str, Any]) -> dict[str, Any]:
        """The options of a YAML body, by name.

        Raises:
            OptionError: An option is unknown, or its value does not fit.
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

    def _value(self, typed: TypedOption) -> object:
        """An option's value: evaluated where it is an expression, else parsed by type."""
        option, text = typed
        if text is None:
            return option.bare
        expression = expression_in(text)
        if expression is not None:
            self._remember(option, expression)
            return self._namespace.evaluate_option(option.flag, expression)
        if option.is_expression or option.is_word_or_expression:
            return self._object(option, text)
        return option.parse(unquoted(text) if str in option.takes else text)

    def _remember(self, option: Option, text: str) -> None:
        """Keeps the typed text; a list for a repeated option."""
        earlier = self.typed.get(option.name)
        if earlier is None or not option.repeats:
            self.typed[option.name] = text
        else:
            self.typed[option.name] = [*([earlier] if isinstance(earlier, str) else earlier), text]

    def _object(self, option: Option, text: str) -> object:
        """Value of an option that takes an object: a lone undefined name stays a word (`--loss cross_entropy`)."""
        is_word = text.replace("_", "").replace("-", "").replace(".", "").isalnum()
        if is_word and not isinstance(literal(text), str):
            return literal(text)  # `--logger false`
        if is_word and not self._namespace.has(text.split(".")[0]):
            return unquoted(text)
        if text[0] in "'\"":
            return unquoted(text)
        self._remember(option, text)
        return self._namespace.evaluate_option(option.flag, text)
