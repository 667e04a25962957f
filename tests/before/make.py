"""Makes what an earlier release left behind: run once, by that release, from its checkout.

python -m tests.before.make tests/before/left.tar.xz
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

NOTEBOOK = """
%load_ext jupyter_train
from tests.before.subjects import Flowers, FlowersData
run = %train Flowers(4) FlowersData() --epochs 3 --seed 5 --name saved
"""


def make(home: Path) -> None:
    """Trains, breaks off, searches and leaves payloads behind, all below `home`."""
    import pytest

    from jupyter_train import runs, train, tune
    from jupyter_train.training.checkpoints import schedule
    from tests.before import subjects
    from tests.before.subjects import Flowers, FlowersData, Slow, Stage, StopAt
    from tests.execution.waiting import until
    from tests.notebook.written import write

    schedule.LEAST_PERIOD_S, schedule.WRITING_SHARE = 0.0, 100.0
    table = {"target": "species", "encode": "auto", "batch_size": 16, "seed": 1, "quiet": True}
    train(lambda: Flowers(stage=Stage("last")), subjects.flowers(), epochs=3, name="whole", **table)
    with pytest.raises(ValueError, match="stopped on its way"):
        train(lambda: Flowers(stage=Stage("first")), subjects.flowers(), epochs=3, name="failed",
              callback=[StopAt(13)], **table)  # fmt: skip
    train(Flowers(4), FlowersData(), epochs=1, seeds=2, seed=2, quiet=True, name="seeds")

    run = train(lambda: Slow(4, stage=Stage("away")), FlowersData(), epochs=8, seed=3, quiet=True, detach=True,
                name="detached")  # fmt: skip
    until(lambda run: (run.record.summary.get("progress") or {}).get("step", 0) >= 25, run, 120)
    run.stop()
    run.wait(60)
    folds = train(lambda: Slow(8), subjects.flowers(), epochs=4, cv=2, detach=True, name="folds", **table)
    until(lambda run: any(child.status == "finished" for child in run.children), folds, 120)
    folds.stop()
    folds.wait(60)
    usual = {"epochs": 2, "maximize": "val_acc", "seed": 4, "quiet": True, "prune": "none"}
    space = {"lr": "1e-3..1e-1:log", "hidden": [4, 8]}
    tune(lambda lr, hidden: Flowers(4, lr, hidden), FlowersData(), space=space, trials=3, name="searched", **usual)
    study = tune(lambda lr, hidden: Slow(4, lr, hidden), FlowersData(), space=space, trials=20, name="away",
                 detach=True, **usual)  # fmt: skip
    until(lambda study: any(child.status == "finished" for child in study.children), study, 120)
    study.stop()
    study.wait(60)
    notebook = write(home / "saved.ipynb", NOTEBOOK.strip().split("\n\n"))
    subprocess.run([sys.executable, "-m", "jupyter", "nbconvert", "--to", "notebook", "--execute", "--inplace",
                    str(notebook)], check=True)  # fmt: skip
    print(*(f"{run.ref} {run.status}" for run in runs()), sep="\n")


def without_paths(home: Path) -> None:
    """Replaces this checkout's path by one of the same length, and this machine's name; payloads keep their hash."""
    here = str(Path(__file__).parents[2]).encode()
    there = b"/a/" + b"project".ljust(len(here) - 3, b"_")
    with contextlib.closing(sqlite3.connect(home / "store" / "store.db")) as store, store:
        store.execute("UPDATE runs SET host = 'machine'")
        for path in home.rglob("*"):
            if not path.is_file() or here not in (content := path.read_bytes()):
                continue
            path.write_bytes(content.replace(here, there))
            if path.name == "payload.pickle":
                folder = str(path.parent)
                sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
                store.execute("UPDATE runs SET payload = ? WHERE folder = ?", (sha256, folder))


def main(target: Path) -> None:
    """Makes everything in a folder, and the archive `target` of it."""
    home = Path(tempfile.gettempdir()) / "before-left"
    home.mkdir()
    os.environ |= {
        "JUPYTER_TRAIN_STORE": str(home / "store" / "store.db"),
        "JUPYTER_TRAIN_HOME": str(home / "runs"),
        "PAUSE_S": "0.1",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    os.chdir(home)
    make(home)
    without_paths(home)
    with tarfile.open(target, "w:xz") as archive:
        archive.add(home, "left")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
