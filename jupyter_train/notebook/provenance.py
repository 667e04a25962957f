"""The provenance of a run: the cells executed before it, in order, and their notebook."""

from __future__ import annotations

import hashlib
import os
import sys
from typing import TYPE_CHECKING, Any

from jupyter_train.store.redacted_source import mask_sources

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

NOTEBOOK_VARIABLE = "JUPYTER_TRAIN_NOTEBOOK"
PARENT_VARIABLE = "JUPYTER_TRAIN_PARENT"
_MAX_BYTES = 4 * 1024 * 1024


def current_shell() -> InteractiveShell | None:
    """The IPython shell of this process; None outside one."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None


def provenance(record: str) -> dict[str, Any]:
    """Cells and notebook for a run's record.

    Args:
        record: `code=full` for the sources, secrets masked, `code=hash` for their SHA-256, `code=none` for no cells.
    """
    shell = current_shell()
    cells = [] if shell is None or record == "code=none" else executed_cells(shell)
    if record == "code=hash":
        encoded = [cell.encode(errors="backslashreplace") for cell in cells]
        return {"cells": [{"sha256": hashlib.sha256(cell).hexdigest()} for cell in encoded]}
    return {"cells": [{"source": cell} for cell in mask_sources(cells)]}


def executed_cells(shell: Any) -> list[str]:
    """Sources of the cells this shell has run, the current one last; the newest 4 MB of them."""
    sources = [source for source in shell.history_manager.input_hist_raw if source]
    newest: list[str] = []
    size = 0
    for source in reversed(sources):
        size += len(source)
        if size > _MAX_BYTES:
            break
        newest.append(source)
    return newest[::-1]


def notebook_path() -> str:
    """Path of this kernel's notebook, from the environment of the server or papermill; empty if unknown."""
    shell = current_shell()
    vscode_path = shell.user_ns.get("__vsc_ipynb_file__", "") if shell is not None else ""
    return os.environ.get(NOTEBOOK_VARIABLE) or os.environ.get("JPY_SESSION_NAME") or str(vscode_path)


def parent_run() -> str | None:
    """Key of the `retrain` run whose kernel this is; None for any other kernel."""
    return os.environ.get(PARENT_VARIABLE) or None
