"""`%train --form MODEL DATA [options]`: the same line as a form."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from jupyter_train.exceptions import UsageError
from jupyter_train.magics.line import Line
from jupyter_train.magics.namespace import Namespace


def show_form(parsed: Line, namespace: Namespace, start: Callable[[str], Any]) -> None:
    """Shows a form filled with what was typed.

    Args:
        parsed: The line.
        namespace: The notebook's variables.
        start: Trains what a line says.

    Raises:
        UsageError: More than a model and its data are named.
    """
    from jupyter_train.panel.form import TrainForm

    if len(parsed.expressions) > 2:
        raise UsageError(f"expected a model and its data, not {len(parsed.expressions)} expressions")
    model, data = (*parsed.expressions, "", "")[:2]
    name, arguments = _call(model)
    found = _value(name, namespace)
    if not isinstance(found, type):
        name, arguments = model, {}
    given = {item.option.name: item.text or "yes" for item in parsed.options if item.option.name != "form"}
    TrainForm(name, found, data, given, arguments, start).show()


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
