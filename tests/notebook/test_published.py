"""Every notebook in `notebooks/` runs from top to bottom, and its outputs, new and in git, are what it promises."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from jupyter_train.cli import main
from tests.notebook.published import NOTEBOOKS, environment, text_of
from tests.shares import in_full

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]
NUMBER = r"(\d+(?:\.\d+)?)"


def numbers(pattern: str, text: str) -> list[float]:
    """The numbers of the first place where a pattern, with NUMBER for each, stands in a text."""
    found = re.search(pattern.replace("NUMBER", NUMBER), text)
    assert found is not None, f"`{pattern}` is nowhere in:\n{text}"
    return [float(value) for value in found.groups()]


def quickstart(text: str) -> None:
    (accuracy,) = numbers(r"'test_acc': NUMBER", text)
    assert accuracy >= 0.95
    predicted, labels = (re.search(rf"{word} +\[(.*)\]", text)[1].split(", ") for word in ("predicted", "labels"))
    assert sum(map(str.__eq__, predicted, labels)) >= 9


def resume(text: str) -> None:
    assert "interrupted at step 300" in text
    assert numbers(r"attempt 2 from step NUMBER: verified exact: NUMBER values up to step NUMBER", text)[2] == 299
    assert numbers(r"NUMBER(?:,\d+)? weights equal: True\n.* recorded values equal: True", text)
    resumed, whole = numbers(r"test accuracy: NUMBER resumed, NUMBER without interruption", text)
    assert resumed == whole >= 0.95
    assert "`--batch-size` was not given and is `64`" in text
    assert re.search(r"forked from interrupted-\w+ at step 480", text)
    assert re.search(r"lr +– +0.0001", text)


def detach(text: str) -> None:
    assert "trains in this process: False" in text
    assert re.search(r"cnn-\w+  was running at ", text)
    accuracy, baseline = numbers(r"finished: test accuracy NUMBER, the baseline NUMBER", text)
    assert accuracy > baseline >= 0.95
    assert re.search(r"kernel alive: False +run: running", text)
    assert re.search(r"lost at step \d+", text)
    assert re.search(r"finished; attempt 2 began at step [\d,]+: verified exact: [\d,]+ values", text)


def steer(text: str) -> None:
    paused = re.search(r"paused at step ([\d,]+) .*\s+newest step a second later: ([\d,]+)", text)
    assert paused is not None
    at, newest = (int(step.replace(",", "")) for step in paused.groups())
    assert 0 < newest <= at
    for words in ("paused", "resumed", "learning rate multiplied by 0.1", "learning rate set to 0.001", "stopped"):
        assert re.search(rf"{words} at step [\d,]+ \(from Python\)", text), words
    assert re.search(r"checkpoint manual-step\d+.ckpt written", text)
    assert re.search(r"epochs set to 50000 at step [\d,]+ \(from the command line\)", text)
    assert "set_patience: the run does not stop early" in text
    assert "set_lr: there is no parameter group 3" in text
    assert "'status': 'stopped'" in text
    losses = [numbers(rf"learning rate {rate}: val_loss NUMBER ± NUMBER over", text) for rate in ("0.1", "0.001")]
    assert all(after < before for before, after in zip(*losses, strict=True))


def nightly(text: str) -> None:
    assert re.search(r"nightly-\w+ finished", text)
    assert "exit code 1" in text
    before, now = numbers("AssertionError: validation accuracy fell from NUMBER to NUMBER in `nightly.ipynb`", text)
    assert now < before - 0.02
    assert before >= 0.95
    assert re.search(r"nightly-\w+ failed", text)


def tuning(text: str) -> None:
    tuned, default = numbers("val_loss: +NUMBER tuned, NUMBER with", text)
    assert tuned < default
    tuned, default = numbers("test accuracy: +NUMBER tuned, NUMBER with", text)
    assert tuned >= default - 0.02
    assert tuned >= 0.93
    assert re.search(r"%train Diagnosis\(lr=.*--monitor val_loss --mode min", text)


#: What the text of each notebook promises. One that is not here is executed as well.
PROMISES: dict[str, Callable[[str], None]] = {
    one.__name__: one for one in (quickstart, resume, detach, steer, nightly, tuning)
}
#: Values that make one shorter here.
SHORTER = {"tuning": ["-p", "trials", "12"]}

#: Executed in every check; the others start kernels and processes of their own, for minutes.
EVERY_CHECK = [path for path in NOTEBOOKS if path.stem in ("quickstart", "resume", "steer", "tuning")]
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def fulfilled(path: Path, notebook: Any) -> None:
    """Checks what an executed notebook says."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert [output for output in outputs if output.output_type == "error"] == []
    PROMISES.get(path.stem, lambda _text: None)(text_of(notebook))


@pytest.mark.parametrize("path", in_full(NOTEBOOKS, but=EVERY_CHECK), ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom_and_keeps_its_promises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: Path
) -> None:
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    before = path.read_bytes()
    output = tmp_path / "out.ipynb"
    assert main(["retrain", str(path), "-o", str(output), *SHORTER.get(path.stem, [])]) == 0
    fulfilled(path, nbformat.read(output, 4))
    assert path.read_bytes() == before


@every_notebook
def test_a_notebook_in_git_holds_all_of_its_outputs_or_none(path: Path) -> None:
    notebook = nbformat.read(path, 4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    counts = [cell.execution_count for cell in code]
    if any(counts):
        assert counts == list(range(1, len(code) + 1))
        fulfilled(path, notebook)
    else:
        assert [output for cell in code for output in cell.outputs] == []


@every_notebook
def test_a_notebook_in_git_shows_nothing_of_the_machine_that_executed_it(path: Path) -> None:
    text = path.read_text()
    assert len(text) < 300_000
    for private in (str(Path.home()), str(Path(__file__).parents[2]), socket.gethostname(), "/tmp/", "site-packages"):
        assert private not in text, private
    assert json.loads(text)["metadata"]["language_info"] == {"name": "python"}
    assert [cell["id"] for cell in json.loads(text)["cells"]] == [
        f"{path.stem}-{place:02}" for place in range(len(json.loads(text)["cells"]))
    ]
