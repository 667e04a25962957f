"""The record of a notebook's execution: its end by what its cells and its detached runs came to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest

from jupyter_train.exceptions import TrainingInterrupted
from jupyter_train.notebook.execution import NotebookExecution, describe_exit, describe_failure
from jupyter_train.run import RunStatus
from jupyter_train.store import RunFolder
from jupyter_train.store.run_lock import RunLock, is_held
from tests.waiting import until


def error(name: str, value: str) -> Any:
    return nbformat.v4.new_output("error", ename=name, evalue=value, traceback=[])


def notebook(*cells: list[Any], count: int | None = 7, **papermill: Any) -> Any:
    """A notebook whose code cells have these outputs."""
    made = [nbformat.v4.new_code_cell("x", outputs=outputs, execution_count=count) for outputs in cells]
    if made:
        made[-1].metadata["papermill"] = papermill
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# title"), *made])


@pytest.mark.parametrize(
    ("nb", "words"),
    [
        (None, ""),
        (notebook([]), ""),
        (notebook([], [error("ValueError", "no")]), "cell 3 (In [7]): ValueError: no"),
        (notebook([error("KeyError", "")], count=None), "cell 2: KeyError"),
        (notebook([error("Caught", "one"), error("Cause", "two")]), "cell 2 (In [7]): Cause: two"),
        (notebook([error("SystemExit", "0")], [error("A", "b")]), "cell 3 (In [7]): A: b"),
        (notebook([error("SystemExit", "3")]), "cell 2 (In [7]): SystemExit: 3"),
        (notebook([], exception=True), "cell 2 (In [7]) failed"),
        (notebook([], exception=None), ""),
    ],
)
def test_the_failed_cell_is_named(nb: Any, words: str) -> None:
    assert describe_failure(nb) == words


@pytest.mark.parametrize(
    ("nb", "words"),
    [
        (None, ""),
        (notebook([]), ""),
        (notebook([error("SystemExit", "")], []), "`sys.exit` in cell 2 of 3; the cells after it did not run"),
        (notebook([error("SystemExit", "0")]), "`sys.exit` in cell 2 of 2; the cells after it did not run"),
        (notebook([error("SystemExit", "3")]), ""),
    ],
)
def test_a_cell_that_leaves_early_is_named(nb: Any, words: str) -> None:
    assert describe_exit(nb) == words


@pytest.fixture
def execution(store, tmp_path: Path) -> NotebookExecution:
    return NotebookExecution.begin(store, "nightly.ipynb", {"lr": 0.1}, shows_progress=False)


def test_it_is_a_run_that_lives_until_it_ends(execution: NotebookExecution, store, tmp_path: Path) -> None:
    record = store.get(execution.record.key)
    assert (record.kind, record.status, record.name) == ("retrain", RunStatus.RUNNING, "nightly")
    assert record.notebook == str(tmp_path / "nightly.ipynb")
    assert (record.config["notebook"], record.config["parameters"]) == ("nightly.ipynb", {"lr": 0.1})
    assert execution.output == str(RunFolder(record.folder).notebook / "nightly.ipynb")
    assert store.status_of(record) is RunStatus.RUNNING
    execution.end(None)
    execution.end(ValueError("the second end is none"))
    record = store.get(record.key)
    assert (record.status, record.message) == (RunStatus.FINISHED, "")
    assert record.summary == {"output": execution.output, "runs": []}
    assert not is_held(RunFolder(record.folder).lock)


@pytest.mark.parametrize(
    ("nb", "err", "status", "message"),
    [
        (None, None, "finished", ""),
        (notebook([error("ValueError", "no")]), None, "failed", "cell 2 (In [7]): ValueError: no"),
        (notebook([error("ValueError", "no")]), KeyError("x"), "failed", "cell 2 (In [7]): ValueError: no"),
        (notebook([]), KeyError("x"), "failed", "KeyError: 'x'"),
        (notebook([]), TrainingInterrupted("ended by SIGTERM"), "stopped", "ended by SIGTERM"),
        (notebook([]), KeyboardInterrupt(), "stopped", "interrupted"),
        (
            notebook([error("SystemExit", "0")]),
            None,
            "finished",
            "`sys.exit` in cell 2 of 2; the cells after it did not run",
        ),
    ],
)
def test_it_ends_as_its_cells_did(
    execution: NotebookExecution, store, nb: Any, err: BaseException | None, status: str, message: str
) -> None:
    execution.nb = nb
    execution.end(err)
    record = store.get(execution.record.key)
    assert (record.status, record.message) == (status, message)
    assert execution.failure == (message if status == "failed" and "KeyError" not in message else "")


@pytest.mark.parametrize("detach", [True, False])
def test_a_detached_run_that_failed_fails_the_notebook(execution: NotebookExecution, store, detach: bool) -> None:
    child = store.create_run("digits", parent=execution.record.key, config={"detach": detach})
    store.set_status(child.key, RunStatus.FAILED, message="no memory")
    execution.end(None)
    record = store.get(execution.record.key)
    assert record.summary["runs"] == [child.ref]
    expected = ("failed", f"`{child.ref}` failed: no memory") if detach else ("finished", "")
    assert (record.status, record.message) == expected


def test_it_waits_for_the_runs_that_its_notebook_has_detached(execution: NotebookExecution, store) -> None:
    child = store.create_run("digits", parent=execution.record.key)
    lock = RunLock(RunFolder(child.folder).lock)
    lock.acquire()
    store.set_status(child.key, RunStatus.RUNNING)
    with execution.following():
        execution.cell_started(0)
        until(lambda: store.get(execution.record.key).heartbeat_at > execution.record.created_at)
        store.set_status(child.key, RunStatus.FINISHED)
        execution.wait_for_runs()
    lock.release()
    execution.end(None)
    assert store.get(execution.record.key).status == "finished"


def test_a_url_is_recorded_as_it_was_typed(store) -> None:
    execution = NotebookExecution.begin(store, "https://a.org/nightly.ipynb", {}, False, output="s3://bucket/out.ipynb")
    assert (execution.record.name, execution.record.notebook) == ("nightly", "https://a.org/nightly.ipynb")
    assert execution.output == "s3://bucket/out.ipynb"
    execution.end(None)
