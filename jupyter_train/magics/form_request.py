"""`%train --form MODEL DATA [options]` and `%tune --form ...`: the same line as a form."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from jupyter_train.config.options import literal
from jupyter_train.exceptions import UsageError
from jupyter_train.magics.line import ParsedLine
from jupyter_train.magics.namespace import Namespace
from jupyter_train.panel.forms.fields import in_one_field


def is_form(parsed: ParsedLine) -> bool:
    """Whether a line has `--form`."""
    return any(typed.option.name == "form" for typed in parsed.options)


def show_train_form(parsed: ParsedLine, namespace: Namespace, start: Callable[[str], Any]) -> None:
    """Shows a form filled with what was typed.

    Args:
        parsed: The line.
        namespace: The notebook's variables.
        start: Runs a line.

    Raises:
        UsageError: More than a model and its data are named.
    """
    from jupyter_train.panel.forms.train import TrainForm

    model, data = _model_and_data(parsed.expressions)
    name, arguments = _callee_and_arguments(model)
    callee = _named_value(name, namespace)
    if not isinstance(callee, type):
        name, arguments = model, {}
    TrainForm(name, callee, data, _option_texts(parsed), arguments, start).show()


def show_tune_form(
    parsed: ParsedLine, expressions: list[str], space: dict[str, str], namespace: Namespace, start: Callable[[str], Any]
) -> None:
    """Shows a form for a search, filled with what was typed.

    Args:
        parsed: The line.
        expressions: The model and its data, where given.
        space: The typed search space, by name.
        namespace: The notebook's variables.
        start: Runs a line.

    Raises:
        UsageError: More than a model and its data are named.
    """
    from jupyter_train.panel.forms.tune import TuneForm

    model, data = _model_and_data(expressions)
    name, arguments = _callee_and_arguments(model)
    callee = _named_value(name, namespace)
    class_space = _space_by_argument(arguments, space)
    if isinstance(callee, type) and class_space is not None:
        model, space = name, class_space
    TuneForm(model, callee, data, space, _option_texts(parsed), start).show()


def _model_and_data(expressions: list[str]) -> tuple[str, str]:
    """The model and its data; empty text where not given."""
    if len(expressions) > 2:
        raise UsageError(
            f"expected a model and its data, not {len(expressions)} expressions; put brackets around what belongs "
            "together, as in `(X, y)`"
        )
    model, data = (*expressions, "", "")[:2]
    return model, data


def _space_by_argument(arguments: dict[str, str], space: dict[str, str]) -> dict[str, str] | None:
    """The space by the class's argument names: for `Net(lr=a,hidden=32)` and `a=1..2` it is `lr=1..2 hidden=32`.

    None where an argument is neither a searched name nor a plain value; the expression then stays as typed.
    """
    remaining, class_space = dict(space), {}
    for name, text in arguments.items():
        if text in space:
            class_space[name] = remaining.pop(text, space[text])
        elif isinstance(literal(text), bool | int | float):
            class_space[name] = text
        else:
            return None
    return {**remaining, **class_space}


def _option_texts(parsed: ParsedLine) -> dict[str, str]:
    """Option texts by name; those of a repeated option as the text of one field."""
    texts: dict[str, str] = {}
    for option, text in parsed.options:
        if option.name != "form":
            earlier = [texts[option.name]] if option.repeats and option.name in texts else []
            texts[option.name] = in_one_field(option, [*earlier, text or "yes"])
    return texts


def _callee_and_arguments(text: str) -> tuple[str, dict[str, str]]:
    """Callee and keyword arguments of `Net(lr=1e-3)`; the text itself for any other expression."""
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError:
        return text, {}
    if not isinstance(tree, ast.Call) or tree.args or any(word.arg is None for word in tree.keywords):
        return text, {}
    return ast.unparse(tree.func), {str(word.arg): ast.unparse(word.value) for word in tree.keywords}


def _named_value(text: str, namespace: Namespace) -> object:
    """The value of a dotted name; None for another expression or an undefined name."""
    if not text or not all(part.isidentifier() for part in text.split(".")):
        return None
    try:
        return namespace.evaluate(text)
    except Exception:  # noqa: BLE001  reported when the run is started
        return None
