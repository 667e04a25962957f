"""Runs spread over two processes on the CPU: one run, the weights of stock Lightning, steered together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
import torch
from pytorch_lightning.strategies import DDPStrategy

from jupyter_train import get_run, runs, train
from jupyter_train.exceptions import JupyterTrainError, TrainingInterrupted
from jupyter_train.store import open_store
from jupyter_train.training.lightning.ddp import is_ddp, strategy_for_processes
from tests.kernel import started
from tests.models import DigitsData, LitDigits, are_equal, digits, weights
from tests.shares import in_full
from tests.waiting import has_begun, until

pytestmark = [pytest.mark.filterwarnings("ignore::UserWarning"), pytest.mark.timeout(240)]
ON_TWO = {"devices": 2, "accelerator": "cpu", "seed": 1, "quiet": True}

STOCK = """
import sys
import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import DDPStrategy
from tests.models import DigitsData, LitDigits
pl.seed_everything(1, workers=True)
model = LitDigits()
pl.Trainer(max_epochs=2, devices=2, accelerator="cpu", strategy="ddp", logger=False, enable_checkpointing=False,
           enable_progress_bar=False).fit(model, DigitsData())
torch.save([tensor for tensor in model.state_dict().values()], sys.argv[1])
"""


class Slow(LitDigits):
    def training_step(self, batch, batch_idx):
        time.sleep(0.02)
        return super().training_step(batch, batch_idx)


class Waits(LitDigits):
    """Slow until its tenth step, where it waits until it may continue."""

    def training_step(self, batch, batch_idx):
        if self.global_step < 10:
            time.sleep(0.3)  # so that a checkpoint is due before
        while self.global_step == 10 and not Path("may go on").exists():
            time.sleep(0.05)
        return super().training_step(batch, batch_idx)


class OneFails(Slow):
    def training_step(self, batch, batch_idx):
        if self.global_rank == 1 and self.global_step == 3:
            raise ValueError("broken on the second")
        return super().training_step(batch, batch_idx)


def test_two_processes_train_the_model_in_place_to_the_weights_of_stock_lightning(tmp_path) -> None:
    (tmp_path / "stock.py").write_text(STOCK)
    command = [sys.executable, str(tmp_path / "stock.py"), str(tmp_path / "weights.pt")]
    subprocess.run(command, check=True, capture_output=True, env=os.environ | {"PYTHONPATH": os.getcwd()})
    made = []

    def build():
        made.append(LitDigits())
        return made[0]

    run = train(build, DigitsData(), epochs=2, num_sanity_val_steps=0, **ON_TWO)
    assert run.status == "finished"
    assert are_equal(weights(made[0]), torch.load(tmp_path / "weights.pt"))
    assert run.record.summary["progress"]["steps"] == 10  # 320 rows in batches of 32, halved
    assert run.metrics["train_loss"].notna().sum() == 10
    assert [record.key for record in open_store().list_runs()] == [run.key]
    assert not (run.folder / "payload.pickle").exists()
    again = train(made[0], DigitsData(), epochs=1, seed=1, quiet=True)
    assert f"continues from run {run.ref} (step 10)" in [event.text for event in again.events]


def test_both_processes_obey_between_the_same_two_batches() -> None:
    run = train(Slow(), digits(), epochs=10_000, detach=True, **ON_TWO)
    until(has_begun, run)
    _, at_step = run.pause().removesuffix(" (from Python)").split("paused")
    assert at_step in run.set_lr(0.25)  # nothing trains meanwhile, in either process
    assert run.set_lr(0.5).startswith("learning rate set to 0.5")
    assert run.send("checkpoint").startswith("checkpoint manual-step")
    assert run.send("set_max_epochs", epochs=2000).startswith("epochs set to 2000")
    assert at_step in run.send("set_max_epochs", epochs=2001)
    assert run.resume().startswith("resumed")
    assert "validation requested" in run.send("validate")
    assert run.stop().startswith("stopped")
    assert run.wait(60).status == "stopped"
    processes = [process for process in psutil.process_iter(["cmdline"]) if run.key in (process.info["cmdline"] or [])]
    psutil.wait_procs(processes, timeout=20)
    assert not [process for process in processes if process.is_running()]


def test_what_failed_in_the_second_process_is_reported() -> None:
    with pytest.raises(JupyterTrainError, match="rank 1: ValueError: broken on the second"):
        train(OneFails(), digits(), epochs=10, **ON_TWO)
    run = get_run(runs()[0].key)
    assert run.status == "failed"
    assert "raise ValueError" in run.log


@pytest.mark.full
def test_the_second_process_leaves_when_the_first_is_killed() -> None:
    run = train(Slow(), digits(), epochs=10_000, detach=True, **ON_TWO)
    until(has_begun, run)
    run.pause()
    others = psutil.Process(run.record.pid).children(recursive=True)
    assert len(others) == 1
    os.kill(run.record.pid, signal.SIGKILL)
    assert psutil.wait_procs(others, timeout=20)[1] == []
    until(lambda run: run.status == "failed", run)
    assert "killed (SIGKILL)" in run.record.message


def test_a_run_on_two_processes_that_was_killed_resumes_exactly() -> None:
    run = train(lambda: Waits(), digits(), epochs=6, detach=True, **ON_TWO)
    until(lambda run: run.record.summary.get("last", {}) and _recorded(run) == 10 and run.checkpoint, run)
    os.kill(run.record.pid, signal.SIGKILL)
    until(lambda run: run.status == "failed", run)
    Path("may go on").touch()
    again = run.resume().wait(120)
    assert (again.status, again.record.attempt) == ("finished", 2)
    assert 0 < again.attempts[1]["from_step"] <= 10
    assert not again.attempts[1]["verified"].startswith("diverged")
    whole = train(lambda: Waits(), digits(), epochs=6, detach=True, **ON_TWO).wait(120)
    assert are_equal(weights(again.model()), weights(whole.model()))
    for name in ("train_loss", "val_loss"):
        assert again.metrics[name].dropna().tolist() == whole.metrics[name].dropna().tolist()


def _recorded(run) -> int:
    frame = run.metrics
    return int(frame["train_loss"].notna().sum()) if "train_loss" in frame else 0


@pytest.mark.parametrize("presses", in_full([1, 2], but=[1]))
def test_interrupt_ends_both_processes_and_the_cell(presses: int) -> None:
    def press() -> None:
        until(lambda _: bool(runs()) and has_begun(get_run(runs()[0].key)), None)
        for _ in range(presses):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.005)

    threading.Thread(target=press, daemon=True).start()
    model = Slow()
    before = weights(model)
    with pytest.raises(TrainingInterrupted, match="interrupted twice" if presses == 2 else "is stopped"):
        train(model, digits(), epochs=10_000, **ON_TWO)
    run = get_run(runs()[0].key)
    assert run.status == "stopped"
    assert are_equal(weights(model), before) == (presses == 2)


CELL = """
%load_ext jupyter_train
import torch, pytorch_lightning as pl
from sklearn.datasets import load_digits
X, y = load_digits(return_X_y=True)
net = torch.nn.Sequential(torch.nn.Linear(64, 10))
before = net[0].weight.detach().clone()
run = %train net ((X/16).astype('float32'),y) --loss cross_entropy --epochs 2 --devices 2 --accelerator cpu --seed 1
print(run.status, bool((net[0].weight != before).any()))
"""


def test_a_cell_of_a_notebook_trains_on_two_devices(own_store) -> None:
    with started(str(own_store)) as kernel:
        messages = kernel.run(CELL, timeout_s=180)
    assert "finished True" in str(messages)


STRATEGIES = ["ddp", "ddp_notebook", "ddp_find_unused_parameters_true", DDPStrategy(find_unused_parameters=True)]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_one_device_trains_alone_whatever_the_strategy(strategy) -> None:
    run = train(LitDigits(), digits(64), epochs=1, seed=1, quiet=True, accelerator="cpu", strategy=strategy)
    assert run.status == "finished"


def test_every_form_of_ddp_is_started_by_the_run_itself() -> None:
    forms = {
        None: "ddp",
        "auto": "ddp",
        "ddp_notebook": "ddp",
        "ddp_spawn": "ddp",
        "ddp_notebook_find_unused_parameters_true": "ddp_find_unused_parameters_true",
    }
    for given, wanted in forms.items():
        assert strategy_for_processes(given) == wanted
    assert strategy_for_processes(STRATEGIES[-1]) is STRATEGIES[-1]
    assert not is_ddp("ddpx")
    assert not is_ddp("fsdp")


@pytest.mark.full
def test_a_strategy_object_trains_on_two_processes() -> None:
    model = LitDigits()
    before = weights(model)
    run = train(model, digits(64), epochs=1, strategy=DDPStrategy(find_unused_parameters=True), **ON_TWO)
    assert run.status == "finished"
    assert not are_equal(weights(model), before)


def test_a_worker_takes_no_other_run_for_its_own(monkeypatch) -> None:
    """The variable that marks a shared run travels to every child process; only the same run is shared."""
    run = train(LitDigits(), digits(), epochs=1, quiet=True, seed=1)
    monkeypatch.setenv("JUPYTER_TRAIN_OWNED_RUN", "another")
    command = [sys.executable, "-m", "jupyter_train.execution.worker_main", run.key, "0" * 64]
    assert subprocess.run(command, check=False).returncode == 1  # it would train; its payload is gone
    assert "payload.pickle` cannot be read" in (run.folder / "crash.txt").read_text()


class OneFailsInItsLastBatch(LitDigits):
    """Batch statistics; the second process fails in the forward of an epoch's last batch."""

    def __init__(self, is_broken: bool):
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Linear(64, 16), torch.nn.BatchNorm1d(16), torch.nn.Linear(16, 10))
        self.is_broken = is_broken

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        if self.is_broken and self.global_rank == 1 and self.global_step == 11:
            raise ValueError("broken on the second")
        return loss


@pytest.mark.full
def test_a_run_whose_second_process_failed_in_a_batch_resumes_exactly() -> None:
    options = ON_TWO | {"epochs": 4}
    whole = train(lambda: OneFailsInItsLastBatch(False), digits(), **options)
    with pytest.raises(JupyterTrainError, match="rank 1: ValueError: broken on the second"):
        train(lambda: OneFailsInItsLastBatch(True), digits(), **options)
    run = get_run(runs()[0].key)
    [said] = [event.text for event in run.events if "a resume" in event.text]
    assert said.startswith("no checkpoint of step 11, in whose middle the run failed: a resume continues from step 8")
    again = train(lambda: OneFailsInItsLastBatch(False), digits(), resume=run.ref, **options)
    assert (again.status, again.attempts[1]["from_step"]) == ("finished", 8)
    assert are_equal(weights(again.model()), weights(whole.model()))
    for name in ("train_loss", "val_loss"):
        assert again.metrics[name].dropna().tolist() == whole.metrics[name].dropna().tolist()
