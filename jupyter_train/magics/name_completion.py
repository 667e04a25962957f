"""Names of the notebook where a model, its data or an expression is typed."""

from __future__ import annotations

import re

#: The identifier being typed, where it begins an expression: attributes and arguments are IPython's to complete.
_BEGUN = re.compile(r"(?:^|[({\[,=*+/-])\s*(?P<name>[A-Za-z_]\w*)$")


def names_for(word: str) -> tuple[list[str], str]:
    """Names that begin as a word ends, and the part of it they stand for.

    Args:
        word: What is typed so far.
    """
    from IPython.core.getipython import get_ipython

    found = _BEGUN.search(word)
    shell = get_ipython()
    if found is None or shell is None:
        return [], word
    begun = found["name"]
    names = [name for name in shell.user_ns if name.startswith(begun) and name not in shell.user_ns_hidden]
    return [name for name in names if name != begun and (begun[0] == "_" or name[0] != "_")], begun
