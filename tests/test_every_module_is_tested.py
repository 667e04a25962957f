"""Every module with code in it is imported by name in a test, or stands here with the test that exercises it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent
#: They measure, and assert nothing about behaviour.
NO_TESTS = TESTS / "benchmarks"

_PARITY = "tests/parity/test_parity.py compares whole fits with stock Lightning; alone it has nothing to compare with"
_MIGRATION = "an Alembic script, which only Alembic calls: tests/store/test_database.py, tests/before/test_left.py"
_SEARCH = "tests/tuning/test_search.py reads it off whole searches; alone it would need every other part of one"

REASONS = {
    "jupyter_train.config.fit_options": "declarations of options: tests/config/test_declared_once.py",
    "jupyter_train.config.json_value": "a type alias for mypy; what it types: tests/config/test_train.py",
    "jupyter_train.execution.detached_fits": "works in two processes: tests/execution/test_resume_fits.py",
    "jupyter_train.execution.worker_main": "entry point of a child process: tests/execution/test_detached.py",
    "jupyter_train.execution.workers.fork_server_main": (
        "entry point of a child process: tests/execution/workers/test_fork_server.py"
    ),
    "jupyter_train.execution.workers.start_watch": (
        "ends the process that it is in: tests/execution/workers/test_start_watch.py reads that off child processes"
    ),
    "jupyter_train.notebook.client": (
        "drives the kernel of another process under signals: tests/notebook/test_client.py"
    ),
    "jupyter_train.store.migrations.env": _MIGRATION,
    "jupyter_train.store.migrations.versions.0001_first": _MIGRATION,
    "jupyter_train.store.migrations.versions.0002_commands": _MIGRATION,
    "jupyter_train.store.migrations.versions.0003_payload": _MIGRATION,
    "jupyter_train.store.migrations.versions.0004_anchors": _MIGRATION,
    "jupyter_train.training.engine.closure": _PARITY,
    "jupyter_train.training.engine.evaluation": _PARITY,
    "jupyter_train.training.engine.log_cache": _PARITY,
    "jupyter_train.training.engine.loop": _PARITY,
    "jupyter_train.training.engine.optimization": _PARITY,
    "jupyter_train.training.engine.step": _PARITY,
    "jupyter_train.tuning.confirm": _SEARCH,
    "jupyter_train.tuning.parallel.pool": _SEARCH,
    "jupyter_train.tuning.parallel.worker": _SEARCH,
}


def modules() -> dict[str, Path]:
    """Every module of the package and its file."""
    files = sorted((ROOT / "jupyter_train").rglob("*.py"))
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in files}


def has_code(path: Path) -> bool:
    """Whether a module is more than its docstring."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in body)


def imported_in(text: str) -> Iterator[str]:
    """The names that a file imports: of modules, and of what is in them."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def imported_by_tests() -> frozenset[str]:
    files = (path for path in TESTS.rglob("*.py") if NO_TESTS not in path.parents)
    return frozenset(name for path in files for name in imported_in(path.read_text(encoding="utf-8")))


def test_every_module_is_imported_by_a_test_or_has_a_reason() -> None:
    named = imported_by_tests()
    missing = [name for name, path in modules().items() if has_code(path) and name not in named | REASONS.keys()]
    assert missing == []


def test_a_reason_is_for_a_module_that_no_test_imports() -> None:
    assert REASONS.keys() - modules().keys() == set()
    assert REASONS.keys() & imported_by_tests() == set()


def test_a_reason_names_tests_that_there_are() -> None:
    for module, reason in REASONS.items():
        tests = re.findall(r"tests/[\w/]+\.py", reason)
        assert tests, module
        assert [test for test in tests if not (ROOT / test).is_file()] == [], module


def test_an_import_is_seen_in_each_of_its_forms() -> None:
    assert set(imported_in("import a.b\ndef f():\n    from a import c, d as e\n")) == {"a.b", "a", "a.c", "a.d"}
    assert list(imported_in("from . import a\n'import b'")) == []
