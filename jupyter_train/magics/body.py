"""The YAML of a `%%train` cell: the same options as the line, or a LightningCLI file as it is."""

from __future__ import annotations

import re
from typing import Any

import yaml

from jupyter_train.exceptions import UsageError


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
    try:
        content = yaml.load(body, _Loader)
    except yaml.constructor.ConstructorError as err:
        tag = re.search(r"'(tag:[^']+|![^']*)'", str(err.problem or ""))
        named = f" `{tag.group(1)}`" if tag else ""
        raise UsageError(f"YAML tags are refused{named}{_line_of(err)}; name a class with `class_path:`") from None
    except yaml.YAMLError as err:
        problem = getattr(err, "problem", None) or str(err).splitlines()[0]
        raise UsageError(f"the cell is not YAML{_line_of(err)}: {problem}") from None
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise UsageError(
            f"the cell holds a {_kind(content)}, expected a mapping such as `epochs: 10` (one `name: value` per line)"
        )
    return content


def _kind(content: Any) -> str:
    return {"str": "piece of text", "list": "list", "dict": "mapping with keys that are not text"}.get(
        type(content).__name__, type(content).__name__
    )


def _line_of(err: yaml.YAMLError) -> str:
    mark = getattr(err, "problem_mark", None)
    return f" (line {mark.line + 1})" if mark is not None else ""
