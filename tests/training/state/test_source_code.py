"""The source of what is trained: found wherever the class was written, and a resume with another one refused."""

from __future__ import annotations

import hashlib
import inspect

import pytest
from lightning_fabric.utilities.device_dtype_mixin import _DeviceDtypeModuleMixin

from jupyter_train import get_run, runs
from jupyter_train.exceptions import ChangedError
from jupyter_train.training.state.source_code import read_sources, source_diff
from tests.models import LitDigits, digits

CELL = """
class Lit(LitDigits):
    factor = 1.0

    @property
    def shown(self):
        return 1

    def training_step(self, batch, batch_idx):
        return self.step(batch, "train") * self.factor
"""


@pytest.fixture
def notebook(shell):
    images, labels = digits(64)
    shell.user_ns.update(LitDigits=LitDigits, X=images, y=labels)
    return shell


def typed(notebook, cell: str) -> None:
    notebook.run_cell(cell, store_history=True).raise_error()


def source(notebook) -> dict[str, str]:
    typed(notebook, "model = Lit()")
    return read_sources({"model": notebook.user_ns["model"]}, keeps_text=True)["model"]


def test_the_source_of_a_class_in_a_cell_is_that_cells(notebook) -> None:
    typed(notebook, CELL)
    first = source(notebook)
    assert first["text"].startswith("class Lit(LitDigits):\n    factor = 1.0")
    assert inspect.getsource(LitDigits) in first["text"], "the class it is derived from is the user's too"
    assert "_DeviceDtypeModuleMixin" not in first["text"]
    typed(notebook, CELL.replace("factor = 1.0", "factor = 7.0"))
    second = source(notebook)
    assert second["sha256"] != first["sha256"]
    lines = source_diff({"model": first}, {"model": notebook.user_ns["model"]}, keeps_text=True)
    assert lines[0] == "the source of the model `Lit` has changed"
    assert "    -    factor = 1.0" in lines
    assert "    +    factor = 7.0" in lines
    assert source_diff({"model": second}, {"model": notebook.user_ns["model"]}, keeps_text=True) == []


def test_a_run_resumes_with_no_other_class_of_its_name(notebook) -> None:
    typed(notebook, CELL)
    typed(notebook, "run = %train Lit() (X,y) --epochs 1 --seed 1 --quiet")
    ref = runs()[0].ref
    typed(notebook, CELL.replace("factor = 1.0", "factor = 7.0"))
    with pytest.raises(ChangedError, match="the source of the model `Lit` has changed"):
        typed(notebook, f"%train Lit() (X,y) --epochs 2 --resume {ref} --quiet")
    assert get_run(ref).status == "finished"
    typed(notebook, CELL)
    typed(notebook, f"%train Lit() (X,y) --epochs 2 --resume {ref} --quiet")
    assert get_run(ref).record.attempt == 2


def test_what_earlier_releases_recorded_still_is_the_same(notebook) -> None:
    """They took the source of Lightning's base for that of a class in a cell, and added it to that of any other."""
    typed(notebook, CELL)
    base = inspect.getsource(_DeviceDtypeModuleMixin)
    before = hashlib.sha256(f"{inspect.getsource(LitDigits)}\n{base}".encode()).hexdigest()
    for model in ("Lit()", "LitDigits()"):
        typed(notebook, f"model = {model}")
        trained = {"model": notebook.user_ns["model"]}
        assert source_diff({"model": {"class": "Lit", "sha256": before, "text": ""}}, trained, True) == []
        assert len(source_diff({"model": {"class": "Lit", "sha256": "0" * 64, "text": ""}}, trained, True)) == 1


def test_a_process_that_does_not_know_the_cell_says_nothing_of_the_class(notebook) -> None:
    typed(notebook, CELL)
    typed(notebook, "run = %train Lit() (X,y) --epochs 1 --seed 1 --quiet --detach")
    run = notebook.user_ns["run"].wait(120)
    assert run.status == "finished"
    assert "model" not in run.provenance["sources"]
    typed(notebook, f"%train Lit() (X,y) --epochs 2 --resume {run.ref} --quiet")
    assert (run.record.attempt, run.status) == (2, "finished")
    typed(notebook, "here = %train Lit() (X,y) --epochs 1 --seed 1 --quiet")
    typed(notebook, "there = here.resume(epochs=2, detach=True)")
    there = notebook.user_ns["there"].wait(120)
    assert (there.record.attempt, there.status) == (2, "finished")
