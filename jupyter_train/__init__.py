"""Notebook-native training for PyTorch Lightning.

There is one object, the Run. Magics start it, the panel shows it, papermill repeats it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from jupyter_train.api.retrain import retrain
    from jupyter_train.api.runs import compare, get_run, runs
    from jupyter_train.api.train import train
    from jupyter_train.api.tune import tune
    from jupyter_train.exceptions import JupyterTrainError, TrainingInterrupted
    from jupyter_train.handle import Run
    from jupyter_train.handle.study import Study

__version__ = "0.1.0"
__all__ = [
    "JupyterTrainError",
    "Run",
    "Study",
    "TrainingInterrupted",
    "compare",
    "get_run",
    "retrain",
    "runs",
    "train",
    "tune",
]

_HOMES = {
    "Run": "jupyter_train.handle",
    "Study": "jupyter_train.handle.study",
    "tune": "jupyter_train.api.tune",
    "JupyterTrainError": "jupyter_train.exceptions",
    "TrainingInterrupted": "jupyter_train.exceptions",
    **dict.fromkeys(("compare", "get_run", "runs"), "jupyter_train.api.runs"),
    "retrain": "jupyter_train.api.retrain",
    "train": "jupyter_train.api.train",
}


if not TYPE_CHECKING:  # a type checker knows the names above, and takes no misspelled one

    def __getattr__(name: str) -> Any:
        """Public names, imported when first used, so that loading the extension stays quick."""
        if name not in __all__:
            raise AttributeError(f"module `jupyter_train` has no attribute `{name}`")
        import importlib

        return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


def load_ipython_extension(shell: InteractiveShell) -> None:
    """`%load_ext jupyter_train`: the magics, their completion, and the panel's way into the kernel."""
    from jupyter_train.magics import register

    register(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """`%unload_ext jupyter_train`."""
    from jupyter_train.magics import unregister

    unregister(shell)


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "jupyter-train"}]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    from jupyter_train.server.app import JupyterTrainApp

    return [{"module": "jupyter_train", "app": JupyterTrainApp}]
