"""Which cells a run is recorded with, and which notebook and run it belongs to."""

from __future__ import annotations

import hashlib

import pytest

from jupyter_train.notebook.provenance import (
    NOTEBOOK_VARIABLE,
    PARENT_VARIABLE,
    current_shell,
    executed_cells,
    notebook_path,
    parent_run,
    provenance,
)
from jupyter_train.store.redaction import MASK

SECRET = "password = 'canary-1234'"


@pytest.fixture
def notebook(shell):
    """A shell that has run three cells, a secret in one of them."""
    for cell in ("a = 1", SECRET, "b = 'ü'"):
        shell.run_cell(cell, store_history=True).raise_error()
    return shell


def test_cells_are_recorded_in_order_with_secrets_masked(notebook) -> None:
    assert current_shell() is notebook
    sources = [cell["source"] for cell in provenance("code=full")["cells"]]
    assert sources == ["a = 1", f"password = '{MASK}'", "b = 'ü'"]


def test_cells_may_be_hashed_or_left_out(notebook) -> None:
    hashes = [hashlib.sha256(cell.encode()).hexdigest() for cell in ("a = 1", SECRET, "b = 'ü'")]
    assert provenance("code=hash") == {"cells": [{"sha256": sha256} for sha256 in hashes]}
    assert provenance("code=none") == {"cells": []}


def test_of_very_long_histories_the_newest_cells_are_kept(notebook) -> None:
    history = notebook.history_manager.input_hist_raw
    history[:] = ["", "x" * 3_000_000, "y" * 3_000_000, "z"]
    assert [cell[0] for cell in executed_cells(notebook)] == ["y", "z"]
    history[:] = ["", "a", "x" * 5_000_000]
    assert executed_cells(notebook) == []


def test_the_notebook_is_named_by_what_executes_it(notebook, monkeypatch) -> None:
    for name in (NOTEBOOK_VARIABLE, "JPY_SESSION_NAME"):
        monkeypatch.delenv(name, raising=False)
    assert notebook_path() == ""
    notebook.user_ns["__vsc_ipynb_file__"] = "/code.ipynb"
    assert notebook_path() == "/code.ipynb"
    monkeypatch.setenv("JPY_SESSION_NAME", "/server.ipynb")
    assert notebook_path() == "/server.ipynb"
    monkeypatch.setenv(NOTEBOOK_VARIABLE, "/papermill.ipynb")
    assert notebook_path() == "/papermill.ipynb"


def test_the_run_of_a_repeated_notebook_is_the_parent(monkeypatch) -> None:
    monkeypatch.setenv(PARENT_VARIABLE, "")
    assert parent_run() is None
    monkeypatch.setenv(PARENT_VARIABLE, "0199a3c2")
    assert parent_run() == "0199a3c2"
