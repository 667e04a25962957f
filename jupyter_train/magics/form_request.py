"""`%train --form MODEL DATA [options]` and `%tune --form ...`: the same line as a form."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from jupyter_train.config.options import literal
from jupyter_train.exceptions import UsageError
from jupyter_train.magics.line import ParsedLine
from jupyter_train.magics.namespace import Namespace


def is_form(parsed: ParsedLine) -> bool:
    """Whether a line asks for a form."""
    return any(given.option.name == "form" for given in parsed.options)


def show_train_form(parsed: ParsedLine, namespace: Namespace, start: Callable[[str], Any]) -> None:
    """Shows a form filled with what was typed.

    Args:
        parsed: The line.
        namespace: The notebook's variables.
        start: Trains what a line says.

    Raises:
        UsageError: More than a model and its data are named.
    """
    from jupyter_train.panel.forms.train import TrainForm

    model, data = _two(parsed.expressions)
    name, arguments = _call(model)
    found = _value(name, namespace)
    if not isinstance(found, type):
        name, arguments = model, {}
    TrainForm(name, found, data, _given(parsed), arguments, start).show()


def show_tune_form(
    parsed: ParsedLine, expressions: list[str], space: dict[str, str], namespace: Namespace, start: Callable[[str], Any]
) -> None:
    """Shows a form for a search, filled with what was typed.

    Args:
        parsed: The line.
        expressions: The model and its data, as far as they are named.
        space: What is searched, by name, as it was typed.
        namespace: The notebook's variables.
        start: Searches what a line says.

    Raises:
        UsageError: More than a model and its data are named.
    """
    from jupyter_train.panel.forms.tune import TuneForm

    model, data = _two(expressions)
    name, arguments = _call(model)
    found = _value(name, namespace)
    turned = _as_space(arguments, space)
    if isinstance(found, type) and turned is not None:
        model, space = name, turned
    TuneForm(model, found, data, space, _given(parsed), start).show()


def _two(expressions: list[str]) -> tuple[str, str]:
    """The model and its data, empty where they are not named."""
    if len(expressions) > 2:
        raise UsageError(
            f"expected a model and its data, not {len(expressions)} expressions; put brackets around what belongs "
            "together, as in `(X, y)`"
        )
    model, data = (*expressions, "", "")[:2]
    return model, data


def _as_space(arguments: dict[str, str], space: dict[str, str]) -> dict[str, str] | None:
    """The space by the names of the class's arguments: of `Net(lr=a,hidden=32)` and `a=1..2` it is `lr=1..2 hidden=32`.

    None where an argument is more than a searched name or a plain value: then the expression stays as it is.
    """
    rest, found = dict(space), {}
    for name, text in arguments.items():
        if text in space:
            found[name] = rest.pop(text, space[text])
        elif isinstance(literal(text), bool | int | float):
            found[name] = text
        else:
            return None
    return {**rest, **found}


def _given(parsed: ParsedLine) -> dict[str, str]:
    """Texts of options by name; those of an option that may be repeated follow each other."""
    given: dict[str, str] = {}
    for item in parsed.options:
        if item.option.name != "form":
            before = f"{given[item.option.name]} " if item.option.repeats and item.option.name in given else ""
            given[item.option.name] = before + (item.text or "yes")
    return given


def _call(text: str) -> tuple[str, dict[str, str]]:
    """The callee and the named arguments of `Net(lr=1e-3)`; the text itself when it is anything else."""
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError:
        return text, {}
    if not isinstance(tree, ast.Call) or tree.args or any(word.arg is None for word in tree.keywords):
        return text, {}
    return ast.unparse(tree.func), {str(word.arg): ast.unparse(word.value) for word in tree.keywords}


def _value(text: str, namespace: Namespace) -> Any:
    """What a dotted name stands for; None when it is none, or nothing yet."""
    if not text or not all(part.isidentifier() for part in text.split(".")):
        return None
    try:
        return namespace.evaluate(text)
    except Exception:  # noqa: BLE001  said when the run is started
        return None
