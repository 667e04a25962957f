"""Checkpoint files: killed while they are written, damaged afterwards, or made by another user."""

from __future__ import annotations

import os
import pickle
import random
import time
from pathlib import Path

import pytest
import torch

from jupyter_train import doctor, runs
from jupyter_train.api.train import train_cli_file
from jupyter_train.exceptions import StoreError
from jupyter_train.execution.checkpoint_selector import CheckpointSelector
from jupyter_train.store import MetricReader, RunFolder, open_store
from jupyter_train.training.checkpoints.format import is_valid, read, read_foreign
from tests.faults.children import Child
from tests.faults.counts import share
from tests.faults.training import checkpoints, differences, killed, resumed, whole

pytestmark = [pytest.mark.timeout(3600)]


def save_for_ever(temporary: str) -> None:
    """A run that saves one checkpoint after another, each in place of the one before."""
    from jupyter_train.run import RunStatus
    from jupyter_train.store.metrics.reader import Checkpoint
    from jupyter_train.store.run_lock import RunLock
    from jupyter_train.store.writer import Row, RunWriter
    from jupyter_train.training.checkpoints.async_writer import AsyncWriter, Snapshot

    os.environ["TMPDIR"] = temporary
    torch.set_num_threads(1)
    store = open_store()
    record = store.create_run("saves")
    folder = RunFolder(record.folder)
    RunLock(folder.lock).acquire()
    store.set_status(record.key, RunStatus.RUNNING, 1, started_at=time.time())
    writer = RunWriter(store, record.key, folder)
    saver = AsyncWriter(folder, writer, is_async=False)
    content = {"state_dict": {"weight": torch.zeros(200_000)}, "loops": {}}
    last: list[str] = []
    for step in range(1_000_000):
        writer.add(Row(step, 0.0, time.time(), [("loss", 1.0 / (step + 1))]))
        about = Checkpoint(f"checkpoints/last-step{step}.ckpt", "last", step, 0, None, 0, "")
        replaced = last.copy()
        saver.save("last", Snapshot(content, about, writer.mark(), lambda replaced=replaced: replaced))
        last = [about.path]
        writer.flush()


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_kill_while_saving_leaves_a_checkpoint_that_loads(elsewhere: bool, tmp_path, tally) -> None:
    temporary = "/dev/shm" if elsewhere and Path("/dev/shm").is_dir() else str(tmp_path)
    dice = random.Random(elsewhere)
    for _ in tally.trials("kill -9 at a random time in a save", share(8, 500)):
        child = Child(save_for_ever, temporary)
        known = len(runs(100_000))
        deadline = time.monotonic() + 30
        while len(runs(100_000)) == known or not checkpoints(runs()[0]):
            assert time.monotonic() < deadline
        time.sleep(dice.uniform(0.0, 0.05))
        acknowledged = _rows(runs()[0])
        child.kill()
        run = runs()[0]
        found = checkpoints(run)
        assert found
        assert all(is_valid(run.folder / one.path, one.sha256) for one in found)
        assert read(run.folder / found[-1].path, found[-1].sha256)["state_dict"]["weight"].shape == (200_000,)
        assert _rows(run)[: len(acknowledged)] == acknowledged
        assert [one.message for one in doctor.diagnose() if one.level is doctor.Level.BAD] == []


def _rows(run) -> list[tuple[int, float]]:
    with MetricReader(RunFolder(run.folder).metrics) as reader:
        return [(point.step, point.value) for point in reader.points("loss")]


@pytest.mark.parametrize("how", ["flipped", "truncated"])
def test_a_damaged_checkpoint_is_refused_and_an_earlier_one_serves(how: str, tally) -> None:
    """Every offset is refused before anything is read; a resume then uses the checkpoint before."""
    expected = whole("plain")
    run = killed("plain", "step", 20, "any")
    candidates = CheckpointSelector(open_store(), None)._candidates(run.record, checkpoints(run))
    newest = candidates[0]  # the one a resume would begin with
    path = run.folder / newest.path
    intact = path.read_bytes()
    dice = random.Random(how)
    for _ in tally.trials(f"a checkpoint {how} at a random offset", share(8, 200)):
        path.write_bytes(_damaged(intact, how, dice))
        with pytest.raises(StoreError, match="its hash differs"):
            read(path, newest.sha256)
    found = resumed("plain", run)
    assert differences(found, expected) == []
    assert found["attempts"][1]["checkpoint"] != newest.path
    assert any(f"checkpoint of step {newest.step} refused" in text for _, text in found["events"])


def _damaged(content: bytes, how: str, dice: random.Random) -> bytes:
    offset = dice.randrange(len(content))
    if how == "truncated":
        return content[:offset]
    return content[:offset] + bytes([content[offset] ^ (1 << dice.randrange(8))]) + content[offset + 1 :]


#: A LightningCLI file; it may name a checkpoint.
CLI_FILE = {
    "model": {"class_path": "tests.models.LitDigits"},
    "data": {"class_path": "tests.models.DigitsData"},
    "trainer": {"max_epochs": 1},
}


class _Hostile:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("ending", ["ckpt", "pt"])
@pytest.mark.parametrize("form", ["torch", "pickle", "inside"])
def test_a_file_that_carries_code_is_refused_before_it_is_unpickled(form, ending, tmp_path, tally) -> None:
    mark, path = tmp_path / "was-run", tmp_path / f"given.{ending}"
    for _ in tally.trials("hostile pickles by path", range(1)):
        if form == "pickle":
            path.write_bytes(pickle.dumps(_Hostile(mark)))
        else:
            torch.save(_Hostile(mark) if form == "torch" else {"state_dict": {}, "x": _Hostile(mark)}, path)
        with pytest.raises(StoreError, match="was not read, since such a file can carry code"):
            read_foreign(str(path))
        with pytest.raises(StoreError, match="was not read"):
            train_cli_file({**CLI_FILE, "ckpt_path": str(path)}, quiet=True)
        assert not mark.exists()


def test_a_checkpoint_swapped_for_a_hostile_one_is_not_unpickled(tmp_path) -> None:
    run = killed("plain", "step", 20, "any")
    for one in checkpoints(run):
        torch.save({"state_dict": {}, "jupyter_train": _Hostile(tmp_path / "was-run")}, run.folder / one.path)
    found = resumed("plain", run)
    assert found["attempts"][1]["from_step"] == 0
    assert found["status"] == "finished"
    assert not (tmp_path / "was-run").exists()
