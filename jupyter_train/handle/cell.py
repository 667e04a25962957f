"""Where a handle was made."""

from __future__ import annotations

from typing import Any


def execution_place() -> Any:
    """The cell execution we are in: differs for every cell run; None outside a kernel."""
    import sys

    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return None if shell is None else (id(shell), shell.execution_count)
