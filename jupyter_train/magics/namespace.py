"""Evaluates what was typed in the notebook's namespace, with a clear word when a name is missing."""

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
        local: Names of the function that a magic stands in; they come first.
    """

    def __init__(self, variables: dict[str, Any], local: Mapping[str, Any] | None = None) -> None:
        is_inside = local is not None and local is not variables
        self._is_inside = is_inside
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
                advice = "Run the cell that defines it first"
                if self._is_inside:
                    advice = "In a function a magic sees the function's own names: make it an argument"
                raise UsageError(f"{what} `{text}`: `{name}` is not defined here.{did_you_mean(name, known)} {advice}")

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
        code = compile(tree, _file_of(text), "eval")
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
        """The data meant by an expression.

        Raises:
            DataError: Evaluating it failed.
        """
        return self._evaluate_as(text, f"data `{shown(text)}`", DataError)

    def _evaluate_as(self, text: str, words: str, kind: type[UsageError]) -> Any:
        """Its value; what fails in code of the user's own that it calls is raised as it is, with its traceback."""
        try:
            return self.evaluate(text)
        except JupyterTrainError:
            raise
        except Exception as err:
            from jupyter_train.handle.failure import fails_below

            if fails_below(err, _file_of(text)):
                raise
            raise kind(f"{words}: {type(err).__name__}: {_one_line(err)}{self._hint(text, err)}") from err

    def _hint(self, text: str, err: Exception) -> str:
        """What was meant by an argument that is not taken, or by an attribute that is not there."""
        if isinstance(err, AttributeError) and err.name and err.obj is not None:
            return did_you_mean(err.name, dir(err.obj))
        found = re.search(r"unexpected keyword argument '(\w+)'", str(err)) if isinstance(err, TypeError) else None
        taken = self._taken_besides(text, found[1]) if found is not None else []
        if found is None or not taken:
            return ""
        return did_you_mean(found[1], taken) + f" It takes {', '.join(f'`{name}`' for name in taken)}"

    def _taken_besides(self, text: str, name: str) -> list[str]:
        """What the class or function takes that an expression gives an argument of this name."""
        for node in ast.walk(ast.parse(text, mode="eval")):
            if isinstance(node, ast.Call) and any(word.arg == name for word in node.keywords):
                try:
                    return list(inspect.signature(self.evaluate(ast.unparse(node.func))).parameters)
                except Exception:  # noqa: BLE001  it only would have been named
                    return []
        return []

    def evaluate_named(self, text: str) -> Any:
        """What is named as the model: a model, or the class of one.

        Raises:
            ModelError: Evaluating it failed.
        """
        return self._evaluate_as(text, f"model `{shown(text)}`", ModelError)

    def evaluate_model(self, text: str) -> Any:
        """The model meant by an expression.

        Raises:
            ModelError: It is a class, or evaluating it failed.
        """
        found = self.evaluate_named(text)
        if inspect.isclass(found):
            raise ModelError(f"`{text}` is a class; write `{text}(...)` to make a model of it")
        return found


def _file_of(text: str) -> str:
    """What an expression is called in tracebacks."""
    return f"<train {text}>"


def _one_line(err: Exception) -> str:
    """An error's words, as one line of at most 500 letters."""
    words = " ".join(str(err).split()).rstrip(".")
    return (words if len(words) <= _MAX_LETTERS else words[: _MAX_LETTERS - 1] + "…") + "."


def free_names(text: str) -> list[str]:
    """Names that an expression reads."""
    return _free_names(ast.parse(text, mode="eval"))


def _free_names(tree: ast.AST) -> list[str]:
    """Names an expression reads, those bound by its own lambdas and comprehensions left out."""
    read = [n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)]
    free = _free_in(symtable.symtable(ast.unparse(tree), "<expression>", "eval"), is_outer=True)
    return [name for name in dict.fromkeys(read) if name in free]


def _free_in(table: symtable.SymbolTable, is_outer: bool = False) -> set[str]:
    found = {
        one.get_name()
        for one in table.get_symbols()
        if one.is_referenced() and (not one.is_assigned() if is_outer else one.is_global())
    }
    return found.union(*map(_free_in, table.get_children()))


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
