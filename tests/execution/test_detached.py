"""Runs in a process of their own: the same weights, whatever happens to the process that started them."""

from __future__ import annotations

import os
import signal
import threading
import time

import psutil
import pytest

from jupyter_train import get_run, runs, train
from jupyter_train.cli import main
from jupyter_train.exceptions import JupyterTrainError, RunStateError, StoreError
from jupyter_train.execution.detached import keep_payload, relaunch, start_process
from jupyter_train.execution.workers.pickling import pickled
from jupyter_train.execution.workers.spawn import WARM_WORKER
from jupyter_train.run import RunStatus
from jupyter_train.store import open_store
from tests.kernel import data_of, started
from tests.models import DigitsData, LitDigits, are_equal, digits, weights
from tests.waiting import has_begun, until

pytestmark = [pytest.mark.filterwarnings("ignore::UserWarning"), pytest.mark.timeout(240)]


class Talking(LitDigits):
    """Prints from Python and from below it."""

    def on_train_epoch_start(self):
        print("epoch", self.current_epoch)
        os.write(2, b"from below\n")


class Slow(LitDigits):
    def training_step(self, batch, batch_idx):
        time.sleep(0.01)
        return super().training_step(batch, batch_idx)


class Failing(LitDigits):
    def training_step(self, batch, batch_idx):
        if self.global_step == 3:
            self.fail()
        return super().training_step(batch, batch_idx)

    def fail(self):
        raise ValueError("a broken step")


class Exiting(Failing):
    def fail(self):
        raise SystemExit(7)


class Dying(Failing):
    def fail(self):
        time.sleep(1.5)  # until what was trained so far is committed
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_detached_run_gives_the_weights_of_an_inline_one() -> None:
    run = train(lambda: Talking(), DigitsData(), epochs=2, seed=1, quiet=True, detach=True)
    inline = train(lambda: Talking(), DigitsData(), epochs=2, seed=1, quiet=True)
    assert run.wait(120) is run
    assert run.status == "finished"
    assert are_equal(weights(run.load_into(LitDigits())), weights(inline._module))
    assert are_equal(weights(run.model(which="last")), weights(inline._module))
    assert run.metrics["train_loss"].tolist() == inline.metrics["train_loss"].tolist()
    assert run.provenance["initial_state"] == inline.provenance["initial_state"]
    assert [line for line in run.log.splitlines() if line in ("epoch 0", "epoch 1", "from below")] == [
        "epoch 0",
        "from below",
        "epoch 1",
        "from below",
    ]
    assert not (run.folder / "payload.pickle").exists()


HOW_IT_ENDS = {
    "exception": (Failing, "ValueError: a broken step"),
    "sys.exit": (Exiting, "SystemExit: 7"),
    "signal": (Dying, "killed (SIGKILL)"),
}


@pytest.mark.parametrize("how", HOW_IT_ENDS)
def test_how_a_run_failed_is_distinguished_and_its_rows_are_kept(how: str) -> None:
    model, words = HOW_IT_ENDS[how]
    run = train(model(), digits(), epochs=2, seed=1, quiet=True, detach=True).wait(120)
    until(lambda run: run.status == "failed", run)  # a moment `lost`, until who started it has asked why
    assert words in run.record.message
    assert "memory" not in run.record.message
    assert run.metrics["train_loss"].notna().sum() == 3


def test_what_cannot_be_pickled_is_named_before_anything_starts() -> None:
    model = LitDigits()
    model.net[0].guard = threading.Lock()
    with pytest.raises(JupyterTrainError, match=r"`model\.net\.0\.guard`|`model\.net\['0'\]\.guard` cannot be taken"):
        train(model, digits(), epochs=1, quiet=True, detach=True)
    assert len(runs()) == 0


