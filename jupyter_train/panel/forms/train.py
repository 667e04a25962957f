"""The form of `%train`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from jupyter_train.config import options_by_name
from jupyter_train.panel.forms.fields import Field, expression, fields_of_model, fields_of_options, option_words
from jupyter_train.panel.forms.form import Form, Sections


class TrainForm(Form):
    """Fields of a run.

    Args:
        model: The model's expression.
        model_class: The class it names, whose arguments become fields; anything else has none.
        data: The data's expression.
        given: Option texts by name, typed already.
        arguments: Argument texts by name, typed already.
        start: Starts the run of a line, detached.
    """

    magic = "run = %train"
    button = ("Start", "train, detached")

    def __init__(
        self,
        model: str,
        model_class: object,
        data: str,
        options: dict[str, str],
        arguments: dict[str, str],
        start: Callable[[str], Any],
    ) -> None:
        self._is_class = inspect.isclass(model_class)
        usual, less_common = fields_of_options(options_by_name().values(), lambda option: option.form_order, options)
        parts = [Field("model", model, "LitDigits()", check=expression), Field("data", data)]
        super().__init__(Sections(parts, fields_of_model(model_class, arguments), usual, less_common), start)

    def _words(self) -> list[str]:
        model, data = (row.text for row in self._parts)
        named = ",".join(f"{row.field.name}={row.text}" for row in self._arguments if row.text)
        if self._is_class:
            model += f"({named})"
        return [model, data, *option_words(options_by_name(), self._filled_options())]
