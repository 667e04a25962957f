"""Texts that Python source names as secrets: what is assigned, passed or kept under such a name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from jupyter_train.store.secret_names import is_secret
from jupyter_train.store.secret_patterns import of_target

_QUOTES = re.compile(r"(?P<prefix>[A-Za-z]{0,3})(?P<quote>\"\"\"|'''|\"|')")
_NAME = re.compile(r"[\w.-]{1,60}")
#: What these are given is the name of a secret, or words to ask for one; the last may be what to give without one.
_ASKING = frozenset(
    {"getenv", "get", "getpass", "input", "get_password", "get_secret", "pop", "prompt", "read", "open"}
)
#: Under these a call is given what stands in the place of what was asked for: `getenv("TOKEN", default="…")`.
_INSTEAD = frozenset({"default", "default_factory", "value"})
#: What these are given is a secret: `SecretStr("…")`, `set_password("…")`.
_TAKING = re.compile(r"^(?:Secret\w*|(?:set|with|use|add)_\w*(?:secret|token(?!s)|passw|key))", re.IGNORECASE)


@dataclass(frozen=True)
class SecretLiteral:
    """A text in source and where it stands.

    Attributes:
        start: Of its first quote.
        end: Past its last.
        values: What it says; several where an expression stands between.
        is_target: It is where a run's end is told: of that only the address is a secret.
    """

    start: int
    end: int
    values: tuple[str, ...]
    is_target: bool

    def masked(self, source: str, by: str) -> tuple[int, int, str] | None:
        """Start, end and what to write there; a literal of bytes becomes one of text, which may hold dots.

        None where the literal stands inside an f-string, whose places Python 3.11 does not tell.
        """
        segment = source[self.start : self.end]
        head = _QUOTES.match(segment)
        if head is None or not segment.endswith(head["quote"]):
            return None
        opening = head.group() if "b" not in head["prefix"].lower() else head["quote"]
        inside = segment[head.end() : len(segment) - len(head["quote"])]
        if self.is_target and len(self.values) == 1:
            shown = of_target(inside)
            kept = inside[: shown[-1][0]] if shown and len(shown) == 1 else ""
            return self.start, self.end, f"{opening}{kept}{by if shown else inside[len(kept) :]}{head['quote']}"
        return self.start, self.end, f"{opening}{by}{head['quote']}"


def literals_of(tree: ast.AST, source: str, notified: frozenset[str]) -> Iterator[SecretLiteral]:
    """Every text that is given the name of a secret.

    Args:
        tree: The source, parsed.
        source: The source.
        notified: Names of what a run's end is told to.
    """
    places = _Places(source)
    for node in ast.walk(tree):
        for name, value in _named(node):
            is_target = name in notified
            for literal in _texts(value):
                values = tuple(_values(literal))
                if any(is_target or is_secret(name, one) for one in ("".join(values), *values)):
                    yield SecretLiteral(*places.of(literal), values, is_target)


class _Places:
    """Places in the source, of nodes that count in lines and bytes."""

    def __init__(self, source: str) -> None:
        self._lines = source.split("\n")
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line) + 1)

    def of(self, node: ast.expr) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self._place(node.lineno, node.col_offset), self._place(node.end_lineno, node.end_col_offset)

    def _place(self, line: int, column: int) -> int:
        text = self._lines[line - 1].encode()[:column].decode("utf-8", "ignore")
        return self._starts[line - 1] + len(text)


def _named(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """What this node gives a name to."""
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
    """Assignments and definitions."""
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
            yield from ((name, one.value) for one in body if isinstance(one, ast.Return) and one.value is not None)


def _assigned(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(target, ast.Tuple | ast.List) and isinstance(value, ast.Tuple | ast.List):
        for one, item in zip(target.elts, value.elts, strict=False):
            yield from _assigned(one, item)
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
    given = node.defaults
    yield from ((one.arg, value) for one, value in zip(positional[len(positional) - len(given) :], given, strict=True))
    for one, value in zip(node.kwonlyargs, node.kw_defaults, strict=True):
        if value is not None:
            yield one.arg, value


def _passed(node: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    """`setenv("API_KEY", "…")`, `SecretStr("…")`."""
    yield from ((_text(first), second) for first, second in pairwise(node.args))
    for name in map(_text, node.args):
        yield from ((name, one.value) for one in node.keywords if name and one.arg in _INSTEAD)
    if _name_of(node.func) == "login":
        yield from (("key", argument) for argument in node.args)
    if _TAKING.match(_name_of(node.func)):
        yield from (("secret", argument) for argument in node.args)


def _texts(node: ast.AST) -> Iterator[ast.expr]:
    """Literals that a value is made of."""
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
    for argument in call.args[1:] if _name_of(call.func) in _ASKING else call.args:
        yield from _texts(argument)
    for one in call.keywords:
        if one.arg in _INSTEAD:
            yield from _texts(one.value.body if isinstance(one.value, ast.Lambda) else one.value)


def _values(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.Constant(value=bytes(content)):
            yield content.decode("utf-8", "replace")
        case ast.JoinedStr(values=parts):
            for part in parts:
                yield from _values(part)
