"""No module reaches itself through imports of any kind, and an import inside a function spares a heavy library."""

from __future__ import annotations

import ast
import enum
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import jupyter_train

PACKAGE = Path(jupyter_train.__file__).parent
#: What `%load_ext` and a magic's first answer do without; see "Imports inside functions" in .github/ARCHITECTURE.md.
LAZY = frozenset(
    {
        *(
            "IPython",
            "ipywidgets",
            "jupyter_client",
            "jupyter_server",
            "nbclient",
            "nbconvert",
            "nbformat",
            "papermill",
        ),
        *("torch", "torchmetrics", "pytorch_lightning", "optuna", "sklearn", "scipy", "numpy", "pandas", "cloudpickle"),
        *("sqlalchemy", "alembic", "tornado", "wandb", "matplotlib", "PIL", "resvg_py", "psutil", "yaml"),
    }
)
#: Imports that spare something else.
REASONS = {
    ("jupyter_train", "jupyter_train.magics"): "`import jupyter_train` in a script registers no magics",
    ("jupyter_train.magics", "jupyter_train.service.kernel_channel"): "a shell that only unregisters answers no panel",
}


class When(enum.Enum):
    """When an import is carried out."""

    LOADING = enum.auto()
    CHECKING_TYPES = enum.auto()
    CALLING = enum.auto()


class Import(NamedTuple):
    """An import of a module by another; `name` is what is imported from a package, where it is no module."""

    when: When
    module: str
    name: str = ""


@cache
def trees() -> dict[str, ast.Module]:
    """The modules by their dotted names."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        if not {"labextension", "versions"} & set(path.relative_to(PACKAGE).parts):
            parts = ("jupyter_train", *path.relative_to(PACKAGE).with_suffix("").parts)
            found[".".join(part for part in parts if part != "__init__")] = ast.parse(path.read_text())
    return found


def imports_in(nodes: list[ast.AST], when: When = When.LOADING) -> Iterator[Import]:
    """Every import below some nodes."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (Import(when, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield Import(when, inner) if inner in trees() else Import(when, str(node.module), alias.name)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from imports_in([*node.body], When.CHECKING_TYPES)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from imports_in([*ast.iter_child_nodes(node)], When.CALLING)
        else:
            yield from imports_in([*ast.iter_child_nodes(node)], when)


@cache
def homes() -> dict[tuple[str, str], str]:
    """Where a package that imports its names when they are used has them from: it names them for type checkers."""
    return {
        (package, one.name): one.module
        for package, tree in trees().items()
        for one in imports_in([tree])
        if one.when is When.CHECKING_TYPES and one.name
    }


@cache
def imports_of(module: str) -> tuple[tuple[When, str], ...]:
    """The modules that one imports."""
    found = imports_in([trees()[module]])
    return tuple((one.when, homes().get((one.module, one.name), one.module)) for one in found)


def loads(module: str) -> frozenset[str]:
    """The heavy libraries that are imported with a module."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            packages = [name.rsplit(".", depth)[0] for depth in range(1, name.count(".") + 1)]
            waiting += [one for one in packages if one in trees()]
            waiting += [one for when, one in imports_of(name) if when is When.LOADING] if name in trees() else []
    return frozenset(name.partition(".")[0] for name in seen) & LAZY


def reaches(start: str) -> list[str]:
    """A way from a module back to itself; empty where there is none."""
    ways = {start: [start]}
    waiting = [start]
    while waiting:
        name = waiting.pop()
        for _, imported in imports_of(name):
            if imported == start:
                return [*ways[name], start]
            if imported in trees() and imported not in ways:
                ways[imported] = [*ways[name], imported]
                waiting.append(imported)
    return []


def test_no_module_reaches_itself_not_even_for_types_or_inside_functions() -> None:
    assert [way for module in trees() if (way := reaches(module))] == []


def test_an_import_inside_a_function_spares_a_heavy_library_or_has_its_reason() -> None:
    calling = [
        (name, one) for name in trees() for when, one in imports_of(name) if when is When.CALLING and one in trees()
    ]
    spare_nothing = {pair for pair in calling if not loads(pair[1]) - loads(pair[0])}
    assert spare_nothing == REASONS.keys()
