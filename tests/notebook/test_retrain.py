"""Repeating notebooks: parameters, progress, failures, both import orders, a broken install."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from jupyter_train import get_run, retrain, runs
from jupyter_train.cli import main
from jupyter_train.config.retrain import RetrainConfig, check_parameter
from jupyter_train.exceptions import CellFailedError, NotebookError, ParameterError
from jupyter_train.notebook.retrain import repeat
from jupyter_train.run import RunRecord
from tests.notebook.written import ROOT, TRAIN, write

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]


@pytest.mark.parametrize(
    ("source", "failure"), [("import sys; sys.exit(0)", ""), ("raise SystemExit", ""), ("import sys; sys.exit(3)", "3")]
)
def test_a_cell_that_leaves_with_nothing_wrong_is_no_failure(tmp_path: Path, source: str, failure: str) -> None:
    notebook = write(tmp_path / "nightly.ipynb", ["a = 1", source, "b = 2"])
    if failure:
        with pytest.raises(CellFailedError, match="SystemExit: 3"):
            retrain(notebook, output=tmp_path / "out.ipynb")
    else:
        retrain(notebook, output=tmp_path / "out.ipynb")
    run = get_run(runs()[0].ref)
    assert run.status == ("failed" if failure else "finished")
    assert run.record.message == (
        "cell 2 (In [2]): SystemExit: 3" if failure else "`sys.exit` in cell 2 of 3; the cells after it did not run"
    )


def test_a_parameter_reaches_the_option_and_the_runs_are_linked(tmp_path: Path, capsys) -> None:
    source = write(
        tmp_path / "nightly.ipynb",
        [TRAIN, "run = %train LitDigits() data --epochs 2 --lr {lr} --seed 3"],
        "lr = 1e-3",
    )
    before = source.read_bytes()
    run = retrain(source, {"lr": 3e-4}, tmp_path / "out.ipynb", html=True)
    assert run.status == "finished"
    assert [child.config["lr"] for child in run.children] == [3e-4]
    assert [child.config["expressions"]["lr"] for child in run.children] == ["lr"]
    assert source.read_bytes() == before
    executed = nbformat.read(tmp_path / "out.ipynb", 4)
    bundles = [out.data for cell in executed.cells for out in cell.get("outputs", []) if "data" in out]
    assert bundles[0]["application/vnd.jupyter-train.run+json"]["status"] == "finished"
    assert "data:image/svg+xml;base64" in (tmp_path / "out.html").read_text()
    assert "epoch" in capsys.readouterr().err
    child = run.children[0]
    assert child.record.notebook == str(source)
    assert any("LitDigits" in cell["source"] for cell in child.provenance["cells"])


def test_a_failing_cell_leaves_the_notebook_saved_exit_code_1_and_the_place(tmp_path: Path, capsys) -> None:
    source = write(tmp_path / "broken.ipynb", ["first = 1\nfirst", "raise ValueError('on purpose')", "never = 1"])
    code = main(["retrain", str(source), "-o", str(tmp_path / "out.ipynb")])
    assert code == 1
    assert "cell 2 (In [2]): ValueError: on purpose in `broken.ipynb`" in capsys.readouterr().err
    executed = nbformat.read(tmp_path / "out.ipynb", 4)
    outputs = [out for cell in executed.cells for out in cell.get("outputs", [])]
    assert [out.output_type for out in outputs] == ["execute_result", "error"]
    assert (runs()[0].status, runs()[0].record.kind) == ("failed", "retrain")


def test_bad_input_says_what_was_expected(tmp_path: Path, capsys) -> None:
    source = write(tmp_path / "nightly.ipynb", ["1"], "lr = 1e-3")
    plain = write(tmp_path / "plain.ipynb", ["1"])
    (tmp_path / "text.ipynb").write_text("not json")
    (tmp_path / "list.ipynb").write_text("[1]")
    for call, error, words in [
        (lambda: retrain(tmp_path / "nightli.ipynb"), NotebookError, "Did you mean `nightly.ipynb`"),
        (lambda: retrain(tmp_path / "text.ipynb"), NotebookError, "it is not JSON"),
        (lambda: retrain(tmp_path / "list.ipynb"), NotebookError, "is not a notebook"),
        (lambda: retrain(source, {"lrr": 1}), ParameterError, "Did you mean `lr`"),
        (lambda: retrain(plain, {"lr": 1}), ParameterError, "no cell tagged `parameters`"),
        (lambda: retrain(source, {}, source), NotebookError, "is never written"),
    ]:
        with pytest.raises(error) as caught:
            call()
        assert words in str(caught.value)
    assert main(["retrain", str(source), "-p", "import os", "1"]) == 2
    assert len(runs()) == 0


class Hostile(str):
    """Carries code in its repr."""

    def __repr__(self) -> str:
        return "__import__('os').system('touch hacked')"

    __str__ = __repr__


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x = 1; import os", 1),
        ("", 1),
        ("1x", 1),
        ("class", 1),
        ("é", 1),
        ("lr", object()),
        ("lr", Hostile("a")),
        ("lr", [Hostile("a")]),
        ("lr", {1: 2}),
        ("lr", {"a": {Hostile("b"): 1}}),
    ],
)
def test_a_parameter_that_could_carry_code_is_refused(name: str, value: object) -> None:
    with pytest.raises(ParameterError):
        check_parameter(name, value)


@pytest.mark.parametrize("value", [1, 1.5, "a'b\"; import os", True, None, [1, "a"], {"a": [None]}])
def test_json_values_are_parameters(value: object) -> None:
    check_parameter("lr", value)


@pytest.mark.parametrize("order", ["import papermill, jupyter_train", "import jupyter_train, papermill"])
def test_papermill_finds_the_engine_in_both_import_orders(order: str) -> None:
    code = (
        f"{order}\nfrom papermill.engines import papermill_engines as e\nprint(e.get_engine('jupyter_train').__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout == "JupyterTrainEngine\n"


@pytest.mark.parametrize("broken", ["jupyter_train/__init__.py", "jupyter_train/notebook/engine.py"])
def test_a_broken_install_of_this_package_does_not_break_papermill(tmp_path: Path, broken: str) -> None:
    import shutil

    shutil.copytree(ROOT / "jupyter_train", tmp_path / "jupyter_train", ignore=shutil.ignore_patterns("labextension"))
    (tmp_path / broken).write_text("raise RuntimeError('a broken install')")
    code = (
        "import papermill\n"
        "try:\n    import jupyter_train.notebook.engine\n    print('not broken')\n"
        "except RuntimeError:\n    print('broken, papermill imported')"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.stdout == "broken, papermill imported\n", done.stderr


def test_the_engine_serves_papermill_directly_and_records(tmp_path: Path) -> None:
    import papermill

    source = write(tmp_path / "plain.ipynb", ["print(x)"], "x = 1")
    out = papermill.execute_notebook(
        str(source), str(tmp_path / "out.ipynb"), parameters={"x": 5}, engine_name="jupyter_train", progress_bar=False
    )
    assert "5\n" in json.dumps(out) or "5\\n" in json.dumps(out)
    assert nbformat.read(tmp_path / "out.ipynb", 4).metadata.papermill.exception is None
    assert [(run.record.kind, run.status, run.config["parameters"]) for run in runs()] == [
        ("retrain", "finished", {"x": 5})
    ]


def test_the_output_is_complete_after_every_cell(tmp_path: Path) -> None:
    """Whenever another process reads the output, it is a whole notebook."""
    target = tmp_path / "out.ipynb"
    check = (
        f"import json, time\nfor _ in range(200):\n    nb = json.load(open({str(target)!r}))\n    time.sleep(0.001)\n"
        "print(sum(len(c.get('outputs', [])) for c in nb['cells']))"
    )
    source = write(tmp_path / "many.ipynb", ["print('x' * 100000)"] * 3 + [check])
    retrain(source, {}, target)
    last = nbformat.read(target, 4).cells[-1].outputs[0].text
    assert int(last) == 3


def test_quickstart_weights_are_the_same_four_ways(tmp_path: Path, shell) -> None:
    """`%train`, `%%train`, `train()` and `retrain`, same seed: bit-equal final weights."""
    import torch

    from jupyter_train import train
    from tests.models import are_equal

    cells = nbformat.read(ROOT / "notebooks" / "quickstart.ipynb", 4).cells
    sources = [cell.source for cell in cells if cell.cell_type == "code"]
    setup = [source for source in sources[:4] if "load_ext" not in source]
    for source in setup:
        shell.run_cell(source).raise_error()
    shell.user_ns["epochs"] = 3
    names = shell.user_ns
    magic_line = next(source for source in sources if "%train" in source) + " --quiet"
    shell.run_cell(magic_line).raise_error()
    by_line = names["run"]
    body = (
        "%%train --quiet\nmodel: LitDigits(hidden=hidden,lr=lr)\ndata: (images,labels)\nepochs: '{epochs}'\n"
        "seed: '{seed}'\nsplit: 0.7/0.15/0.15\nearly_stop: val_loss:5\nname: digits"
    )
    by_cell = shell.run_cell(body)
    by_cell.raise_error()
    by_call = train(
        lambda: names["LitDigits"](hidden=64, lr=3e-3),
        (names["images"], names["labels"]),
        epochs=3,
        seed=42,
        split="0.7/0.15/0.15",
        early_stop="val_loss:5",
        quiet=True,
    )
    repeated = retrain(ROOT / "notebooks" / "quickstart.ipynb", {"epochs": 3}, tmp_path / "out.ipynb").children[0]
    states = [list(run._weights("last").values()) for run in (by_line, by_cell.result, by_call, repeated)]
    assert all(are_equal(states[0], state) for state in states[1:])
    assert not torch.equal(states[0][0], torch.zeros_like(states[0][0]))


def test_cell_failed_error_is_raised_in_python(tmp_path: Path) -> None:
    source = write(tmp_path / "broken.ipynb", ["1/0"])
    with pytest.raises(CellFailedError, match="ZeroDivisionError"):
        retrain(source)


@pytest.mark.full
def test_repeating_waits_for_detached_runs_and_fails_when_one_does(tmp_path: Path, capsys) -> None:
    source = write(tmp_path / "good.ipynb", [TRAIN, "run = %train LitDigits() data --epochs 2 --seed 3 --detach"])
    run = retrain(source, {}, tmp_path / "out.ipynb")
    assert (run.status, [child.status for child in run.children]) == ("finished", ["finished"])
    broken = (
        "class Broken(LitDigits):\n    def training_step(self, batch, i):\n        raise ValueError('on purpose')\n"
    )
    source = write(tmp_path / "bad.ipynb", [TRAIN + broken, "run = %train Broken() data --epochs 2 --detach"])
    assert main(["retrain", str(source), "-o", str(tmp_path / "out.ipynb")]) == 1
    assert "failed: ValueError: on purpose in `bad.ipynb`" in capsys.readouterr().err
    assert runs()[1].status == "failed"


def test_whoever_asks_is_told_the_record_before_the_first_cell(tmp_path: Path, store, capsys) -> None:
    source = write(tmp_path / "nightly.ipynb", ["print(x)"], "x: int = 1")
    begun: list[RunRecord] = []
    done = repeat(store, RetrainConfig(str(source), {"x": 7}), begun.append)
    assert ([record.key for record in begun], begun[0].status, done.status) == ([done.key], "queued", "finished")
    assert nbformat.read(done.summary["output"], 4).cells[-1].outputs[0].text == "7\n"


@pytest.mark.parametrize(
    ("notebook", "words"),
    [
        ("https://a.org/nightly.ipynb", "is a URL; `%retrain` executes a file: download it first"),
        ("a.ipynb", "there is no"),
    ],
)
def test_what_is_no_file_is_refused_and_nobody_is_told(store, notebook: str, words: str) -> None:
    begun: list[RunRecord] = []
    with pytest.raises(NotebookError, match=words):
        repeat(store, RetrainConfig(notebook, {}), begun.append)
    assert (begun, store.list_runs()) == ([], [])
