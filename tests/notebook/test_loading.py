"""Notebooks are read in any format, and executed with their own kernel or the one that is named."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest

from jupyter_train import retrain, runs
from jupyter_train.cli import main
from jupyter_train.exceptions import NotebookError, OptionError
from tests.notebook.written import KERNEL, printed, write

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]


def old(path: Path) -> Path:
    """A notebook of format 3, which names no kernel."""
    cells = [
        {
            "cell_type": "code",
            "input": ["lr = 1"],
            "language": "python",
            "metadata": {"tags": ["parameters"]},
            "outputs": [],
            "collapsed": False,
        },
        {
            "cell_type": "code",
            "input": "print(lr)",
            "language": "python",
            "metadata": {},
            "outputs": [],
            "collapsed": False,
        },
    ]
    content = {"metadata": {"name": "old"}, "nbformat": 3, "nbformat_minor": 0, "worksheets": [{"cells": cells}]}
    path.write_text(json.dumps(content))
    return path


def without_kernel(path: Path) -> Path:
    return write(path, ["print(lr)"], "lr = 1", kernel=None)


@pytest.mark.parametrize("made", [old, without_kernel])
def test_a_notebook_that_names_no_kernel_is_executed_with_one_that_is_named(tmp_path: Path, made, capsys) -> None:
    source = made(tmp_path / "old.ipynb")
    assert main(["retrain", str(source), "-p", "lr", "3"]) == 2
    assert "names no kernel; name one: `--kernel NAME`. Installed: `python3`" in capsys.readouterr().err
    assert len(runs()) == 0
    target = tmp_path / "out.ipynb"
    assert main(["retrain", str(source), "-p", "lr", "3", "--kernel", "python3", "-o", str(target)]) == 0
    assert printed(target) == "3\n"
    assert nbformat.read(target, 4).metadata.kernelspec["name"] == "python3"
    assert [run.status for run in runs()] == ["finished"]


def test_a_kernel_says_its_language_where_the_notebook_does_not(tmp_path: Path) -> None:
    source = write(tmp_path / "nightly.ipynb", ["print(lr)"], "lr = 1", {"name": "python3", "display_name": "P"})
    retrain(source, {"lr": 3}, tmp_path / "out.ipynb")
    assert printed(tmp_path / "out.ipynb") == "3\n"


def test_a_kernel_that_is_not_here_is_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "nightly.ipynb", ["1"], kernel={**KERNEL, "name": "conda-env-x"})
    with pytest.raises(
        NotebookError, match="names the kernel `conda-env-x`, which is not installed; name one: `--kern"
    ):
        retrain(source)
    with pytest.raises(OptionError, match=r"there is no such kernel\. Did you mean `python3`\?"):
        retrain(source, kernel="python")
    assert len(runs()) == 0


def test_a_cell_without_a_source_is_no_cell(tmp_path: Path) -> None:
    source = write(tmp_path / "nightly.ipynb", ["1"])
    content = json.loads(source.read_text())
    content["cells"][0]["source"] = 1
    source.write_text(json.dumps(content))
    with pytest.raises(NotebookError, match="is not a notebook: cell 1 has no type, text source or metadata"):
        retrain(source)
    assert len(runs()) == 0
