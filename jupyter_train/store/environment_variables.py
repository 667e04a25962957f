"""A copy of `os.environ` that is safe while other threads set and unset variables, as Lightning does at every seed."""

from __future__ import annotations

import os


def variables() -> dict[str, str]:
    """All environment variables as they are now.

    `dict(os.environ)` and `os.environ.items()` raise `KeyError` where a variable is unset during the iteration.
    """
    values = {name: os.environ.get(name) for name in os.environ}
    return {name: value for name, value in values.items() if value is not None}
