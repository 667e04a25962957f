"""How a repeated notebook ends: what the exit code, the record and the executed copy say of it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_train import runs
from jupyter_train.cli import main
from tests.notebook.written import TRAIN, told, write
from tests.waiting import until

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]
TRAINS = (
    TRAIN
    + """
class Told(LitDigits):
    def on_train_batch_end(self, *_):
        open('trains', 'w').close()
"""
)
STARTS = "import time\nopen('trains', 'w').close()\ntime.sleep(300)"
#: A cell that takes an Interrupt and goes on.
STUBBORN = "import time\nopen('trains', 'w').close()\ntry:\n    time.sleep(300)\nexcept KeyboardInterrupt:\n    pass"


def repeat(source: Path, target: Path) -> subprocess.Popen[str]:
    """A repetition in a process of its own, once its cell is under way."""
    command = [sys.executable, "-m", "jupyter_train.cli", "retrain", str(source), "-o", str(target), "--html"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ)
    until(Path("trains").exists, process=process)
    return process


@pytest.mark.parametrize(("number", "words"), [(signal.SIGTERM, "ended by SIGTERM"), (signal.SIGINT, "interrupted")])
def test_a_signal_ends_a_training_well_and_saves_the_notebook(tmp_path: Path, number: int, words: str) -> None:
    source = write(tmp_path / "long.ipynb", [TRAINS, "run = %train Told() data --epochs 100000 --seed 3", "print(1)"])
    process = repeat(source, tmp_path / "out.ipynb")
    process.send_signal(number)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 130
    assert (
        said.splitlines()[-1] == f"jupyter train: {words} in `long.ipynb`; the output up to there: {tmp_path}/out.ipynb"
    )
    assert "Traceback" not in said
    repeated = runs()[-1]
    assert (repeated.status, repeated.record.message) == ("stopped", words)
    child = repeated.children[0]
    assert (child.status, child.checkpoint is not None) == ("stopped", True)
    cells = told(tmp_path / "out.ipynb")
    assert [cell[0] for cell in cells] == ["completed", "failed", "pending"]
    assert "everything recorded so far is kept" in cells[1][1][0]
    assert (tmp_path / "out.html").exists()


def test_a_cell_that_takes_an_interrupt_is_the_last(tmp_path: Path) -> None:
    process = repeat(write(tmp_path / "long.ipynb", [STUBBORN, "print(1)"]), tmp_path / "out.ipynb")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    assert process.returncode == 130
    assert [cell[0] for cell in told(tmp_path / "out.ipynb")] == ["completed", "pending"]
    assert runs()[0].status == "stopped"


def test_a_second_interrupt_ends_a_cell_that_does_not_end(tmp_path: Path) -> None:
    cell = STUBBORN.replace("pass", "open('asked', 'w').close()\n    time.sleep(300)")
    process = repeat(write(tmp_path / "long.ipynb", [cell, "print(1)"]), tmp_path / "out.ipynb")
    process.send_signal(signal.SIGINT)
    until(Path("asked").exists, process=process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode == 130
    assert [cell[0] for cell in told(tmp_path / "out.ipynb")] == ["failed", "pending"]
    assert runs()[0].status == "stopped"


@pytest.mark.parametrize("is_direct", [False, True])
def test_a_dead_kernel_names_its_cell(tmp_path: Path, capsys: pytest.CaptureFixture[str], is_direct: bool) -> None:
    import papermill
    from nbclient.exceptions import DeadKernelError

    source = write(tmp_path / "dead.ipynb", ["print(1)", "import os; os.kill(os.getpid(), 9)", "print(2)"])
    target = tmp_path / "out.ipynb"
    words = "DeadKernelError: the kernel died (SIGKILL: perhaps the memory was not enough)"
    if is_direct:
        with pytest.raises(DeadKernelError):
            papermill.execute_notebook(str(source), str(target), engine_name="jupyter_train", progress_bar=False)
    else:
        assert main(["retrain", str(source), "-o", str(target)]) == 1
        assert f"{words} in `dead.ipynb`" in capsys.readouterr().err
    assert runs()[0].status == "failed"
    assert re.fullmatch(rf"cell 2( \(In \[2\]\))?: {re.escape(words)}", runs()[0].record.message)
    assert told(target) == [("completed", []), ("failed", [words]), ("pending", [])]


def test_a_cell_that_takes_too_long_has_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Though it takes the Interrupt that comes first, so that a run in it is saved, and continues."""
    source = write(tmp_path / "slow.ipynb", [STUBBORN, "print(1)"])
    assert main(["retrain", str(source), "-o", str(tmp_path / "out.ipynb"), "--timeout", "2.5"]) == 1
    said = capsys.readouterr().err
    assert "cell 1 (In [1]): CellTimeoutError: it took longer than 2.5 s in `slow.ipynb`" in said
    assert told(tmp_path / "out.ipynb") == [
        ("failed", ["CellTimeoutError: it took longer than 2.5 s"]),
        ("pending", []),
    ]
    assert runs()[0].status == "failed"


def test_a_kernel_that_does_not_start_leaves_no_running_record(tmp_path: Path, monkeypatch, capsys) -> None:
    spec = tmp_path / "share" / "kernels" / "broken"
    spec.mkdir(parents=True)
    argv = [sys.executable, "-c", "raise SystemExit(3)", "{connection_file}"]
    (spec / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "B", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share"))
    target = write(tmp_path / "out.ipynb", ["last = 'night'"])
    source = write(tmp_path / "nightly.ipynb", ["print(1)", "print(2)"])
    assert main(["retrain", str(source), "-o", str(target), "--kernel", "broken"]) == 1
    assert "`nightly.ipynb` could not be executed to its end: " in capsys.readouterr().err
    assert runs()[0].status == "failed"
    assert told(target) == [("pending", []), ("pending", [])]


def test_an_output_that_can_no_longer_be_written_ends_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write(tmp_path / "nightly.ipynb", ["import shutil; shutil.rmtree('folder')", "print(2)"])
    assert main(["retrain", str(source), "-o", str(tmp_path / "folder" / "out.ipynb")]) == 1
    assert "could not be executed to its end: FileNotFoundError" in capsys.readouterr().err
    assert runs()[0].status == "failed"


@pytest.mark.parametrize("leaving", ["import sys; sys.exit(0)", "quit()", "exit"])
def test_leaving_by_exit_is_no_failure(leaving: str, tmp_path: Path) -> None:
    source = write(tmp_path / "nightly.ipynb", [leaving, "print(2)"])
    assert main(["retrain", str(source), "-o", str(tmp_path / "out.ipynb")]) == 0
    message = "`sys.exit` in cell 1 of 2; the cells after it did not run"
    assert (runs()[0].status, runs()[0].record.message) == ("finished", message)
    assert told(tmp_path / "out.ipynb")[1] == ("pending", [])


def test_a_store_that_cannot_be_used_is_3(tmp_path: Path, monkeypatch, capsys) -> None:
    source = write(tmp_path / "nightly.ipynb", ["print(2)"])
    monkeypatch.setenv("JUPYTER_TRAIN_HOME", "/proc/runs")
    assert main(["retrain", str(source)]) == 3
    assert "cannot write to `/proc/runs`" in capsys.readouterr().err
