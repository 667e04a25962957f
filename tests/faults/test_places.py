"""A disk that is full before a run begins or when it ends, a folder that is read-only, a store that is deleted."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from jupyter_train import doctor, train
from jupyter_train.exceptions import StoreError
from jupyter_train.store import paths
from tests.faults.children import Child
from tests.models import LitDigits, digits

pytestmark = [pytest.mark.timeout(240), pytest.mark.filterwarnings("ignore::UserWarning")]
_NEW_MOUNTS, _PRIVATE, _READ_ONLY, _REMOUNT = 0x20000, 1 << 18 | 1 << 14, 1, 32


def mount_small(path: Path) -> bool:
    """A disk of 2 MB that only this process and its children see; False where none may be mounted."""
    if sys.platform != "linux":
        return False
    path.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    steps = (
        lambda: libc.unshare(_NEW_MOUNTS),
        lambda: libc.mount(b"none", b"/", None, _PRIVATE, None),
        lambda: libc.mount(b"tmpfs", os.fsencode(path), b"tmpfs", 0, b"size=2m"),
    )
    return all(step() == 0 for step in steps)


def make_read_only(path: Path) -> None:
    ctypes.CDLL(None).mount(b"tmpfs", os.fsencode(path), b"tmpfs", _REMOUNT | _READ_ONLY, b"size=2m")


def fill(path: Path) -> None:
    with open(path / "filler", "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return


def refused(**options: Any) -> str:
    try:
        train(LitDigits(), digits(64), epochs=1, seed=1, quiet=True, **options)
    except StoreError as err:
        return str(err)
    return "began"


def begin_on_bad_disks() -> dict[str, Any] | None:
    small = Path("small").absolute()
    if not mount_small(small):
        return None
    os.environ["JUPYTER_TRAIN_HOME"] = str(small / "runs")
    found: dict[str, Any] = {"read-only": [], "full": []}
    fill(small)
    found["full"] = [refused(), refused(detach=True), *_told_by_doctor()]
    (small / "filler").unlink()
    make_read_only(small)
    found["read-only"] = [refused(), refused(detach=True), *_told_by_doctor()]
    return found


def _told_by_doctor() -> list[str]:
    return [found.message for found in doctor.diagnose() if found.level is doctor.Level.BAD]


def test_a_run_does_not_begin_on_a_full_or_read_only_disk_and_says_so_in_one_line(own_store, tally) -> None:
    for _ in tally.trials("a full or read-only disk before the start", 1):
        found = Child(begin_on_bad_disks).result()
        if found is None:
            pytest.skip("no disk can be mounted here")
        home = own_store / "small" / "runs"
        inline, detached, told = found["full"]
        for said in (inline, detached):
            assert said.startswith(f"the disk of `{home}` is full: 0.0 MB are free and the run needs ")
            assert "JUPYTER_TRAIN_HOME" in said
            assert "\n" not in said
        assert "the disk is full" in told
        inline, detached, told = found["read-only"]
        for said in (inline, detached):
            assert "read-only" in said.lower()
            assert "JUPYTER_TRAIN_HOME" in said
            assert "free" not in said
        assert told == f"run folders: `{home}` cannot be written; set `JUPYTER_TRAIN_HOME` to a folder that can"


class Fills(LitDigits):
    """Its disk is full from the second epoch on."""

    def on_train_epoch_end(self):
        if self.current_epoch == 1:
            fill(Path(os.environ["JUPYTER_TRAIN_HOME"]).parent)


def end_on_a_full_disk() -> dict[str, Any] | None:
    small = Path("small").absolute()
    if not mount_small(small):
        return None
    os.environ["JUPYTER_TRAIN_HOME"] = str(small / "runs")
    os.environ["JUPYTER_TRAIN_STORE"] = str(small / "store" / "store.db")
    paths.MIN_BYTES = 1000
    run = train(Fills(), digits(64), epochs=3, seed=1, quiet=True)
    code = "from jupyter_train import runs; run = runs()[0]; print(run.status, '|', run.record.degraded)"
    elsewhere = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = {"here": str(run.status), "elsewhere": elsewhere.stdout, "degraded": run.record.degraded}
    (small / "filler").unlink()
    deadline = time.monotonic() + 30
    while run.record.degraded and time.monotonic() < deadline:
        time.sleep(0.05)
    return found | {"later": str(run.status), "rows": len(run.metrics), "problem": run.record.degraded}


def test_a_run_that_ends_on_a_full_disk_says_how_it_ended_everywhere_and_is_whole_later(tally) -> None:
    for _ in tally.trials("a disk still full at the end", 1):
        found = Child(end_on_a_full_disk).result()
        if found is None:
            pytest.skip("no disk can be mounted here")
        assert found["here"] == "finished"
        assert found["elsewhere"].startswith("finished | recording waits: ")
        assert "how it ended is kept in its folder" in found["degraded"]
        assert (found["later"], found["rows"], found["problem"]) == ("finished", 6, "")


class Deletes(LitDigits):
    """Deletes what is named while it trains."""

    def __init__(self, path: Path):
        super().__init__()
        self.path = path

    def training_step(self, batch, batch_idx):
        if self.global_step == 20:
            shutil.rmtree(self.path) if self.path.is_dir() else self.path.unlink()
        time.sleep(0.02)
        return super().training_step(batch, batch_idx)


def train_without(name: str) -> str:
    """What reached the user; whatever threads print goes to `stderr.txt`."""
    from jupyter_train.store import writer

    writer.CLOSE_TIMEOUT_S = 0.5
    os.dup2(os.open("stderr.txt", os.O_CREAT | os.O_WRONLY, 0o600), 2)
    try:
        run = train(Deletes(Path(name).absolute()), digits(64), epochs=30, seed=1)
    except StoreError as err:
        return str(err)
    return str(run.status)


@pytest.mark.parametrize("name", ["store", "store/store.db", "runs"])
def test_no_thread_prints_a_traceback_when_the_store_is_deleted_under_a_run(own_store, name: str, tally) -> None:
    for _ in tally.trials("a store or run folders deleted during a run", 1):
        said = Child(train_without, name).result()
        printed = (own_store / "stderr.txt").read_text()
        assert "Traceback" not in printed
        if name == "runs":
            assert said == "finished"
            continue
        assert "has finished, the model is trained, and the run store is gone" in said
        [folder] = (own_store / "runs").glob("deletes-*")
        assert f"`jupyter train doctor --adopt {folder}`" in said
