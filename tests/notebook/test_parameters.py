"""Parameters: what a notebook takes, what reaches it, and what is said of names that papermill cannot read."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import numpy as np
import pytest

from jupyter_train import retrain, runs
from jupyter_train.cli import main
from jupyter_train.exceptions import OptionError, ParameterError
from jupyter_train.notebook.loading import Kernel, read_notebook
from jupyter_train.notebook.parameters import check_known
from tests.notebook.written import printed, write

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]
PYTHON = Kernel("python3", "Python 3", "python")
CELL = """%matplotlib inline
x: 'int | None' = None
a = 1; b = 2
(c, [d, *e]) = 1, (2, 3)
lr: float = 1e-3  # not == 1e-2
plain = 0
opts = dict(
    deep=2,
)
if plain:
    inner = 1
def step(given=1):
    own = 3
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write(tmp_path / "nightly.ipynb", ["1"], CELL)


@pytest.mark.parametrize("name", ["x", "a", "b", "c", "d", "e", "lr"])
def test_a_name_that_the_cell_assigns_is_taken_though_papermill_cannot_read_it(source: Path, name: str) -> None:
    assert check_known(read_notebook(source), source, {name: 7}, PYTHON) == [name]


@pytest.mark.parametrize("name", ["plain", "opts", "inner"])
def test_of_a_name_that_papermill_reads_nothing_is_said(source: Path, name: str) -> None:
    assert check_known(read_notebook(source), source, {name: 7}, PYTHON) == []


@pytest.mark.parametrize("name", ["deep", "own", "given", "step", "matplotlib"])
def test_what_is_set_nowhere_is_refused_though_papermill_would_take_it(source: Path, name: str) -> None:
    """An argument of a call and a function's own name: nothing of the notebook would read the value."""
    with pytest.raises(ParameterError, match=f"has no parameter `{name}`.*sets: `x`, `a`, `b`, `c`, `d`, `e`, `lr`"):
        check_known(read_notebook(source), source, {name: 7}, PYTHON)


def test_of_an_unknown_language_every_name_is_taken(source: Path) -> None:
    assert check_known(read_notebook(source), source, {"step": 7}, Kernel("ir", "R", "R")) == ["step"]
    with pytest.raises(ParameterError, match="papermill gives no parameters to notebooks in `logo`"):
        check_known(read_notebook(source), source, {"step": 7}, Kernel("logo", "Logo", "logo"))


def test_a_value_reaches_the_notebook_as_what_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """papermill writes a tuple and a numpy scalar as texts; NaN in the metadata is no JSON, and no editor opens it."""
    source = write(tmp_path / "nightly.ipynb", ["print(a, b, c, d, e)"], "a = 0; b = 0\nc = 0\nd = 0\ne = 0")
    target = tmp_path / "out.ipynb"
    given = {"a": {"x": [1, {"y": None}]}, "b": [{"z": 'q"'}], "c": (0.9, (1,)), "d": np.float64(0.5), "e": 1e999}
    retrain(source, given, target)
    assert printed(target) == "{'x': [1, {'y': None}]} [{'z': 'q\"'}] [0.9, [1]] 0.5 inf\n"
    kept = json.loads(target.read_text(), parse_constant=pytest.fail)["metadata"]["papermill"]["parameters"]
    assert kept == {"a": {"x": [1, {"y": None}]}, "b": [{"z": 'q"'}], "c": [0.9, [1]], "d": 0.5, "e": "inf"}
    assert "`b` is assigned in a way that papermill cannot read; it is passed all the same" in capsys.readouterr().err


def test_a_mapping_is_typed_and_goes_through_papermill(tmp_path: Path) -> None:
    import papermill

    source = write(tmp_path / "nightly.ipynb", ["print(opts)"], "opts = {}")
    target = tmp_path / "out.ipynb"
    assert main(["retrain", str(source), "-p", "opts", '[{"a": 1}]', "-o", str(target)]) == 0
    assert printed(target) == "[{'a': 1}]\n"
    given = {"opts": {"a": {"b": [1]}}}
    papermill.execute_notebook(
        str(source), str(target), parameters=given, engine_name="jupyter_train", progress_bar=False
    )
    assert printed(target) == "{'a': {'b': [1]}}\n"
    assert [run.config["parameters"] for run in runs()] == [given, {"opts": [{"a": 1}]}]


@pytest.mark.parametrize(
    ("value", "words"),
    [({1: "a"}, "has a mapping with a key that is no text"), ([{1}], "holds a set"), (1j, "is a complex")],
)
def test_what_is_wrong_with_a_value_is_said(source: Path, value: object, words: str) -> None:
    with pytest.raises(ParameterError, match=f"`plain` {words}; a parameter is a number"):
        retrain(source, {"plain": value})


@pytest.mark.parametrize("limit", [0, -3, float("inf"), "soon"])
def test_a_limit_that_is_none_is_refused(source: Path, limit: object) -> None:
    with pytest.raises(OptionError, match="expected seconds above zero"):
        retrain(source, timeout_s=limit)
    assert len(runs()) == 0


def test_a_function_repeats_with_its_own_names(shell, tmp_path: Path) -> None:
    source = write(tmp_path / "inner.ipynb", ["print(lr)"], "lr = 1")
    cell = f"def again(rate):\n    return_ = %retrain {source} -p lr {{rate}} -o out.ipynb\n    return return_\n"
    shell.run_cell(cell + "run = again(0.25)").raise_error()
    assert shell.user_ns["run"].config["parameters"] == {"lr": 0.25}
    assert nbformat.read("out.ipynb", 4).cells[-1].outputs[-1].text == "0.25\n"


VALUES = {
    '{"a": true, "b": null}': {"a": True, "b": None},
    '[true, {"a": false}]': [True, {"a": False}],
    "-1e-3": -1e-3,
    "-inf": float("-inf"),
    "{curly}": "{curly}",
    "[broken": "[broken",
    "-2": -2,
    "s": "s",
}


def test_values_are_typed_as_python_or_json_have_them(tmp_path: Path) -> None:
    names = [f"p{number}" for number in range(len(VALUES))]
    source = write(
        tmp_path / "nightly.ipynb", [f"print([{', '.join(names)}])"], "\n".join(f"{one} = 0" for one in names)
    )
    given = [word for name, text in zip(names, VALUES, strict=True) for word in ("-p", name, text)]
    assert main(["retrain", str(source), *given, "-o", str(tmp_path / "out.ipynb")]) == 0
    assert printed(tmp_path / "out.ipynb") == f"{list(VALUES.values())}\n"
