"""Which cell shows a run in full: a second panel of the same run only refers to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_train.panel.bundle import bundle, reference_bundle
from jupyter_train.panel.display import cell_id, kernel_id
from jupyter_train.panel.snapshot import snapshot

if TYPE_CHECKING:
    from jupyter_train.store import Store


class OutputCells:
    """For each run of this kernel, the cell whose output holds its full panel."""

    def __init__(self) -> None:
        self._cells: dict[str, str] = {}

    def full_at(self, run: str, cell: str) -> None:
        """The cell shows the run in full."""
        self._cells[run] = cell

    def is_elsewhere(self, run: str, cell: str) -> bool:
        """True when another cell does; unknown cells count as this one."""
        return cell != "" and self._cells.get(run, "") not in ("", cell)


#: This kernel's.
PLACES = OutputCells()


def bundle_for_here(store: Store, run: str, in_full: bool = False) -> dict[str, Any]:
    """The output to show in the cell being executed: the run in full, or at most 2 KB that refer to where it is.

    Args:
        store: Where the run is recorded.
        run: Its key.
        in_full: Show it in full in any case.

    Raises:
        RunNotFoundError: There is no such run.
    """
    here = cell_id()
    full = snapshot(store, run, kernel_id())
    if PLACES.is_elsewhere(run, here) and not in_full:
        return reference_bundle(full)
    PLACES.full_at(run, here)
    return bundle(full)
