"""Reads a notebook of any format as nbformat 4, and finds its kernel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jupyter_train.exceptions import NotebookError, OptionError, did_you_mean

if TYPE_CHECKING:
    from nbformat import NotebookNode


class Kernel(NamedTuple):
    """An installed kernel: its name, display name and language."""

    name: str
    display_name: str
    language: str


def read_notebook(path: Path) -> NotebookNode:
    """The notebook at `path` as nbformat 4.

    Raises:
        NotebookError: The file is missing, or is no notebook.
    """
    import nbformat

    if not path.is_file():
        raise NotebookError(f"there is no notebook `{path}`{_close_names(path)}")
    try:
        read = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)  # type: ignore[no-untyped-call]
        content: NotebookNode = nbformat.from_dict(read)  # type: ignore[no-untyped-call]  # format 3 is converted to other classes
    except (nbformat.reader.NotJSONError, UnicodeDecodeError) as err:
        raise NotebookError(f"`{path}` is not a notebook: it is not JSON") from err
    except Exception as err:
        raise NotebookError(f"`{path}` is not a notebook: {' '.join(str(err).split())[:200]}") from err
    if not isinstance(content.get("cells"), list):
        raise NotebookError(f"`{path}` is not a notebook: it has no cells")
    for number, cell in enumerate(content.cells, 1):
        if not _is_cell(cell):
            raise NotebookError(f"`{path}` is not a notebook: cell {number} has no type, text source or metadata")
    return content


def _is_cell(cell: object) -> bool:
    return (
        isinstance(cell, dict)
        and isinstance(cell.get("cell_type"), str)
        and isinstance(cell.get("source"), str)
        and isinstance(cell.get("metadata"), dict)
    )


def _close_names(path: Path) -> str:
    notebooks = [file.name for file in path.parent.glob("*.ipynb")] if path.parent.is_dir() else []
    return "." + did_you_mean(path.name, notebooks)


def kernel_of(notebook: NotebookNode, path: Path, named: str = "") -> Kernel:
    """The kernel that executes a notebook.

    Args:
        notebook: The notebook, as `read_notebook` returns it.
        path: Its path.
        named: The kernel given as `--kernel`; empty for the notebook's own.

    Raises:
        NotebookError: The notebook names no kernel, or one that is not installed.
        OptionError: The kernel given as `--kernel` is not installed.
    """
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    specs = KernelSpecManager()
    name = named or str(notebook.metadata.get("kernelspec", {}).get("name") or "")
    try:
        if name:
            spec = specs.get_kernel_spec(name)
            return Kernel(name, spec.display_name, spec.language)
    except NoSuchKernel:
        pass
    installed = sorted(specs.find_kernel_specs())
    listing = f"Installed: {', '.join(f'`{kernel}`' for kernel in installed) or 'none; `pip install ipykernel`'}"
    if named:
        raise OptionError(f"`--kernel {named}`: there is no such kernel.{did_you_mean(named, installed)} {listing}")
    problem = f"names the kernel `{name}`, which is not installed" if name else "names no kernel"
    raise NotebookError(f"`{path.name}` {problem}; name one: `--kernel NAME`. {listing}")
