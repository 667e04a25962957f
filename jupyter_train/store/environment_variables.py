"""The environment's variables, read while other threads set and unset some: Lightning does at every seed."""

from __future__ import annotations

import os


def variables() -> dict[str, str]:
    """All of them as they are now.

    `dict(os.environ)` and `os.environ.items()` raise `KeyError` where one goes while they are gone through.
    """
    found = {name: os.environ.get(name) for name in os.environ}
    return {name: value for name, value in found.items() if value is not None}
