"""`jupyter train`: the same functions from a shell."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_train import compare, get_run, runs, train
from jupyter_train.cli import main
from jupyter_train.exceptions import StoreError
from tests.models import LitDigits, digits

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture
def two_runs():
    first = train(LitDigits(), digits(), epochs=1, seed=1, quiet=True, name="first", lr=1e-3, tag=["a"])
    second = train(LitDigits(), digits(), epochs=2, seed=1, quiet=True, name="second", lr=1e-2)
    return first, second


def test_list_show_note_compare_rm_gc(two_runs, capsys, tmp_path: Path) -> None:
    first, second = two_runs
    assert main(["runs"]) == 0
    listed = capsys.readouterr().out
    assert first.ref in listed
    assert second.ref in listed
    assert main(["runs", "show", first.ref]) == 0
    assert "train_loss" in capsys.readouterr().out
    assert main(["runs", "note", first.ref, "a", "note"]) == 0
    assert get_run(first.ref).notes == "a note"
    assert main(["runs", "compare", first.ref, second.ref, "-o", str(tmp_path / "both.png")]) == 0
    shown = capsys.readouterr().out
    assert "lr" in shown
    assert "0.001" in shown
    assert (tmp_path / "both.png").read_bytes().startswith(b"\x89PNG")
    folder = first.folder
    (folder / ".leftover.tmp").write_bytes(b"12345")
    assert main(["runs", "gc"]) == 0
    assert "1 leftover files (5 bytes)" in capsys.readouterr().out
    assert main(["runs", "rm", first.ref, second.ref]) == 0
    assert len(runs()) == 0
    assert not folder.exists()
    assert "no longer in the store" in repr(first)


def test_a_verb_of_another_tool_is_answered_with_the_own_one(capsys) -> None:
    assert main(["runs", "delete", "digits-k3f9"]) == 2
    assert "write `jupyter train runs rm digits-k3f9`" in capsys.readouterr().err


def test_comparison_names_the_options_that_differ(two_runs) -> None:
    differences = compare(*two_runs).differences
    assert differences["lr"] == [1e-3, 1e-2]
    assert differences["epochs"] == [1, 2]
    assert "seed" not in differences


def test_curves_are_written_as_svg_and_png(two_runs, tmp_path: Path) -> None:
    run = two_runs[0]
    assert run.save_curves(tmp_path / "curves.svg").read_text().startswith("<svg")
    assert run.save_curves(tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(StoreError, match=r"\.svg` or `\.png`"):
        run.save_curves(tmp_path / "curves.gif")
    run.metrics.to_parquet(tmp_path / "metrics.parquet")
    run.metrics.to_csv(tmp_path / "metrics.csv")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["runs", "show", "nope"], 3, "no run is called `nope`"),
        (["runs", "compare", "a"], 2, "two runs or more"),
        (["retrain", "nope.ipynb"], 2, "there is no notebook"),
    ],
)
def test_errors_are_one_line_with_an_exit_code(arguments, code, words, capsys) -> None:
    assert main(arguments) == code
    printed = capsys.readouterr().err
    assert words in printed
    assert printed.count("\n") == 1


def test_jupyter_finds_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "jupyter", "train", "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "retrain" in done.stdout


def test_old_runs_are_listed_and_drawn_in_a_new_process(two_runs) -> None:
    code = (
        f"import jupyter_train; run = jupyter_train.get_run({two_runs[0].ref!r}); print(len(run.metrics)); print(run)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] == str(len(two_runs[0].metrics))
    assert f"{two_runs[0].ref}  finished" in done.stdout
