"""`Run`: what people hold. Its numbers, its weights, its panel."""

from jupyter_train.handle.cell import execution_place
from jupyter_train.handle.run import Run

__all__ = ["Run", "execution_place"]
