"""Checks a notebook's parameters before it is executed: only names that its `parameters` cell assigns are valid."""

from __future__ import annotations

import ast
import contextlib
import logging
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_train.exceptions import ParameterError, did_you_mean
from jupyter_train.notebook.loading import Kernel
from jupyter_train.store.redacted_source import parsed_source

if TYPE_CHECKING:
    from nbformat import NotebookNode


def check_known(notebook: NotebookNode, path: Path, parameters: Mapping[str, Any], kernel: Kernel) -> list[str]:
    """The parameters that papermill itself would report as unknown although the notebook assigns them.

    Names in Python are found with `ast`: papermill reads line by line, misses some names and takes keyword arguments
    for others. In other languages papermill's names are used; where it finds none, every name is accepted.

    Raises:
        ParameterError: The notebook has no `parameters` cell, or the cell does not assign the name.
    """
    if not parameters:
        return []
    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if not cells:
        raise ParameterError(
            f"`{path.name}` has no cell tagged `parameters`; tag the cell that sets {_names(parameters)} (property "
            "inspector, cell tags)"
        )
    found_by_papermill = _read_by_papermill(cells[0], kernel)
    tree = parsed_source(cells[0].source) if kernel.language.lower() == "python" else None
    assigned = found_by_papermill if tree is None else list(dict.fromkeys(_assigned(tree.body)))
    for name in parameters if assigned is not None else ():
        if name not in (assigned or ()):
            raise ParameterError(
                f"`{path.name}` has no parameter `{name}`.{did_you_mean(name, assigned or ())} "
                f"Its parameters cell sets: {_names(assigned or ()) or 'nothing'}"
            )
    return [name for name in parameters if name not in (found_by_papermill or ())]


def _read_by_papermill(cell: NotebookNode, kernel: Kernel) -> list[str] | None:
    """The names that papermill finds; None where it cannot read the language.

    Raises:
        ParameterError: It cannot write the language either.
    """
    from papermill.exceptions import PapermillException
    from papermill.translators import papermill_translators

    try:
        translator = papermill_translators.find_translator(kernel.name, kernel.language)
    except PapermillException as err:
        raise ParameterError(f"papermill gives no parameters to notebooks in `{kernel.language}`") from err
    try:
        with quiet_papermill():  # its warnings about lines it cannot read are repeated in the errors here
            return [parameter.name for parameter in translator.inspect(cell)]
    except NotImplementedError:
        return None


@contextlib.contextmanager
def quiet_papermill() -> Iterator[None]:
    """Silences papermill's logger: its messages are reported by this package."""
    logger = logging.getLogger("papermill")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _assigned(statements: list[ast.stmt]) -> Iterator[str]:
    """The module-level names that statements assign, in order."""
    for node in statements:
        match node:
            case ast.Assign(targets=targets):
                yield from (name for target in targets for name in _names_in(target))
            case ast.AnnAssign(target=target):
                yield from _names_in(target)
            case ast.If() | ast.For() | ast.While() | ast.With() | ast.Try():
                for block in ("body", "orelse", "finalbody"):
                    yield from _assigned(getattr(node, block, []))
                for handler in getattr(node, "handlers", []):
                    yield from _assigned(handler.body)


def _names_in(target: ast.expr) -> Iterator[str]:
    match target:
        case ast.Name(id=name):
            yield name
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            yield from (name for part in parts for name in _names_in(part))
        case ast.Starred(value=value):
            yield from _names_in(value)


def _names(names: Collection[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
