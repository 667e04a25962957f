"""The source code of trained classes, so that a run is not silently resumed with a changed model."""

from __future__ import annotations

import ast
import contextlib
import difflib
import hashlib
import inspect
import linecache
from collections.abc import Iterator
from types import FunctionType
from typing import Any

from jupyter_train.store.redacted_source import mask_source

_MAX_LINES = 24
#: Classes of these packages are compared by the packages' versions.
_LIBRARIES = (
    "torch",
    "pytorch_lightning",
    "lightning",
    "lightning_fabric",
    "torchmetrics",
    "sklearn",
    "numpy",
    "pandas",
    "builtins",
    "jupyter_train",
)


def read_sources(objects: dict[str, Any], keeps_text: bool) -> dict[str, dict[str, str]]:
    """Class, SHA-256 and text of the source of each object's class; classes of libraries are left out.

    Args:
        objects: Objects by their role: `model`, `data`.
        keeps_text: Whether to include the text, secrets masked.
    """
    sources = {}
    for name, item in objects.items():
        kind = type(item)
        if item is None or kind.__module__.partition(".")[0] in _LIBRARIES:
            continue
        text = _class_sources(kind)
        if text:
            kept = mask_source(text) if keeps_text else ""
            sources[name] = {
                "class": kind.__qualname__,
                "sha256": _hash(text),
                "text": kept,
            }
    return sources


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()


def _class_sources(kind: type) -> str:
    """The sources of a class and its user-defined bases; empty where one is unknown.

    A detached process does not have the cells of a notebook: a part of the sources must not pass for all of them.
    """
    texts = [_class_source(base) for base in kind.__mro__ if _package_of(base) not in _LIBRARIES]
    return "\n".join(texts) if all(texts) else ""


def _package_of(kind: type) -> str:
    return kind.__module__.partition(".")[0]


def _class_source(kind: type) -> str:
    """The source of one class; empty where it is unknown."""
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):  # a class of a notebook belongs to no file
        return _source_in_cell(kind)


def _source_in_cell(kind: type) -> str:
    """The source of a class defined in a notebook cell, found by the code objects of its methods."""
    for function in _functions_of(kind):
        line = function.__code__.co_firstlineno
        cell = "".join(linecache.getlines(function.__code__.co_filename))
        with contextlib.suppress(SyntaxError, ValueError, RecursionError):
            classes = [node for node in ast.walk(ast.parse(cell)) if isinstance(node, ast.ClassDef)]
            enclosing = [
                node for node in classes if node.name == kind.__name__ and node.lineno <= line <= (node.end_lineno or 0)
            ]
            if enclosing:
                return ast.get_source_segment(cell, max(enclosing, key=lambda node: node.lineno)) or ""
    return ""


def _functions_of(kind: type) -> Iterator[FunctionType]:
    """The functions defined in a class's own body."""
    for value in vars(kind).values():
        function = inspect.unwrap(getattr(value, "fget", None) or getattr(value, "__func__", value))
        if isinstance(function, FunctionType) and function.__module__ == kind.__module__:
            yield function


def _sources_as_earlier_releases(kind: type) -> str:
    """The sources as earlier releases hashed them, for resuming their runs: without cells, with Lightning Fabric."""
    texts = []
    for base in kind.__mro__:
        if _package_of(base) in _LIBRARIES and _package_of(base) != "lightning_fabric":
            continue
        with contextlib.suppress(OSError, TypeError):
            texts.append(inspect.getsource(base))
    return "\n".join(texts)


def source_diff(recorded: dict[str, Any], objects: dict[str, Any], keeps_text: bool) -> list[str]:
    """A line for each source that has changed since a record, followed by the changed lines.

    Args:
        recorded: The record.
        objects: The current objects by their role.
        keeps_text: Whether the text may be shown, secrets masked.
    """
    lines = []
    current = read_sources(objects, keeps_text)
    for word, old in recorded.items():
        new = current.get(word)
        if new is None or old["sha256"] in (new["sha256"], _hash(_sources_as_earlier_releases(type(objects[word])))):
            continue
        lines.append(f"the source of the {word} `{new['class']}` has changed")
        if old.get("text") and new.get("text"):
            diff = difflib.unified_diff(old["text"].splitlines(), new["text"].splitlines(), lineterm="", n=0)
            changed = [line for line in diff if line[:2] not in ("--", "++", "@@")]
            lines += [f"    {line}" for line in changed[:_MAX_LINES]]
    return lines
