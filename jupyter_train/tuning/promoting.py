"""A trial's values put back into a line of `%train`."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from jupyter_train.tuning.plan import option_called


def train_line(config: Mapping[str, Any], params: Mapping[str, Any]) -> str:
    """The line that trains a trial's model on its own.

    Args:
        config: The record of a study.
        params: A trial's values.
    """
    typed = config.get("expressions", {})
    model, used = _with_values(typed.get("model", "model"), params)
    words = ["%train", model, typed.get("data", "data")]
    for name, value in params.items():
        if name not in used and (option := option_called(name)) is not None:
            words.append(_option(option, value))
    train = dict(config.get("train", {}))
    words += [_option(name, value) for name, value in train.items() if name not in typed]
    words += [f"--{name.replace('_', '-')} {{{typed[name]}}}" for name in train if name in typed]
    if config.get("seed") is not None:
        words.append(f"--seed {config['seed']}")
    metric, mode = config["objectives"][0]
    words.append(f"--monitor {metric} --mode {mode}")
    return " ".join(words)


def _option(name: str, value: Any) -> str:
    flag = "--" + name.rstrip("_").replace("_", "-")
    if value is True:
        return flag
    return f"{flag} {str(value).lower() if isinstance(value, bool | None) else value}"


def _with_values(model: str, params: Mapping[str, Any]) -> tuple[str, set[str]]:
    """The model's expression with the searched names replaced by their values, without any white space."""
    used: set[str] = set()

    class Fill(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.AST:
            if node.id in params and isinstance(node.ctx, ast.Load):
                used.add(node.id)
                return ast.copy_location(ast.Constant(params[node.id]), node)
            return node

    try:
        tree = Fill().visit(ast.parse(model, mode="eval"))
    except SyntaxError:
        return model, used
    if isinstance(tree.body, ast.Name | ast.Attribute):  # a class, which takes what it takes
        taken = {name: value for name, value in params.items() if option_called(name) is None or name == "lr"}
        arguments = ", ".join(f"{name}={value!r}" for name, value in taken.items())
        return f"{ast.unparse(tree)}({arguments})", set(taken)
    return ast.unparse(tree), used
