"""A trial's values put back into a line of `%train`."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

from jupyter_train.config import options_by_name
from jupyter_train.exceptions import StudyError
from jupyter_train.tuning.trial_spec import option_called

#: Text that a line takes as it stands.
_PLAIN = re.compile(r"[^\s'\"(){}\[\]]+")


def train_line(config: Mapping[str, Any], params: Mapping[str, Any]) -> str:
    """The line that trains a trial's model on its own.

    Args:
        config: The record of a study.
        params: A trial's values.

    Raises:
        StudyError: A line cannot name what made the model; the message says what to write.
    """
    typed = config.get("expressions", {})
    model = typed.get("model", "model")
    options: Mapping[str, str] | None = config.get("searched_options")
    if options is None:
        options = _guessed_options(model, params)
    rest = " ".join([typed.get("data", "data"), *_options(config, options, params)])
    its_own = {name: value for name, value in params.items() if name not in options}
    if _parsed(model) is None:
        raise StudyError(
            "the model was made by a function without a name, which a line cannot call; write "
            f"`model = FUNCTION({_arguments(its_own)})`, then `%train model {rest}`"
        )
    line = f"%train {_with_values(model, its_own, bool(config.get('is_made')))} {rest}"
    if config.get("objective") == "last":
        line += '  # the last epoch counts: `run.model("last")`'
    return line


def _options(config: Mapping[str, Any], searched: Mapping[str, str], params: Mapping[str, Any]) -> list[str]:
    """The options of a trial: those that were searched, those of every trial, and the objective."""
    typed = config.get("expressions", {})
    tokens = [word for name, option in searched.items() if name in params for word in _option(option, params[name])]
    for name, value in config.get("train", {}).items():
        if name not in searched.values():
            tokens += _typed_option(name, typed[name]) if name in typed else _option(name, value)
    if config.get("seed") is not None and "seed" not in searched.values():
        tokens += _option("seed", config["seed"])
    if config.get("note"):
        tokens += _option("note", config["note"])
    metric, mode = config["objectives"][0]
    return [*tokens, *_option("monitor", metric), *_option("mode", mode)]


def _guessed_options(model: str, params: Mapping[str, Any]) -> dict[str, str]:
    """Which names were options, in a study recorded before that was: those that the model's expression does not use."""
    tree = _parsed(model)
    if tree is None or _is_named(tree):
        used = {"lr"}
    else:
        used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    options = {name: option_called(name) for name in params if name not in used}
    return {name: option for name, option in options.items() if option is not None}


def _option(name: str, value: object) -> list[str]:
    """An option as it is typed; of one that repeats, once for every value."""
    if isinstance(value, list | tuple) and options_by_name()[name].repeats:
        return [word for item in value for word in _option(name, item)]
    flag = _flag(name)
    if value is True:
        return [flag]
    if isinstance(value, str):
        return [flag, value if _PLAIN.fullmatch(value) and not value.startswith("--") else repr(value)]
    return [flag, str(value).lower() if isinstance(value, bool | None) else str(value)]


def _typed_option(name: str, typed: str | list[str]) -> list[str]:
    """An option whose value was an expression."""
    return [word for text in ([typed] if isinstance(typed, str) else typed) for word in (_flag(name), f"{{{text}}}")]


def _flag(name: str) -> str:
    return "--" + name.rstrip("_").replace("_", "-")


def _parsed(model: str) -> ast.expr | None:
    """A model's expression; None for what a function without a name is called."""
    try:
        return ast.parse(model, mode="eval").body
    except SyntaxError:
        return None


def _is_named(tree: ast.expr) -> bool:
    """Whether it names a class or a function, which takes what it takes."""
    return isinstance(tree, ast.Name | ast.Attribute)


def _arguments(params: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in params.items())


def _with_values(model: str, params: Mapping[str, Any], is_made: bool) -> str:
    """The model's expression with the searched names replaced by their values; what makes a model is called."""

    class Fill(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.AST:
            if node.id in params and isinstance(node.ctx, ast.Load):
                return ast.copy_location(ast.Constant(params[node.id]), node)
            return node

    tree = _parsed(model)
    assert tree is not None
    if _is_named(tree) or isinstance(tree, ast.Lambda):
        called = ast.unparse(tree) if _is_named(tree) else f"({ast.unparse(tree)})"
        return f"{called}({_arguments(params)})" if params or is_made else called
    text = ast.unparse(Fill().visit(tree))
    return text if isinstance(tree, ast.Call | ast.Subscript) else f"({text})"
