"""A run that waits, or is on its way to its first batch: Stop, SIGTERM and Interrupt end it at once."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time

import psutil
import pytest
import torch
from torch.utils.data import TensorDataset

from jupyter_train import get_run, runs, train, tune
from jupyter_train.config.commands import command
from jupyter_train.exceptions import RunStateError, TrainingInterrupted
from jupyter_train.execution.workers.fork_server import FORK_SERVER
from jupyter_train.run import RunStatus
from jupyter_train.store import commands, open_store
from tests.models import DigitsData, LitDigits, digits
from tests.waiting import until

pytestmark = [pytest.mark.filterwarnings("ignore::UserWarning"), pytest.mark.timeout(300)]
#: What would keep a run from its first batch: much longer than any of these tests may take.
_LONG_S = 250
_SOON_S = 20


class SlowToLoad(TensorDataset):
    """Data that takes long to be unpickled, in the process of this rank."""

    def __init__(self, rank: str):
        images, labels = digits(64)
        super().__init__(torch.from_numpy(images), torch.from_numpy(labels))
        self.rank = rank

    def __setstate__(self, state):
        self.__dict__.update(state)
        if os.environ.get("LOCAL_RANK", "0") == self.rank:
            time.sleep(_LONG_S)


class SlowToSetUp(DigitsData):
    """Data that takes long once the run is RUNNING, as a download does; says that it has begun to."""

    def setup(self, stage):
        with open("in setup", "w"):
            time.sleep(_LONG_S)


def processes_of(run) -> list[psutil.Process]:
    """Those that carry a run out."""
    found = psutil.process_iter(["cmdline"])
    return [process for process in found if run.key in (process.info["cmdline"] or [])]


def is_ended(run, words: str) -> None:
    """Waits until a run is stopped with these words, and its processes are gone."""
    until(lambda run: run.record.status is RunStatus.STOPPED, run, timeout_s=_SOON_S)
    assert run.record.message.startswith(words)
    assert run.record.ended_at is not None
    until(lambda run: not processes_of(run), run, timeout_s=_SOON_S)


def test_a_run_that_waits_obeys_stop_and_can_resume_later() -> None:
    run = train(LitDigits(), digits(64), epochs=1, quiet=True, detach=True)
    assert run.stop() == "stopped before it began"
    is_ended(run, "stopped before it began (from Python)")
    with pytest.raises(RunStateError, match="is stopped; only a running fit takes commands"):
        run.stop()
    assert run.resume().wait(60).status == "finished"


@pytest.mark.parametrize(("number", "words"), [(signal.SIGTERM, "ended by SIGTERM"), (signal.SIGINT, "interrupted")])
def test_a_run_whose_process_is_still_loading_obeys_a_signal(number: int, words: str, tmp_path) -> None:
    run = train(LitDigits(), SlowToLoad("0"), epochs=1, quiet=True, detach=True, notify=f"touch {tmp_path}/told")
    until(lambda run: run.record.pid != os.getpid(), run)
    assert run.status == "queued"
    os.kill(run.record.pid, number)
    is_ended(run, f"{words} before it began")
    until(lambda _: (tmp_path / "told").exists(), run, timeout_s=_SOON_S)


def test_a_detached_run_obeys_a_signal_before_its_first_batch(own_store) -> None:
    run = train(LitDigits(), SlowToSetUp(), epochs=1, quiet=True, detach=True)
    until(lambda _: (own_store / "in setup").exists(), run)
    os.kill(run.record.pid, signal.SIGTERM)
    is_ended(run, "ended by SIGTERM at step 0")


@pytest.mark.parametrize("is_stopped", [False, True])
def test_an_inline_run_obeys_before_its_first_batch(is_stopped: bool, own_store) -> None:
    def end() -> None:
        until(lambda _: (own_store / "in setup").exists(), None)
        if is_stopped:
            get_run(runs()[0].key).stop()
        else:
            os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=end, daemon=True).start()
    began = time.monotonic()
    if is_stopped:
        run = train(LitDigits(), SlowToSetUp(), epochs=1, quiet=True)
        assert run.record.message == "stopped before its first batch"
    else:
        with pytest.raises(TrainingInterrupted, match="interrupted at step 0"):
            train(LitDigits(), SlowToSetUp(), epochs=1, quiet=True)
    assert time.monotonic() - began < _SOON_S + 10
    assert runs()[0].status == "stopped"
    assert train(LitDigits(), digits(64), epochs=1, quiet=True).status == "finished"  # and nothing of it is left


def test_a_cell_on_two_devices_obeys_while_its_processes_wait_for_each_other(own_store) -> None:
    """The first process is deep in a library, which lets no signal through."""

    def press() -> None:
        try:
            until(lambda _: any(run.status == "running" for run in runs()), None)
        finally:
            time.sleep(1.0)  # until it waits for the other; whenever it is pressed, it must be obeyed
            os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()
    with pytest.raises(TrainingInterrupted, match="is stopped"):
        train(LitDigits(), SlowToLoad("1"), epochs=1, devices=2, accelerator="cpu", quiet=True)
    is_ended(get_run(runs()[0].key), "stopped before its first batch")


STARTS_SLOWLY = """
import sys, time
from jupyter_train.execution.workers.start_watch import StartWatch
from jupyter_train.run import RunStatus
from jupyter_train.store import RunFolder, RunWriter, open_store
from jupyter_train.store.run_lock import RunLock
from jupyter_train.training.interrupt import InterruptWatch
store = open_store()
record = store.get(sys.argv[1])
lock = RunLock(RunFolder(record.folder).lock)
lock.acquire()
watch = StartWatch(store, record)
watch.expect_writer()
with InterruptWatch() as interrupt:
    store.set_status(record.key, RunStatus.RUNNING, record.attempt, RunStatus.QUEUED)
    time.sleep(2)  # the watch looks at the run several times before it knows the writer
    watch.follow(RunWriter(store, record.key, RunFolder(record.folder)), interrupt)
    print("followed", flush=True)
    time.sleep(60)
