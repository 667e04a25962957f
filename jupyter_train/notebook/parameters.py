"""Parameters of a notebook, checked before anything runs: only what its `parameters` cell sets can be given."""

from __future__ import annotations

import ast
import contextlib
import logging
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from jupyter_train.exceptions import ParameterError, did_you_mean
from jupyter_train.notebook.loading import Kernel
from jupyter_train.store.redacted_source import parsed_source


def check_known(notebook: Any, path: Path, parameters: Mapping[str, Any], kernel: Kernel) -> list[str]:
    """Gives the parameters that papermill itself would call unknown, though the notebook sets them.

    What a cell of Python sets is told by `ast`: papermill reads it line by line, misses some names and takes the
    arguments of calls for others. Of another language it is believed; where it can read none, any name is.

    Raises:
        ParameterError: The notebook has no such cell, or no such parameter in it.
    """
    if not parameters:
        return []
    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if not cells:
        raise ParameterError(
            f"`{path.name}` has no cell tagged `parameters`; tag the cell that sets {_names(parameters)} (property "
            "inspector, cell tags)"
        )
    read = _read_by_papermill(cells[0], kernel)
    tree = parsed_source(cells[0].source) if kernel.language.lower() == "python" else None
    known = read if tree is None else list(dict.fromkeys(_assigned(tree.body)))
    for name in parameters if known is not None else ():
        if name not in (known or ()):
            raise ParameterError(
                f"`{path.name}` has no parameter `{name}`.{did_you_mean(name, known or ())} Its parameters cell sets: "
                f"{_names(known or ()) or 'nothing'}"
            )
    return [name for name in parameters if name not in (read or ())]


def _read_by_papermill(cell: Any, kernel: Kernel) -> list[str] | None:
    """Names that papermill finds; None where it cannot read the language.

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
        with quiet_papermill():  # of a line it cannot read it says so, and we say more
            return [found.name for found in translator.inspect(cell)]
    except NotImplementedError:
        return None


@contextlib.contextmanager
def quiet_papermill() -> Iterator[None]:
    """What papermill logs is said by us: it logs nothing meanwhile."""
    logger = logging.getLogger("papermill")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _assigned(statements: list[ast.stmt]) -> Iterator[str]:
    """Names that statements assign in the notebook, in order; what a function or class assigns is its own."""
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
