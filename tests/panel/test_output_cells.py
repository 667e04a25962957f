"""A run is shown in full in one cell; another refers to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from jupyter_train.panel.bundle import MIME_TYPE
from jupyter_train.panel.output_cells import OutputCells, bundle_for_here


def test_the_last_full_panel_of_a_run_counts() -> None:
    cells = OutputCells()
    assert not cells.is_elsewhere("run", "a")
    cells.full_at("run", "a")
    assert cells.is_elsewhere("run", "b")
    assert not cells.is_elsewhere("run", "a")
    assert not cells.is_elsewhere("other", "b")
    cells.full_at("run", "b")
    assert (cells.is_elsewhere("run", "a"), cells.is_elsewhere("run", "b")) == (True, False)


def test_a_cell_that_is_not_known_counts_as_this_one() -> None:
    cells = OutputCells()
    cells.full_at("run", "a")
    assert not cells.is_elsewhere("run", "")
    cells.full_at("run", "")
    assert not cells.is_elsewhere("run", "b")


@pytest.fixture
def enter_cell(shell, monkeypatch) -> Callable[[str], None]:
    """A front end that says which cell it executes."""

    def enter(cell: str) -> None:
        request = {"metadata": {"cellId": cell}}
        monkeypatch.setattr(shell, "kernel", SimpleNamespace(get_parent=lambda: request), raising=False)

    return enter


def test_a_second_cell_refers_to_the_first_unless_it_shows_the_run_in_full(store, enter_cell) -> None:
    key = store.create_run("digits").key
    enter_cell("first")
    for _ in range(2):
        assert bundle_for_here(store, key)[MIME_TYPE]["status"] == "queued"
    enter_cell("second")
    reference = bundle_for_here(store, key)
    assert reference[MIME_TYPE]["status"] == "reference"
    assert "its curves are shown above" in reference["text/plain"]
    assert len(json.dumps(reference)) < 2_000
    assert bundle_for_here(store, key, in_full=True)[MIME_TYPE]["status"] == "queued"
    enter_cell("first")
    assert bundle_for_here(store, key)[MIME_TYPE]["status"] == "reference"
