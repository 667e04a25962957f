"""The sources of the classes that are trained: a resumed run must not go on with another model unawares."""

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
#: Classes of these packages are told apart by the packages' versions.
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
    """Class, SHA-256 and text of the source behind each object; objects of libraries are left out.

    Args:
        objects: What is trained, by the word for it: `model`, `data`.
        keeps_text: Whether the record may hold the text, secrets masked.
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
    """The source of a class and of those it is derived from, as far as they are the user's; empty where one is unknown.

    A process of its own does not know the cells of a notebook: what it knows of a class must not look like all of it.
    """
    texts = [_class_source(base) for base in kind.__mro__ if _package_of(base) not in _LIBRARIES]
    return "\n".join(texts) if all(texts) else ""


def _package_of(kind: type) -> str:
    return kind.__module__.partition(".")[0]


def _class_source(kind: type) -> str:
    """The source of one class; empty where there is none."""
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):  # a class of a notebook belongs to no file
        return _source_in_cell(kind)


def _source_in_cell(kind: type) -> str:
    """The source of a class that a cell of a notebook defines: its methods know which."""
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
    """The functions that a class defines itself."""
    for value in vars(kind).values():
        function = inspect.unwrap(getattr(value, "fget", None) or getattr(value, "__func__", value))
        if isinstance(function, FunctionType) and function.__module__ == kind.__module__:
            yield function


def _sources_as_earlier_releases(kind: type) -> str:
    """The source as earlier releases took it, whose runs shall go on: without what cells define, and with Fabric's."""
    texts = []
    for base in kind.__mro__:
        if _package_of(base) in _LIBRARIES and _package_of(base) != "lightning_fabric":
            continue
        with contextlib.suppress(OSError, TypeError):
            texts.append(inspect.getsource(base))
    return "\n".join(texts)


def source_diff(recorded: dict[str, Any], objects: dict[str, Any], keeps_text: bool) -> list[str]:
    """What has changed since a record of sources was made: a line each, followed by the lines that differ.

    Args:
        before: The record.
        objects: What is trained now, by the word for it.
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
