"""Names of the notebook where a model, its data or an expression is typed."""

from __future__ import annotations

import re
import sys
from typing import Any

from IPython.core.getipython import get_ipython

#: The identifier being typed, where it begins an expression: attributes and arguments are IPython's to complete.
_BEGUN = re.compile(r"(?:^|[({\[,=*+/-])\s*(?P<name>[A-Za-z_]\w*)$")


def names_for(word: str, is_model: bool = False) -> tuple[list[str], str]:
    """Names that begin as a word ends, and the part of it they stand for.

    Args:
        word: What is typed so far.
        is_model: Whether a model is meant: those, and what makes them, come first.
    """
    found = _BEGUN.search(word)
    shell = get_ipython()  # type: ignore[no-untyped-call]
    if found is None or shell is None:
        return [], word
    begun = found["name"]
    hidden = shell.user_ns_hidden
    names = [
        name for name, value in shell.user_ns.items()
        if name.startswith(begun) and name != begun and name not in hidden and (begun[0] == "_" or name[0] != "_")
    ]  # fmt: skip
    if is_model:
        names.sort(key=lambda name: not _is_model(shell.user_ns[name]))
    return names, begun


def _is_model(value: Any) -> bool:
    torch = sys.modules.get("torch")
    if torch is None:
        return isinstance(value, type)
    kind = value if isinstance(value, type) else type(value)
    return issubclass(kind, torch.nn.Module)
