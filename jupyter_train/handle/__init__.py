"""`Run`: the handle of a run, with its metrics, weights and panel."""

from jupyter_train.handle.cell import current_cell_execution
from jupyter_train.handle.run import Run

__all__ = ["Run", "current_cell_execution"]
