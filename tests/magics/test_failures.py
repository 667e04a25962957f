"""What a notebook shows of a failure: the user's own frames, one line for a slip, the run in its variable."""

from __future__ import annotations

import re
import signal

import pytest
import torch

from jupyter_train import Study, runs, train
from jupyter_train.exceptions import DataError, ModelError, TrainingInterrupted
from jupyter_train.handle.study import CrossValidation
from tests.models import LitDigits, digits

MODELS = """
import os, signal
class Wrong(LitDigits):
    def forward(self, images):
        return self.net(images[:, :63])
class Refusing(LitDigits):
    def __init__(self, hidden):
        super().__init__(hidden=hidden)
        raise ValueError('no such width') from KeyError(hidden)
class Stopped(LitDigits):
    def training_step(self, batch, batch_idx):
        os.kill(os.getpid(), signal.SIGINT)
        return super().training_step(batch, batch_idx)
def load():
    raise OSError('no data today')
"""


@pytest.fixture
def notebook(shell):
    images, labels = digits()
    shell.user_ns.update(LitDigits=LitDigits, X=images, y=labels, nn=torch.nn, torch=torch)
    shell.run_cell(MODELS).raise_error()
    return shell


def shown(notebook, capsys, cell: str) -> list[str]:
    """What a cell shows, a line each."""
    capsys.readouterr()
    notebook.run_cell(cell, store_history=True)
    captured = capsys.readouterr()
    return re.sub(r"\x1b\[[0-9;]*m", "", captured.out + captured.err).strip().splitlines()


def test_an_error_in_the_model_shows_the_users_frames_and_on_request_all(notebook, capsys) -> None:
    lines = shown(notebook, capsys, "run = %train Wrong() (X,y) --epochs 1 --quiet")
    text = "\n".join(lines)
    assert len(lines) < 30
    assert "in Wrong.forward(self, images)" in text
    assert "in LitDigits.step(self, batch, stage)" in text
    assert "pytorch_lightning" not in text
    assert lines[-3].startswith("RuntimeError: mat1 and mat2 shapes cannot be multiplied")
    assert lines[-2:] == ["`run` is this run (failed)", "`%tb` shows the whole traceback"]
    whole = "\n".join(shown(notebook, capsys, "%tb"))
    assert "pytorch_lightning" in whole
    assert "in Wrong.forward" in whole
    run = notebook.user_ns["run"]
    assert run == runs()[0]
    assert run.status == "failed"
    assert "pytorch_lightning" in run.log


def test_a_plain_modules_error_shows_the_cell_and_the_words(notebook, capsys) -> None:
    line = "run = %train nn.Sequential(nn.Linear(32,10)) (X,y) --epochs 1 --loss cross_entropy --quiet"
    lines = shown(notebook, capsys, line)
    assert len(lines) < 10
    assert "mat1 and mat2 shapes cannot be multiplied" in "\n".join(lines)


def test_the_function_shows_the_same_and_raises_the_whole(notebook, capsys) -> None:
    notebook.user_ns["train"] = train
    assert "pytorch_lightning" not in "\n".join(shown(notebook, capsys, "train(Wrong(), (X,y), epochs=1, quiet=True)"))
    with pytest.raises(RuntimeError) as caught:
        train(notebook.user_ns["Wrong"](), digits(), epochs=1, quiet=True)
    assert any("pytorch_lightning" in str(entry.path) for entry in caught.traceback)


OWN = {
    "LitDigits() load() --epochs 1": "in load()",
    "Refusing(3) (X,y) --epochs 1": "in Refusing.__init__(self, hidden)",
    "LitDigits() (X,y) --epochs 1 --callback load()": "in load()",
}


@pytest.mark.parametrize("line", OWN)
def test_what_fails_in_the_users_code_before_training_shows_where(notebook, capsys, line: str) -> None:
    text = "\n".join(shown(notebook, capsys, f"%train {line} --quiet"))
    assert OWN[line] in text
    assert "jupyter_train" not in text
    assert "KeyError: 3" in text or "Refusing" not in line
    assert len(runs()) == 0


SLIPS = {
    "LitDigits(hiden=32) (X,y)": (ModelError, "'hiden'. Did you mean `hidden`? It takes `hidden`, `lr`"),
    "nn.Liner(64,10) (X,y) --loss mse": (ModelError, "Did you mean `Linear`?"),
    "nn.Linear('a',10) (X,y) --loss mse": (ModelError, "TypeError"),
    "LitDigits() X/'a'": (DataError, "data `X/'a'`: "),
    "LitDigits() open('nope.csv')": (DataError, "No such file or directory: 'nope.csv'"),
}


@pytest.mark.parametrize("line", SLIPS)
def test_what_fails_in_the_expression_itself_is_one_line(notebook, capsys, line: str) -> None:
    error, words = SLIPS[line]
    lines = shown(notebook, capsys, f"run = %train {line} --epochs 1 --quiet")
    assert len(lines) == 1
    assert lines[0].startswith(f"{error.__name__}: ")
    assert words in lines[0]
    assert len(runs()) == 0


BOUND = {
    "%train Wrong() (X,y) --epochs 1": ("failed", "Run"),
    "%train Stopped() (X,y) --epochs 1": ("stopped", "Run"),
    "%train Wrong() (X,y) --epochs 1 --cv 2": ("failed", CrossValidation.__name__),
    "%tune Wrong(lr=lr) (X,y) lr=1e-3..1e-1 --trials 3 --maximize val_acc --epochs 1": ("failed", Study.__name__),
}


@pytest.mark.parametrize("line", BOUND)
def test_a_run_that_failed_is_in_its_variable(notebook, line: str) -> None:
    status, kind = BOUND[line]
    notebook.user_ns["run"] = "an earlier one"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    result = notebook.run_cell(f"for _ in range(1):\n    run = {line} --quiet")
    assert result.error_in_exec is not None
    run = notebook.user_ns["run"]
    assert (type(run).__name__, run.status) == (kind, status)
    assert isinstance(result.error_in_exec, TrainingInterrupted) == (status == "stopped")
    word = "study" if kind == "Study" else "run"
    assert any(f"is this {word} (" in note for note in result.error_in_exec.__notes__)


def test_what_a_cell_does_not_assign_is_bound_nowhere(notebook) -> None:
    names = set(notebook.user_ns)
    notebook.run_cell("%train Wrong() (X,y) --epochs 1 --quiet")
    notebook.run_cell("def f():\n    run = %train Wrong() (X,y) --epochs 1 --quiet\n    return run\nf()")
    assert {name for name in set(notebook.user_ns) - names if not name.startswith("_")} == {"f"}


def test_a_repeated_notebook_that_failed_is_in_its_variable(notebook, tmp_path) -> None:
    import nbformat

    cell = nbformat.v4.new_code_cell("1 / 0")
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata=kernel), tmp_path / "bad.ipynb")
    notebook.run_cell("night = %retrain bad.ipynb")
    assert (notebook.user_ns["night"].status, notebook.user_ns["night"].record.kind) == ("failed", "retrain")
