"""A run from queued to ended: what it waits for, what becomes of it when its processes are gone, how it is ended."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import psutil
import pytest

from jupyter_train import doctor, get_run, runs, train
from jupyter_train.api.runs import attach, resume
from jupyter_train.exceptions import RunStateError
from jupyter_train.panel.snapshot import snapshot
from jupyter_train.server.rows import row_of
from jupyter_train.store import open_store
from jupyter_train.store.run_index import index_entries
from tests.faults.children import Child
from tests.models import DigitsData, LitDigits, digits
from tests.waiting import has_begun, until

pytestmark = [pytest.mark.filterwarnings("ignore::UserWarning"), pytest.mark.timeout(240)]


class Gated(DigitsData):
    """Cannot be read before a file is there."""

    def __getstate__(self):
        return self.__dict__ | {"gate": str(Path("open").absolute())}

    def __setstate__(self, state):
        while not Path(state["gate"]).exists():
            time.sleep(0.02)
        self.__dict__ = state


class Slow(LitDigits):
    def training_step(self, batch, batch_idx):
        time.sleep(0.02)
        return super().training_step(batch, batch_idx)


class Interrupted(LitDigits):
    """Its process gets SIGINTs until it has ended, as from a key that is held down."""

    def on_train_start(self):
        threading.Thread(target=self.press, daemon=True).start()

    def press(self):
        while True:
            time.sleep(0.005)
            os.kill(os.getpid(), signal.SIGINT)


def start_gated() -> None:
    train(LitDigits(), Gated(), epochs=1, seed=1, quiet=True, detach=True)


def words_everywhere(run) -> list[str]:
    """What every view says of a run."""
    store = open_store()
    shot = snapshot(store, run.key)
    [row] = [row_of(store, one, "") for one in index_entries(store, 10) if one.key == run.key]
    return [str(run.status), repr(run).split("\n")[0], repr(runs()), shot["status"], row["status"]]


def test_a_queued_run_says_what_it_waits_for_and_when_all_are_gone_what_to_do() -> None:
    Child(start_gated).result()  # whoever started it is gone
    run = get_run(runs()[0].key)
    until(lambda run: "its process reads" in run.record.waits_for, run)
    for said in words_everywhere(run):
        assert "queued" in said
    assert snapshot(open_store(), run.key)["message"] == "waits for model and data, which its process reads"
    assert "queued, waits for model and data" in repr(runs())
    with pytest.raises(RunStateError, match="is queued: it waits for model and data"):
        run.resume()
    os.kill(run.record.pid, signal.SIGKILL)
    until(lambda run: not psutil.pid_exists(run.record.pid), run)
    for said in words_everywhere(run):
        assert "lost" in said
    [found] = [found for found in doctor.diagnose() if run.ref in found.message]
    assert found.message == (
        f"`{run.ref}` is recorded as queued: its process is gone, and it had not begun; `%runs resume {run.ref}` "
        "starts it again"
    )
    assert snapshot(open_store(), run.key)["message"] in found.message
    assert found.fix is not None
    found.fix()
    assert (run.record.status, run.record.message in found.message) == ("lost", True)
    threading.Timer(0.5, Path("open").touch).start()
    assert resume(run.ref) is not None
    assert attach(run.ref).status == "finished"


@pytest.mark.full
def test_attaching_to_a_queued_run_waits_for_its_end() -> None:
    run = train(LitDigits(), Gated(), epochs=1, seed=1, quiet=True, detach=True)
    assert run.status == "queued"
    threading.Timer(0.5, Path("open").touch).start()
    assert attach(run.ref).status == "finished"


def test_two_interrupts_stop_a_detached_run_as_they_stop_one_here() -> None:
    run = train(Interrupted(), digits(64), epochs=10_000, seed=1, quiet=True, detach=True).wait(120)
    assert run.status == "stopped"
    assert run.record.message.startswith("interrupted")
    until(lambda run: not psutil.pid_exists(run.record.pid), run)
    assert run.status == "stopped"


def train_on_two() -> None:
    train(Slow(), digits(), epochs=10_000, devices=2, accelerator="cpu", seed=1, quiet=True)


@pytest.mark.full
def test_sigterm_to_a_process_that_waits_for_a_run_on_two_devices_ends_both_and_the_run_is_saved() -> None:
    child = Child(train_on_two)
    until(lambda _: bool(runs()) and has_begun(get_run(runs()[0].key)), None)
    run = get_run(runs()[0].key)
    child.process.terminate()
    assert child.result() is None
    assert child.process.exitcode == -signal.SIGTERM
    assert run.status == "stopped"
    assert run.checkpoint is not None
    assert any("(SIGTERM)" in event.text for event in run.events)
    until(lambda run: not psutil.pid_exists(run.record.pid), run)
