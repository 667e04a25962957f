"""Notebooks read from disk, and their parameters checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jupyter_train.exceptions import NotebookError, ParameterError, did_you_mean


def read_notebook(path: Path) -> Any:
    """The notebook at `path` as nbformat 4.

    Raises:
        NotebookError: There is no such file, or it is no notebook.
    """
    import nbformat

    if not path.is_file():
        raise NotebookError(f"there is no notebook `{path}`{_close_names(path)}")
    try:
        content = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)  # type: ignore[no-untyped-call]
    except (nbformat.reader.NotJSONError, UnicodeDecodeError) as err:
        raise NotebookError(f"`{path}` is not a notebook: it is not JSON") from err
    except Exception as err:
        raise NotebookError(f"`{path}` is not a notebook: {' '.join(str(err).split())[:200]}") from err
    if not isinstance(content.get("cells"), list):
        raise NotebookError(f"`{path}` is not a notebook: it has no cells")
    return content


def _close_names(path: Path) -> str:
    names = [found.name for found in path.parent.glob("*.ipynb")] if path.parent.is_dir() else []
    return "." + did_you_mean(path.name, names)


def check_known(notebook: Any, path: Path, parameters: Mapping[str, Any]) -> None:
    """Raises unless every parameter is declared in the notebook's `parameters` cell.

    Raises:
        ParameterError: The notebook has no such cell, or no such parameter in it.
    """
    if not parameters:
        return
    import papermill

    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if not cells:
        raise ParameterError(
            f"`{path.name}` has no cell tagged `parameters`; tag the cell that sets {_names(parameters)} (property "
            "inspector, cell tags)"
        )
    known = papermill.inspect_notebook(notebook)
    for name in parameters:
        if name not in known:
            raise ParameterError(
                f"`{path.name}` has no parameter `{name}`.{did_you_mean(name, known)} Its parameters cell sets: "
                f"{_names(known) or 'nothing'}"
            )


def _names(names: Mapping[str, Any]) -> str:
    return ", ".join(f"`{name}`" for name in names)
