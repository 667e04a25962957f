"""Evaluates typed expressions in the notebook's namespace, with a clear error where a name is missing."""

from __future__ import annotations

import ast
import builtins
import importlib
import importlib.util
import inspect
import re
import symtable
from collections.abc import Container, Mapping
from typing import Any

from jupyter_train.config.bounds import shown
from jupyter_train.exceptions import (
    DataError,
    JupyterTrainError,
    ModelError,
    OptionError,
    UsageError,
    did_you_mean,
)

_MAX_LETTERS = 500


class Namespace:
    """The notebook's variables.

    Args:
        variables: `shell.user_ns`.
        local: Local names of the function that calls a magic; they take precedence.
    """

    def __init__(self, variables: dict[str, Any], local: Mapping[str, Any] | None = None) -> None:
        is_inside = local is not None and local is not variables
        self._is_inside = is_inside
        self._variables = {**variables, **(local or {})} if is_inside else variables

    def has(self, name: str) -> bool:
        """Whether `name` is defined here."""
        return name in self._variables or hasattr(builtins, name)

    def check(self, text: str, what: str, defined_later: Container[str] = ()) -> None:
        """Raises unless `text` is an expression whose names are known.

        Args:
            text: The expression.
            what: Its role in messages: `model`, `data`, `--lr`.
            defined_later: Names that will be defined when it is evaluated.

        Raises:
            UsageError: It is no expression, or reads an undefined name.
        """
        try:
            tree = ast.parse(text, mode="eval")
        except SyntaxError as err:
            raise UsageError(f"{what} `{text[:500]}` is not a Python expression ({err.msg})") from None
        except (ValueError, MemoryError, RecursionError):  # a NUL, or brackets in brackets in brackets
            raise UsageError(f"{what} `{shown(text)}` is not an expression that Python can read") from None
        for name in _free_names(tree):
            if name not in defined_later and not self.has(name) and not _is_module(text, name):
                known = [key for key in self._variables if not key.startswith("_")]
                advice = "Run the cell that defines it first"
                if self._is_inside:
                    advice = "In a function a magic sees the function's own names: make it an argument"
                raise UsageError(f"{what} `{text}`: `{name}` is not defined here.{did_you_mean(name, known)} {advice}")

    def names_in(self, text: str) -> dict[str, Any]:
        """Values of the variables that an expression reads; imports the root of a class path."""
        names = _free_names(ast.parse(text, mode="eval"))
        values = {name: self._variables[name] for name in names if name in self._variables}
        missing = [name for name in names if not self.has(name) and _is_module(text, name)]
        return values | {name: importlib.import_module(name) for name in missing}

    def evaluate(self, text: str) -> Any:
        """The value of an expression; a dotted class path is imported when its root is unknown."""
        tree = ast.parse(text, mode="eval")
        extra = {name: importlib.import_module(name) for name in _free_names(tree) if not self.has(name)}
        for path in _attribute_chains(tree):
            _import_packages(path, extra)
        code = compile(tree, _file_name_of(text), "eval")
        return eval(code, self._variables, extra) if not extra else eval(code, {**self._variables, **extra})

    def evaluate_option(self, flag: str, text: str) -> Any:
        """The value of an expression given to an option.

        Raises:
            UsageError: A name is missing.
            OptionError: Evaluating it failed.
        """
        self.check(text, f"`{flag}`")
        return self._evaluate_as(text, f"`{flag} {text}`", OptionError)

    def evaluate_data(self, text: str) -> Any:
        """The value of a data expression.

        Raises:
            DataError: Evaluating it failed.
        """
        return self._evaluate_as(text, f"data `{shown(text)}`", DataError)

    def _evaluate_as(self, text: str, prefix: str, kind: type[UsageError]) -> Any:
        """The value of `text`; an exception in the user's own code is raised unchanged, with its traceback."""
        try:
            return self.evaluate(text)
        except JupyterTrainError:
            raise
        except Exception as err:
            from jupyter_train.handle.failure import is_raised_in_user_code

            if is_raised_in_user_code(err, _file_name_of(text)):
                raise
            raise kind(f"{prefix}: {type(err).__name__}: {_one_line_message(err)}{self._hint(text, err)}") from err

    def _hint(self, text: str, err: Exception) -> str:
        """A suggestion for an unknown argument or a missing attribute."""
        if isinstance(err, AttributeError) and err.name and err.obj is not None:
            return did_you_mean(err.name, dir(err.obj))
        match = re.search(r"unexpected keyword argument '(\w+)'", str(err)) if isinstance(err, TypeError) else None
        accepted = self._accepted_arguments(text, match[1]) if match is not None else []
        if match is None or not accepted:
            return ""
        return did_you_mean(match[1], accepted) + f" It takes {', '.join(f'`{name}`' for name in accepted)}"

    def _accepted_arguments(self, text: str, name: str) -> list[str]:
        """Parameters of the callable that `text` passes `name` to."""
        for node in ast.walk(ast.parse(text, mode="eval")):
            if isinstance(node, ast.Call) and any(word.arg == name for word in node.keywords):
                try:
                    return list(inspect.signature(self.evaluate(ast.unparse(node.func))).parameters)
                except Exception:  # noqa: BLE001  only a hint
                    return []
        return []

    def evaluate_named(self, text: str) -> Any:
        """The value of a model expression: a model or its class.

        Raises:
            ModelError: Evaluating it failed.
        """
        return self._evaluate_as(text, f"model `{shown(text)}`", ModelError)

    def evaluate_model(self, text: str) -> Any:
        """The model that an expression makes.

        Raises:
            ModelError: It is a class, or evaluating it failed.
        """
        model = self.evaluate_named(text)
        if inspect.isclass(model):
            raise ModelError(f"`{text}` is a class; write `{text}(...)` to make a model of it")
        return model


