"""A run that failed is bound to the name that its cell assigns, and to no other."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_train.handle import Run
from jupyter_train.handle.failure import attach_run
from jupyter_train.magics.binding import binds_failed_run


class Notebook:
    """A namespace whose `fit` fails as a magic does, and cells that call it."""

    def __init__(self, run: Run | None, error: type[BaseException] = ValueError) -> None:
        self.names: dict[str, Any] = {"__name__": "__main__", "run": "an earlier one"}
        self.names["fit"] = self._fit
        self._run = run
        self._error = error

    def _fit(self, _line: str = "") -> None:
        with binds_failed_run(self.names):
            raise attach_run(self._error("no"), self._run)

    def error_of(self, cell: str) -> BaseException:
        with pytest.raises(self._error) as caught:
            exec(compile(cell, "<cell>", "exec"), self.names)
        return caught.value


@pytest.fixture
def run(store) -> Run:
    return Run(store, store.create_run("digits").key)


@pytest.mark.parametrize("cell", ["run = fit('a')", "for _ in range(2):\n    run = fit()", "global run\nrun = fit()"])
def test_the_assigned_name_is_the_failed_run(run: Run, cell: str) -> None:
    notebook = Notebook(run)
    err = notebook.error_of(cell)
    assert notebook.names["run"] == run
    assert err.__notes__ == ["`run` is this run (queued)"]


@pytest.mark.parametrize(
    "cell",
    ["fit()", "print(fit())", "other = [fit()]", "def f():\n    run = fit()\nf()", "names = {}\nnames['run'] = fit()"],
)
def test_what_a_cell_does_not_assign_is_left_alone(run: Run, cell: str) -> None:
    notebook = Notebook(run)
    err = notebook.error_of(cell)
    assert notebook.names["run"] == "an earlier one"
    assert not hasattr(err, "__notes__")


def test_an_error_without_a_run_binds_nothing() -> None:
    notebook = Notebook(None)
    notebook.error_of("run = fit()")
    assert notebook.names["run"] == "an earlier one"


def test_an_interrupt_binds_its_run_too(run: Run) -> None:
    notebook = Notebook(run, KeyboardInterrupt)
    notebook.error_of("run = fit()")
    assert notebook.names["run"] == run


def test_what_succeeds_is_left_to_the_cell(store) -> None:
    names: dict[str, Any] = {}
    with binds_failed_run(names):
        pass
    assert names == {}
