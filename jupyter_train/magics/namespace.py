"""Evaluates what was typed in the notebook's namespace, with a clear word when a name is missing."""

from __future__ import annotations

import ast
import builtins
import importlib
import importlib.util
import inspect
from collections.abc import Container, Mapping
from typing import Any

from jupyter_train.config.bounds import shown
from jupyter_train.exceptions import ModelError, OptionError, UsageError, did_you_mean


class Namespace:
    """The notebook's variables.

    Args:
        variables: `shell.user_ns`.
        local: Names of the function that a magic stands in; they come first.
    """

    def __init__(self, variables: dict[str, Any], local: Mapping[str, Any] | None = None) -> None:
        is_inside = local is not None and local is not variables
        self._variables = {**variables, **(local or {})} if is_inside else variables

    def has(self, name: str) -> bool:
        """True when `name` means something here."""
        return name in self._variables or hasattr(builtins, name)

    def check(self, text: str, what: str, besides: Container[str] = ()) -> None:
        """Raises unless `text` is an expression whose names are known.

        Args:
            text: The expression.
            what: What it stands for: `model`, `data`, `--lr`.
            besides: Names that will be known when it is evaluated.

        Raises:
            UsageError: It is no expression, or uses a name that is not defined.
        """
        try:
            tree = ast.parse(text, mode="eval")
        except SyntaxError as err:
            raise UsageError(f"{what} `{text[:500]}` is not a Python expression ({err.msg})") from None
        except (ValueError, MemoryError, RecursionError):  # a NUL, or brackets in brackets in brackets
            raise UsageError(f"{what} `{shown(text)}` is not an expression that Python can read") from None
        for name in _free_names(tree):
            if name not in besides and not self.has(name) and not _is_module(text, name):
                known = [key for key in self._variables if not key.startswith("_")]
                raise UsageError(
                    f"{what} `{text}`: `{name}` is not defined here.{did_you_mean(name, known)} Run the cell that "
                    "defines it first"
                )

    def names_in(self, text: str) -> dict[str, Any]:
        """The notebook's variables that an expression names, and their values; imports the root of a class path."""
        names = _free_names(ast.parse(text, mode="eval"))
        found = {name: self._variables[name] for name in names if name in self._variables}
        missing = [name for name in names if not self.has(name) and _is_module(text, name)]
        return found | {name: importlib.import_module(name) for name in missing}

    def evaluate(self, text: str) -> Any:
        """The value of an expression; a dotted class path is imported when its root is unknown."""
        tree = ast.parse(text, mode="eval")
        extra = {name: importlib.import_module(name) for name in _free_names(tree) if not self.has(name)}
        for path in _dotted(tree):
            _import_as_far_as_possible(path, extra)
        code = compile(tree, f"<train {text}>", "eval")
        return eval(code, self._variables, extra) if not extra else eval(code, {**self._variables, **extra})

    def evaluate_option(self, flag: str, text: str) -> Any:
        """The value of an expression given to an option.

        Raises:
            UsageError: A name is missing.
            OptionError: Evaluating it failed.
        """
        self.check(text, f"`{flag}`")
        try:
            return self.evaluate(text)
        except Exception as err:
            raise OptionError(f"`{flag} {text}`: {type(err).__name__}: {err}") from err

    def evaluate_model(self, text: str) -> Any:
        """The model meant by an expression.

        Raises:
            ModelError: It is a class.
        """
        found = self.evaluate(text)
        if inspect.isclass(found):
            raise ModelError(f"`{text}` is a class; write `{text}(...)` to make a model of it")
        return found


def free_names(text: str) -> list[str]:
    """Names that an expression reads."""
    return _free_names(ast.parse(text, mode="eval"))


def _free_names(tree: ast.AST) -> list[str]:
    """Names an expression reads, those bound by its own lambdas and comprehensions left out."""
    bound = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    bound |= {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    read = [n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)]
    return [name for name in dict.fromkeys(read) if name not in bound]


def _is_module(text: str, name: str) -> bool:
    """True for the root of a class path such as `my_package.models.LitNet(hidden=3)` that can be imported."""
    if not any(path[0] == name for path in _dotted(ast.parse(text, mode="eval"))):
        return False
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _dotted(tree: ast.AST) -> list[list[str]]:
    """Attribute chains on plain names: `a.b.c` as `[a, b, c]`."""
    chains = []
    for node in ast.walk(tree):
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if parts and isinstance(node, ast.Name):
            chains.append([node.id, *reversed(parts)])
    return chains


def _import_as_far_as_possible(path: list[str], extra: dict[str, Any]) -> None:
    """Imports `a.b` of `a.b.C`, so that `a.b.C(...)` can be evaluated though only `a` was imported."""
    if path[0] not in extra:
        return
    for end in range(2, len(path)):
        try:
            importlib.import_module(".".join(path[:end]))
        except ImportError:
            return
