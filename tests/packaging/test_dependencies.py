"""Every declared dependency is used, and every package that is imported is declared or required by a declared one."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.packaging.conftest import ROOT

#: Required, and not by an import of ours.
_NOT_IMPORTED = {
    "cmaes": "Optuna's CmaEsSampler imports it, for `--sampler cmaes`",
    "jupyterlab": "shows the panel",
}
#: Imported where they are installed: the user's own choice, or Python's on another system.
_OPTIONAL = {"matplotlib", "onnxscript", "google", "msvcrt"}


def _name(requirement: str) -> str:
    matched = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert matched is not None
    return re.sub(r"[-_.]+", "-", matched[0]).lower()


@pytest.fixture(scope="module")
def declared(pyproject: dict[str, Any]) -> set[str]:
    return {_name(line) for line in pyproject["project"]["dependencies"]}


@pytest.fixture(scope="module")
def imported() -> set[str]:
    """Top-level modules that the package imports anywhere, its own and Python's left out."""
    names = set()
    for path in (ROOT / "jupyter_train").rglob("*.py"):
        names |= set(_imports(ast.parse(path.read_text())))
    return names - set(sys.stdlib_module_names) - {"jupyter_train"}


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def _distributions_of(module: str) -> set[str]:
    return {_name(name) for name in importlib.metadata.packages_distributions().get(module, [])}


def test_every_dependency_is_imported_or_has_its_reason(declared: set[str], imported: set[str]) -> None:
    used = set().union(*(_distributions_of(module) for module in imported))
    assert declared - used == set(_NOT_IMPORTED)


def test_every_import_comes_with_a_dependency(declared: set[str], imported: set[str]) -> None:
    direct = {
        _name(line) for name in declared for line in importlib.metadata.requires(name) or [] if "extra ==" not in line
    }
    missing = {module for module in imported - _OPTIONAL if not _distributions_of(module) & (declared | direct)}
    assert missing == set()