"""


def test_a_start_is_watched_though_its_run_is_running_before_its_writer_is_there(store, python) -> None:
    run = store.create_run("slow")
    child = subprocess.Popen([python, "-c", STARTS_SLOWLY, run.key], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "followed\n"
        commands.add(store, run.key, command("stop", {}, "python"))
        assert child.wait(30) == 0
    finally:
        child.kill()
    assert (store.get(run.key).status, store.get(run.key).message) == ("stopped", "stopped before its first batch")


def test_a_search_obeys_while_its_processes_are_still_loading(monkeypatch) -> None:
    """As the second search of a kernel does, it gives them trials before they are ready; those begin again with it."""
    monkeypatch.setattr(type(FORK_SERVER), "is_warm", True)

    def end() -> None:
        until(lambda _: bool(runs()) and _running(get_run(runs()[0].key)) == 2, None)
        get_run(runs()[0].key).stop()

    threading.Thread(target=end, daemon=True).start()
    study = tune(
        LitDigits,
        SlowToLoad("0"),
        space={"lr": "1e-3..1e-1"},
        trials=4,
        epochs=1,
        parallel=2,
        minimize="train_loss",
        quiet=True,
        seed=1,
    )
    assert study.status == "stopped"
    assert [trial.state.is_finished() for trial in study.optuna.get_trials()] == [False, False]


def _running(study) -> int:
    """How many of its trials are in the hands of a process."""
    return int(study.record.summary.get("progress", {}).get("counts", {}).get("running", 0))


def test_a_run_that_was_stopped_while_it_waited_is_not_begun(store) -> None:
    record = store.create_run("digits")
    assert commands.end_queued(store, record.key, "stopped before it began")
    assert not commands.end_queued(store, record.key, "again")
    with pytest.raises(RunStateError, match="the run was stopped before it began"):
        store.set_status(record.key, RunStatus.RUNNING, 1, RunStatus.QUEUED)
    assert open_store().get(record.key).message == "stopped before it began"
