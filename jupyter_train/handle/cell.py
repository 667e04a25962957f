"""Which cell execution a handle was made in."""

from __future__ import annotations


def current_cell_execution() -> tuple[int, int] | None:
    """Identifies the current cell execution; None outside a kernel."""
    import sys

    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return None if shell is None else (id(shell), shell.execution_count)
