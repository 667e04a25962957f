"""The class by which papermill finds the engine: it answers papermill's questions without importing the engine."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import nbformat
import pytest

from jupyter_train.exceptions import ParameterError
from jupyter_train.notebook.entry_point import JupyterTrainEngine
from tests.notebook.written import ROOT, write


def test_papermill_is_told_the_kernel_and_language_of_a_notebook(tmp_path: Path) -> None:
    notebook = nbformat.read(write(tmp_path / "a.ipynb", ["1"]), 4)
    notebook.metadata.kernelspec.language = "julia"
    assert JupyterTrainEngine.nb_kernel_name(notebook) == "python3"
    assert JupyterTrainEngine.nb_kernel_name(notebook, "other") == "other"
    assert JupyterTrainEngine.nb_language(notebook) == "julia"
    assert JupyterTrainEngine.nb_language(notebook, "R") == "R"


def test_it_executes_with_the_recorded_engine(tmp_path: Path) -> None:
    notebook = nbformat.read(write(tmp_path / "a.ipynb", ["1"]), 4)
    notebook.metadata.papermill = {"parameters": {"x; import os": 1}}
    with pytest.raises(ParameterError):
        JupyterTrainEngine.execute_notebook(notebook, "python3")


def test_its_file_imports_nothing_of_ours() -> None:
    """It is installed apart from the package, as `_jupyter_train_papermill`."""
    path = ROOT / "jupyter_train" / "notebook" / "entry_point.py"
    code = f"import runpy, sys; runpy.run_path({str(path)!r}); print([n for n in sys.modules if 'jupyter_train' in n])"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_papermill_finds_it_by_its_name() -> None:
    [found] = [point for point in entry_points(group="papermill.engine") if point.name == "jupyter_train"]
    assert found.value == "_jupyter_train_papermill:JupyterTrainEngine"
