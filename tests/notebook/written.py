"""Notebooks to be repeated, and what an executed one says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat

ROOT = Path(__file__).parents[2]
TRAIN = """
%load_ext jupyter_train
from tests.models import LitDigits, digits
data = digits()
"""
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def write(path: Path, cells: list[str], parameters: str = "", kernel: dict[str, str] | None = KERNEL) -> Path:
    """A notebook with an optional parameters cell."""
    made = [nbformat.v4.new_code_cell(source) for source in cells]
    if parameters:
        made.insert(0, nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    notebook = nbformat.v4.new_notebook(cells=made)
    if kernel is not None:
        notebook.metadata.kernelspec = dict(kernel)
    nbformat.write(notebook, path)
    return path


def printed(path: Path) -> str:
    """What the cells of an executed notebook printed."""
    outputs = [out for cell in nbformat.read(path, 4).cells for out in cell.get("outputs", [])]
    return "".join(out.text for out in outputs if out.output_type == "stream" and out.name == "stdout")


def told(path: Path) -> list[tuple[str, list[str]]]:
    """Of every cell what papermill's metadata say of it, and the errors it shows."""
    return [(cell.metadata.papermill.status, _errors(cell)) for cell in nbformat.read(path, 4).cells]


def _errors(cell: Any) -> list[str]:
    return [f"{out.ename}: {out.evalue}" for out in cell.get("outputs", []) if out.output_type == "error"]
