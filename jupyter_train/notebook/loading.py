"""A notebook read from disk: whatever its format, as nbformat 4, with the kernel that executes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from jupyter_train.exceptions import NotebookError, OptionError, did_you_mean


class Kernel(NamedTuple):
    """What executes a notebook: the name of an installed kernel, how it is shown, and its language."""

    name: str
    display_name: str
    language: str


def read_notebook(path: Path) -> Any:
    """The notebook at `path` as nbformat 4.

    Raises:
        NotebookError: There is no such file, or it is no notebook.
    """
    import nbformat

    if not path.is_file():
        raise NotebookError(f"there is no notebook `{path}`{_close_names(path)}")
    try:
        read = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)  # type: ignore[no-untyped-call]
        content = nbformat.from_dict(read)  # type: ignore[no-untyped-call]  # format 3 is converted to other classes
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


def _is_cell(cell: Any) -> bool:
    return (
        isinstance(cell, dict)
        and isinstance(cell.get("cell_type"), str)
        and isinstance(cell.get("source"), str)
        and isinstance(cell.get("metadata"), dict)
    )


def _close_names(path: Path) -> str:
    names = [found.name for found in path.parent.glob("*.ipynb")] if path.parent.is_dir() else []
    return "." + did_you_mean(path.name, names)


def kernel_of(notebook: Any, path: Path, named: str = "") -> Kernel:
    """The kernel a notebook is executed with.

    Args:
        notebook: As read.
        path: Its path.
        named: Its name, if not the notebook's own.

    Raises:
        NotebookError: The notebook names none, or one that is not installed.
        OptionError: The one named is not installed.
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
    words = f"Installed: {', '.join(f'`{one}`' for one in installed) or 'none; `pip install ipykernel`'}"
    if named:
        raise OptionError(f"`--kernel {named}`: there is no such kernel.{did_you_mean(named, installed)} {words}")
    which = f"asks for the kernel `{name}`, which is not here" if name else "names no kernel"
    raise NotebookError(f"`{path.name}` {which}; say which: `--kernel NAME`. {words}")
