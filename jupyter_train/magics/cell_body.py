"""The YAML body of a `%%train` cell: the line's options, or a LightningCLI file."""

from __future__ import annotations

import re
from typing import Any

import yaml

from jupyter_train.exceptions import UsageError

#: PyYAML reads about 100,000 characters per second.
_MAX_LETTERS = 200_000
_MAX_VALUES = 100_000


class _Loader(yaml.SafeLoader):
    """Safe YAML in which `1e-3` is a number, as in YAML 1.2 and in LightningCLI."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"),
    list("-+0123456789."),
)


def read(body: str) -> dict[str, Any]:
    """The mapping in a cell body; empty for an empty body.

    Raises:
        UsageError: It is not YAML, not a mapping, or carries a tag that would build Python objects.
    """
    if len(body) > _MAX_LETTERS:
        raise UsageError(
            f"the cell is {len(body):,} letters long; expected options, at most {_MAX_LETTERS:,} letters. Numbers are "
            "searched as a range: `lr: 1e-4..1e-1:log`"
        )
    try:
        content = yaml.load(body, _Loader)
    except yaml.constructor.ConstructorError as err:
        tag = re.search(r"'(tag:[^']+|![^']*)'", str(err.problem or ""))
        named = f" `{tag.group(1)}`" if tag else ""
        raise UsageError(f"YAML tags are refused{named}{_line_of(err)}; name a class with `class_path:`") from None
    except yaml.YAMLError as err:
        problem = getattr(err, "problem", None) or str(err).splitlines()[0]
        raise UsageError(f"the cell is not YAML{_line_of(err)}: {problem}") from None
    except (ValueError, RecursionError):  # a number of thousands of digits, or lists in lists in lists
        raise UsageError(
            "the cell holds a number, or lists inside lists, too large to be read; expected a mapping such as "
            "`epochs: 10`"
        ) from None
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise UsageError(
            f"the cell holds a {_kind(content)}, expected a mapping such as `epochs: 10` (one `name: value` per line)"
        )
    if _size(content, {}) > _MAX_VALUES:
        raise UsageError("the cell's YAML anchors stand for more values than can be options; write them out")
    return content


def _size(content: object, known: dict[int, int]) -> int:
    """Number of values with anchors expanded; above the limit for a recursive mapping."""
    if not isinstance(content, dict | list):
        return 1
    if id(content) not in known:
        known[id(content)] = _MAX_VALUES + 1
        parts = content.values() if isinstance(content, dict) else content
        known[id(content)] = 1 + sum(_size(part, known) for part in parts)
    return known[id(content)]


def _kind(content: object) -> str:
    return {"str": "piece of text", "list": "list", "dict": "mapping with keys that are not text"}.get(
        type(content).__name__, type(content).__name__
    )


def _line_of(err: yaml.YAMLError) -> str:
    mark = getattr(err, "problem_mark", None)
    return f" (line {mark.line + 1})" if mark is not None else ""
