"""The form of `%tune`: every argument of the model takes a value, a range or choices."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from jupyter_train.config import options_by_name, tune_options_by_name
from jupyter_train.config.search_space import parse
from jupyter_train.exceptions import did_you_mean
from jupyter_train.panel.forms.fields import (
    Field,
    ModelArgument,
    arguments_of,
    expression,
    fields_of_options,
    option_words,
    quoted,
)
from jupyter_train.panel.forms.form import Form, Sections

ALSO = "also search"
_SPACE = re.compile(r"(?P<name>[A-Za-z_][\w.]*)=(?P<text>.+)", re.DOTALL)
_TRAINER = "trainer."


class TuneForm(Form):
    """Fields of a search.

    Args:
        model: The model's class or expression.
        model_class: The class that is named, whose arguments become fields; anything else has none.
        data: The data's expression.
        space: What is searched, by name, typed already.
        given: Option texts by name, typed already.
        start: Starts the search of a line, detached.
    """

    magic = "study = %tune"
    button = ("Search", "search, detached")

    def __init__(
        self,
        model: str,
        model_class: object,
        data: str,
        space: Mapping[str, str],
        texts: dict[str, str],
        start: Callable[[str], Any],
    ) -> None:
        arguments = arguments_of(model_class)
        names = {argument.name for argument in arguments}
        rest = " ".join(f"{name}={quoted(text)}" for name, text in space.items() if name not in names)
        parts = [Field("model", model, "LitDigits", check=expression), Field("data", data)]
        fields = [_field_of_space(argument, space.get(argument.name, "")) for argument in arguments]
        fields.append(Field(ALSO, rest, *_also(bool(arguments))))
        options = [option for option in tune_options_by_name().values() if not option.trial_refusal]
        usual, less_common = fields_of_options(options, lambda option: option.search_form_order, texts)
        super().__init__(Sections(parts, fields, usual, less_common), start)

    def _words(self) -> list[str]:
        space = [
            f"{row.field.name}={quoted(row.text)}" for row in self._arguments if row.field.name != ALSO and row.text
        ]
        also = [row.text for row in self._arguments if row.field.name == ALSO]
        options = option_words(tune_options_by_name(), self._filled_options())
        return [*(row.text for row in self._parts), *space, *also, *options]


def _field_of_space(argument: ModelArgument, value: str) -> Field:
    examples = {float: "1e-4..1e-1:log", int: "16|32|64", bool: "true|false", str: "a|b"}
    if argument.kind not in examples:
        example = "a value, a range or choices"
    else:
        example = f"{argument.default or 'needed'}, or {examples[argument.kind]}"

    def check(text: str) -> None:
        parse(argument.name, text)

    return Field(
        argument.name, value, example, "a value, a range such as 1e-4..1e-1:log, or choices such as a|b", check=check
    )


def _also(has_arguments: bool) -> tuple[Any, ...]:
    """Hint, help, choices, kind and check of the field for names that are no argument of the class."""

    def check(text: str) -> None:
        for word in text.split():
            match = _SPACE.fullmatch(word)
            if match is None:
                raise ValueError(f"expected `name=RANGE`, separated by spaces, not `{word}`")
            parse(match["name"], match["text"])
            known = options_by_name()
            if has_arguments and match["name"].removeprefix(_TRAINER) not in known:
                raise ValueError(
                    f"no option of %train is called `{match['name']}`." + did_you_mean(match["name"], known)
                )

    hint = "batch_size=32|64" if has_arguments else "lr=1e-4..1e-1:log"
    return hint, "options of %train, or names of the expression, as name=RANGE", (), False, check
