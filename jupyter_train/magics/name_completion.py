"""Completes names of the notebook in expressions."""

from __future__ import annotations

import re

#: The identifier at the start of an expression; IPython completes attributes and arguments.
_BEGUN = re.compile(r"(?:^|[({\[,=*+/-])\s*(?P<name>[A-Za-z_]\w*)$")


def names_for(word: str) -> tuple[list[str], str]:
    """Names that complete the end of `word`, and the part they replace.

    Args:
        word: Typed so far.
    """
    from IPython.core.getipython import get_ipython

    match = _BEGUN.search(word)
    shell = get_ipython()
    if match is None or shell is None:
        return [], word
    prefix = match["name"]
    names = [name for name in shell.user_ns if name.startswith(prefix) and name not in shell.user_ns_hidden]
    return [name for name in names if name != prefix and (prefix[0] == "_" or name[0] != "_")], prefix