def _file_name_of(text: str) -> str:
    """File name of an expression in tracebacks."""
    return f"<train {text}>"


def _one_line_message(err: Exception) -> str:
    """An error's message on one line of at most 500 characters."""
    text = " ".join(str(err).split()).rstrip(".")
    return (text if len(text) <= _MAX_LETTERS else text[: _MAX_LETTERS - 1] + "…") + "."


def free_names(text: str) -> list[str]:
    """Names that an expression reads, without those it binds."""
    return _free_names(ast.parse(text, mode="eval"))


def _free_names(tree: ast.AST) -> list[str]:
    """Names an expression reads, without those bound by its lambdas and comprehensions."""
    read = [n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)]
    free = _free_in(symtable.symtable(ast.unparse(tree), "<expression>", "eval"), is_outer=True)
    return [name for name in dict.fromkeys(read) if name in free]


def _free_in(table: symtable.SymbolTable, is_outer: bool = False) -> set[str]:
    names = {
        symbol.get_name()
        for symbol in table.get_symbols()
        if symbol.is_referenced() and (not symbol.is_assigned() if is_outer else symbol.is_global())
    }
    return names.union(*map(_free_in, table.get_children()))


def _is_module(text: str, name: str) -> bool:
    """Whether `name` is the root of a class path such as `my_package.models.LitNet(hidden=3)` that can be imported."""
    if not any(path[0] == name for path in _attribute_chains(ast.parse(text, mode="eval"))):
        return False
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _attribute_chains(tree: ast.AST) -> list[list[str]]:
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


def _import_packages(path: list[str], extra: dict[str, Any]) -> None:
    """Imports `a.b` of `a.b.C`, so that `a.b.C(...)` can be evaluated though only `a` was imported."""
    if path[0] not in extra:
        return
    for end in range(2, len(path)):
        try:
            importlib.import_module(".".join(path[:end]))
        except ImportError:
            return
