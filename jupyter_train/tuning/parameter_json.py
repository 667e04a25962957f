"""A trial's values on their way through JSON: what it would change is kept as it is written in Python."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from typing import Any

_PARAMS, _TYPED = "params", "typed"


def packed(params: Mapping[str, Any]) -> dict[str, Any]:
    """The values as JSON takes them."""
    typed = {name: repr(value) for name, value in params.items() if _is_changed(value)}
    return {_PARAMS: dict(params), **({_TYPED: typed} if typed else {})}


def unpacked(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """The values as they were."""
    typed = {name: ast.literal_eval(text) for name, text in recorded.get(_TYPED, {}).items()}
    return {name: typed.get(name, value) for name, value in recorded.get(_PARAMS, {}).items()}


def _is_changed(value: object) -> bool:
    """Whether JSON gives another value, and Python's own writing the same."""
    if not isinstance(value, list | tuple | dict):
        return False
    try:
        return bool(repr(json.loads(json.dumps(value))) != repr(value) and ast.literal_eval(repr(value)) == value)
    except (TypeError, ValueError, SyntaxError, RecursionError):
        return False
