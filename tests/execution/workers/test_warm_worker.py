"""The process that waits for the next run: taken, replaced when it no longer fits, gone with its starter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from jupyter_train import train
from jupyter_train.execution.workers import spawn, warm_worker
from jupyter_train.execution.workers.spawn import WARM_WORKER
from tests.models import LitDigits, are_equal, digits, weights
from tests.waiting import has_begun, until

pytestmark = [pytest.mark.filterwarnings("ignore::UserWarning"), pytest.mark.timeout(180)]


@pytest.fixture(autouse=True)
def nobody_waits():
    """Begins and ends without a process that waits."""
    _end_waiting()
    yield
    _end_waiting()


def _end_waiting() -> None:
    process = WARM_WORKER.take()
    if process is not None:
        process.kill()
        process.wait()


def _waiting(monkeypatch) -> int:
    WARM_WORKER.prepare(lambda: True)
    assert WARM_WORKER._process is not None
    return WARM_WORKER._process.pid


def test_a_run_is_given_to_the_process_that_waits_and_is_the_same_run(monkeypatch) -> None:
    pid = _waiting(monkeypatch)
    monkeypatch.setenv("SAID_LATER", "yes")
    run = train(lambda: Telling(), digits(), epochs=1, seed=1, quiet=True, detach=True).wait(90)
    assert (run.status, run.record.pid) == ("finished", pid)
    assert f"said yes in {os.getcwd()}" in run.log
    inline = train(lambda: LitDigits(), digits(), epochs=1, seed=1, quiet=True)
    assert are_equal(weights(run.load_into(LitDigits())), weights(inline._module))


class Telling(LitDigits):
    def on_train_start(self):
        print("said", os.environ.get("SAID_LATER"), "in", os.getcwd())


def test_it_is_not_used_when_what_torch_reads_at_import_has_changed(monkeypatch) -> None:
    pid = _waiting(monkeypatch)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert WARM_WORKER.take() is None
    assert not psutil.pid_exists(pid)


def test_one_that_died_meanwhile_is_no_loss(monkeypatch) -> None:
    psutil.Process(_waiting(monkeypatch)).kill()
    run = train(LitDigits(), digits(64), epochs=1, quiet=True, detach=True).wait(90)
    assert run.status == "finished"


def test_there_is_none_where_memory_is_short(monkeypatch) -> None:
    monkeypatch.setattr(spawn, "_MIN_FREE_BYTES", 1 << 60)
    _end_waiting()  # one that an earlier run has prepared for just now
    WARM_WORKER.prepare(lambda: True)
    assert WARM_WORKER.take() is None


STARTER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from jupyter_train.execution.workers.spawn import WARM_WORKER
WARM_WORKER.prepare(lambda: True)
print(WARM_WORKER._process.pid, flush=True)
time.sleep(1000)
"""


def test_it_leaves_when_the_process_that_started_it_is_killed() -> None:
    starter = subprocess.Popen([sys.executable, "-c", STARTER, os.getcwd()], stdout=subprocess.PIPE, text=True)
    waiting = psutil.Process(int(starter.stdout.readline()))
    starter.kill()
    starter.communicate()
    assert psutil.wait_procs([waiting], timeout=60)[1] == []


def test_the_first_detached_run_prepares_for_the_second() -> None:
    run = train(LitDigits(), digits(64), epochs=100_000, quiet=True, detach=True)
    until(has_begun, run)
    pid = until(lambda: WARM_WORKER._process).pid
    second = train(LitDigits(), digits(64), epochs=1, quiet=True, detach=True).wait(90)
    assert second.record.pid == pid
    run.stop()
    run.wait(60)


def test_what_is_likely_needed_is_imported_and_what_is_not_there_is_left_out(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "likely_module.py").write_text("")
    (tmp_path / "failing_module.py").write_text("import nothing_of_this_name")
    monkeypatch.syspath_prepend(str(tmp_path))
    warm_worker.import_all(["nothing_of_this_name", "failing_module", "likely_module"])
    assert "likely_module" in sys.modules
    assert {"failing_module", "nothing_of_this_name"}.isdisjoint(sys.modules)
    assert "jupyter_train.execution.run_attempt" in sys.modules
