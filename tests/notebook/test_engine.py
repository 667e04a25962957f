"""The engine's manager: outputs are written whole and masked, and no cell counts as completed that did not run."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from papermill.iorw import load_notebook_node

from jupyter_train.exceptions import ParameterError
from jupyter_train.notebook.engine import AtomicManager, RecordedEngine
from jupyter_train.notebook.execution import NotebookExecution
from jupyter_train.store.redaction import MASK
from tests.notebook.written import write

SOURCES = ["password = 'canary-1234'", "print(1)"]


def begun(tmp_path: Path, execution: NotebookExecution | None = None, masks: bool = True) -> AtomicManager:
    notebook = load_notebook_node(str(write(tmp_path / "a.ipynb", SOURCES)))
    manager = AtomicManager(notebook, execution, masks, output_path=str(tmp_path / "out.ipynb"), progress_bar=False)
    manager.notebook_start()
    return manager


def test_secrets_are_masked_in_the_copy_and_stay_in_the_notebook(tmp_path: Path) -> None:
    manager = begun(tmp_path)
    assert manager.nb.cells[0].source == SOURCES[0]
    assert nbformat.read(tmp_path / "out.ipynb", 4).cells[0].source == f"password = '{MASK}'"
    begun(tmp_path, masks=False)
    assert nbformat.read(tmp_path / "out.ipynb", 4).cells[0].source == SOURCES[0]


def test_a_cell_that_did_not_run_stays_pending(tmp_path: Path) -> None:
    manager = begun(tmp_path)
    first = manager.nb.cells[0]
    manager.cell_start(first, 0)
    manager.cell_complete(first, 0)
    manager.notebook_complete()
    written = nbformat.read(tmp_path / "out.ipynb", 4)
    assert [cell.metadata.papermill.status for cell in written.cells] == ["completed", "pending"]
    about = written.metadata.papermill
    assert about.end_time >= about.start_time
    assert about.duration >= 0
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".tmp")]


def test_the_record_knows_the_cell_and_both_copies(tmp_path: Path, store) -> None:
    execution = NotebookExecution.begin(store, str(tmp_path / "a.ipynb"), {}, shows_progress=False)
    manager = begun(tmp_path, execution)
    manager.cell_start(manager.nb.cells[1], 1)
    assert execution.nb is manager.nb
    assert execution.saved.cells[0].source == f"password = '{MASK}'"
    execution.end(None)


def test_a_parameter_that_could_carry_code_is_refused_before_a_kernel_starts(tmp_path: Path) -> None:
    notebook = load_notebook_node(str(write(tmp_path / "a.ipynb", ["print(1)"])))
    notebook.metadata.papermill["parameters"] = {"x; import os": 1}
    with pytest.raises(ParameterError):
        RecordedEngine.execute_notebook(notebook, "python3")
