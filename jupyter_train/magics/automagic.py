"""Refuses calls that IPython's automagic made a magic: `train(model, data)` arrives as `%train (model, data)`."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from jupyter_train.exceptions import UsageError


def refuse_call(name: str, line: str) -> None:
    """Raises for a line that was a function call.

    Args:
        name: Of the magic and of the function.
        line: The magic's line.

    Raises:
        UsageError: It was a call; the message says what to type.
    """
    text = line.strip().rstrip(";")
    call = _call(f"{name}{text}") if text.startswith("(") else None
    if call is None or len(call.args) + len(call.keywords) < 2:
        return
    typed = _typed_line(call) if name in ("train", "tune") else None
    magic = f"write `%{name} {typed}`, or " if typed else ""
    raise UsageError(
        f"IPython takes `{name}(...)` at the beginning of a line for the magic `%{name}`; {magic}call the function by "
        f"its whole name, `jupyter_train.{name}(...)`"
    )


def _call(text: str) -> ast.Call | None:
    """The call expression in `text`; None for anything else."""
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    return tree if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) else None


def _typed_line(call: ast.Call) -> str | None:
    """The call as a magic line; None where a line cannot express it."""
    named = {word.arg: word.value for word in call.keywords}
    parts = [*call.args, *(named.pop(argument) for argument in ("model", "data") if argument in named)]
    space = named.pop("space", ast.Dict([], []))
    if None in named or len(parts) > 2 or not isinstance(space, ast.Dict):
        return None
    typed = [_expression(part) for part in parts]
    typed += [f"{_plain(name)}={_plain(value)}" for name, value in zip(space.keys, space.values, strict=True)]
    return " ".join([*typed, *(word for name, value in named.items() for word in _option(str(name), value))])


def _expression(node: ast.expr) -> str:
    """An expression as one word; the body of a lambda without arguments, as a line is evaluated late too."""
    node = node.body if isinstance(node, ast.Lambda) and not node.args.args else node
    text = ast.unparse(node)
    return text if isinstance(node, ast.Name | ast.Attribute | ast.Call | ast.Tuple | ast.List) else f"({text})"


def _option(name: str, value: ast.expr) -> Iterator[str]:
    flag = "--" + name.rstrip("_").replace("_", "-")
    if isinstance(value, ast.List) and name != "devices":
        for item in value.elts:
            yield from _option(name, item)
    elif not isinstance(value, ast.Constant):
        yield f"{flag} {{{ast.unparse(value)}}}"
    elif value.value is True:
        yield flag
    elif value.value is not None:
        yield f"{flag} {_plain(value)}"


def _plain(node: ast.expr | None) -> str:
    """A constant as it is typed in a line."""
    if not isinstance(node, ast.Constant):
        return ast.unparse(node) if node is not None else ""
    text = str(node.value).lower() if isinstance(node.value, bool) else str(node.value)
    return repr(text) if any(letter.isspace() for letter in text) else text
