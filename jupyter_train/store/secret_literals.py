"""String literals that Python source assigns, passes or stores under a secret's name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from jupyter_train.store.secret_names import is_secret
from jupyter_train.store.secret_patterns import target_spans

_QUOTES = re.compile(r"(?P<prefix>[A-Za-z]{0,3})(?P<quote>\"\"\"|'''|\"|')")
_NAME = re.compile(r"[\w.-]{1,60}")
#: Calls whose first argument is a secret's name or a prompt; the last argument may be a default value.
_LOOKUP_CALLS = frozenset(
    {"getenv", "get", "getpass", "input", "get_password", "get_secret", "pop", "prompt", "read", "open"}
)
#: Keywords that hold a default value: `getenv("TOKEN", default="…")`.
_DEFAULT_KEYWORDS = frozenset({"default", "default_factory", "value"})
#: Calls whose arguments are secrets: `SecretStr("…")`, `set_password("…")`.
_SECRET_CALLS = re.compile(r"^(?:Secret\w*|(?:set|with|use|add)_\w*(?:secret|token(?!s)|passw|key))", re.IGNORECASE)


@dataclass(frozen=True)
class SecretLiteral:
    """A string literal in source.

    Attributes:
        start: Position of its first quote.
        end: Position after its last quote.
        values: Its texts; several where an f-string holds expressions.
        is_target: Whether it is a `--notify` target, of which only the address is a secret.
    """

    start: int
    end: int
    values: tuple[str, ...]
    is_target: bool

    def masked(self, source: str, by: str) -> tuple[int, int, str] | None:
        """Start, end and replacement; a bytes literal becomes a string, since bytes hold no dots.

        None where the literal is part of an f-string, whose positions Python 3.11 does not give.
        """
        segment = source[self.start : self.end]
        head = _QUOTES.match(segment)
        if head is None or not segment.endswith(head["quote"]):
            return None
        opening = head.group() if "b" not in head["prefix"].lower() else head["quote"]
        inside = segment[head.end() : len(segment) - len(head["quote"])]
        if self.is_target and len(self.values) == 1:
            hidden = target_spans(inside)
            kept = inside[: hidden[-1][0]] if hidden and len(hidden) == 1 else ""
            return self.start, self.end, f"{opening}{kept}{by if hidden else inside[len(kept) :]}{head['quote']}"
        return self.start, self.end, f"{opening}{by}{head['quote']}"


def literals_of(tree: ast.AST, source: str, notified: frozenset[str]) -> Iterator[SecretLiteral]:
    """Yields every string literal under a secret's name.

    Args:
        tree: The syntax tree.
        source: The source.
        notified: Names of `--notify` targets.
    """
    positions = _Positions(source)
    for node in ast.walk(tree):
        for name, value in _named(node):
            is_target = name in notified
            for literal in _texts(value):
                values = tuple(_values(literal))
                if any(is_target or is_secret(name, text) for text in ("".join(values), *values)):
                    yield SecretLiteral(*positions.of(literal), values, is_target)


class _Positions:
    """Converts the lines and byte columns of nodes to positions in the source."""

    def __init__(self, source: str) -> None:
        self._lines = source.split("\n")
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line) + 1)

    def of(self, node: ast.expr) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self._position(node.lineno, node.col_offset), self._position(node.end_lineno, node.end_col_offset)

    def _position(self, line: int, column: int) -> int:
        text = self._lines[line - 1].encode()[:column].decode("utf-8", "ignore")
        return self._starts[line - 1] + len(text)


def _named(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Names and the values that this node gives them."""
    yield from _bound(node)
    match node:
        case ast.keyword(arg=str(name), value=value):
            yield name, value
        case ast.Dict(keys=keys, values=values):
            yield from ((_text(key), value) for key, value in zip(keys, values, strict=True) if key is not None)
        case ast.Tuple(elts=[first, second]):
            yield _text(first), second
        case ast.Compare(left=left, ops=[ast.Eq() | ast.NotEq()], comparators=[right]):
            yield _name_of(left), right
            yield _name_of(right), left
        case ast.Call():
            yield from _passed(node)


def _bound(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """The names of assignments and definitions, with their values."""
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                yield from _assigned(target, value)
        case (
            ast.AnnAssign(target=target, value=ast.expr() as value)
            | ast.AugAssign(target=target, value=value)
            | ast.NamedExpr(target=target, value=value)
            | ast.For(target=target, iter=value)
        ):
            yield from _assigned(target, value) if not isinstance(node, ast.For) else [(_name_of(target), value)]
        case ast.arguments():
            yield from _defaults(node)
        case ast.FunctionDef(name=name, body=body) | ast.AsyncFunctionDef(name=name, body=body):
            yield from ((name, line.value) for line in body if isinstance(line, ast.Return) and line.value is not None)


def _assigned(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(target, ast.Tuple | ast.List) and isinstance(value, ast.Tuple | ast.List):
        for element, item in zip(target.elts, value.elts, strict=False):
            yield from _assigned(element, item)
    else:
        yield _name_of(target), value


def _name_of(target: ast.expr) -> str:
    match target:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(slice=key):
            return _text(key)
    return ""


def _text(node: ast.expr) -> str:
    is_name = isinstance(node, ast.Constant) and isinstance(node.value, str) and _NAME.fullmatch(node.value)
    return str(node.value) if is_name and isinstance(node, ast.Constant) else ""


def _defaults(node: ast.arguments) -> Iterator[tuple[str, ast.expr]]:
    positional = [*node.posonlyargs, *node.args]
    with_default = positional[len(positional) - len(node.defaults) :]
    yield from ((argument.arg, value) for argument, value in zip(with_default, node.defaults, strict=True))
    for argument, default in zip(node.kwonlyargs, node.kw_defaults, strict=True):
        if default is not None:
            yield argument.arg, default


def _passed(node: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    """`setenv("API_KEY", "…")`, `SecretStr("…")`."""
    yield from ((_text(first), second) for first, second in pairwise(node.args))
    for name in map(_text, node.args):
        yield from ((name, keyword.value) for keyword in node.keywords if name and keyword.arg in _DEFAULT_KEYWORDS)
    if _name_of(node.func) == "login":
        yield from (("key", argument) for argument in node.args)
    if _SECRET_CALLS.match(_name_of(node.func)):
        yield from (("secret", argument) for argument in node.args)


def _texts(node: ast.AST) -> Iterator[ast.expr]:
    """The string literals in a value."""
    match node:
        case ast.Constant(value=str() | bytes()) | ast.JoinedStr():
            yield node
        case ast.Subscript(value=value):
            yield from _texts(value)
        case ast.Call():
            yield from _texts_of_call(node)
        case ast.Dict(values=values):
            for value in values:
                yield from _texts(value)
        case ast.Compare() | ast.Lambda() | ast.comprehension():
            return
        case _:
            for child in ast.iter_child_nodes(node):
                yield from _texts(child)


def _texts_of_call(call: ast.Call) -> Iterator[ast.expr]:
    yield from _texts(call.func.value) if isinstance(call.func, ast.Attribute) else ()
    for argument in call.args[1:] if _name_of(call.func) in _LOOKUP_CALLS else call.args:
        yield from _texts(argument)
    for keyword in call.keywords:
        if keyword.arg in _DEFAULT_KEYWORDS:
            yield from _texts(keyword.value.body if isinstance(keyword.value, ast.Lambda) else keyword.value)


def _values(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.Constant(value=bytes(content)):
            yield content.decode("utf-8", "replace")
        case ast.JoinedStr(values=parts):
            for part in parts:
                yield from _values(part)