def test_a_detached_run_is_steered_through_the_store_and_from_a_shell(capsys) -> None:
    run = train(Slow(), digits(), epochs=10_000, seed=1, quiet=True, detach=True)
    until(has_begun, run)
    assert run.pause().startswith("paused at step")
    assert run.status == "paused"
    assert run.set_lr(0.5).startswith("learning rate set to 0.5")
    assert run.resume().startswith("resumed")
    assert main(["runs", "set-lr", run.ref, "factor=0.5"]) == 0
    assert "multiplied by 0.5 at step" in capsys.readouterr().out
    assert main(["runs", "set-lr", run.ref, "0"]) == 2
    assert "expected a number above 0" in capsys.readouterr().err
    assert main(["runs", "stop", run.ref]) == 0
    assert "(from the command line)" in capsys.readouterr().out
    run.wait(60)
    assert main(["runs", "stop", run.ref]) == 2
    assert "is stopped; only a running fit takes commands" in capsys.readouterr().err
    assert (run.status, run.metrics["lr"].dropna().tolist()[-1]) == ("stopped", 0.25)
    with pytest.raises(RunStateError):
        run.stop()


CELLS = """
%load_ext jupyter_train
import os, time, torch, pytorch_lightning as pl
from sklearn.datasets import load_digits
X, y = load_digits(return_X_y=True)
X = (X / 16).astype("float32")
scale = lambda x: x * 1.0
LIVE = ("queued", "running")
def wait():
    time.sleep(0.01)
class Net(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(64, 10)
    def training_step(self, batch, batch_idx):
        wait()
        loss = torch.nn.functional.cross_entropy(self.layer(scale(batch[0])), batch[1])
        self.log("train_loss", loss)
        return loss
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)
"""


def test_classes_of_the_notebook_train_on_when_the_kernel_is_killed_and_can_be_attached_to(own_store) -> None:
    with started(str(own_store)) as kernel:
        kernel.run(CELLS)
        kernel.run("run = %train Net() (X, y) --epochs 10000 --seed 1 --detach --name digits")
        assert "the kernel is free: True" in str(kernel.run("print('the kernel is free:', run.status in LIVE)"))
        run = get_run(open_store().list_runs()[0].key)
        until(has_begun, run)
        os.kill(kernel.manager.provisioner.pid, signal.SIGKILL)
    before = run.record.summary["progress"]["step"]
    until(lambda run: run.record.summary["progress"]["step"] > before + 20, run)
    assert run.status == "running"
    with started(str(own_store)) as another:
        another.run("%load_ext jupyter_train")
        shown = data_of(another.run("%runs attach digits"))
        assert [data["application/vnd.jupyter-train.run+json"]["status"] for data in shown][:1] == ["loading"]
        assert "stopped at step" in str(another.run("%runs stop digits"))
        run.wait(60)
    assert run.status == "stopped"
    until(lambda run: not psutil.pid_exists(run.record.pid), run)


def test_a_run_whose_payload_is_gone_is_not_started_again(store) -> None:
    record = store.create_run("digits")
    with pytest.raises(RunStateError):
        relaunch(store, record, {})  # it has not ended
    store.set_status(record.key, RunStatus.FAILED)
    with pytest.raises(RunStateError, match=f"what `{record.ref}` was started with is not kept"):
        relaunch(store, store.get(record.key), {})


def test_a_run_whose_process_cannot_be_started_has_failed(store, monkeypatch) -> None:
    record = store.create_run("digits")
    sha256 = keep_payload(store, record, pickled({"model": 3}, False))
    assert store.get(record.key).payload == sha256
    while (waiting := WARM_WORKER.take()) is not None:
        waiting.kill()
        waiting.wait()
    monkeypatch.setenv("TOO_LONG", "x" * 300_000)  # the system starts no process with it
    with pytest.raises(StoreError, match=f"`{record.ref}`: its process could not be started: Argument list too long"):
        start_process(store, record, sha256, None, lambda *_: None)
    found = store.get(record.key)
    assert (found.status, found.message[:35]) == (RunStatus.FAILED, "its process could not be started: A")


def test_a_payload_that_cannot_be_written_fails_its_run(store) -> None:
    record = store.create_run("digits")
    folder = get_run(record.key).folder
    (folder / "payload.pickle").mkdir()
    with pytest.raises(StoreError, match="its process could not be started"):
        keep_payload(store, record, pickled({"model": 3}, False))
    assert store.get(record.key).status is RunStatus.FAILED
