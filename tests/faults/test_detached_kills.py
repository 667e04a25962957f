"""Detached runs killed at random moments, in every way: the status is right and no acknowledged row is lost.

`JUPYTER_TRAIN_KILLS=100` kills a hundred; the few by default are the share of every check.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from jupyter_train import get_run, runs
from jupyter_train.store import MetricReader, RunFolder, run_queries
from tests.waiting import until

pytestmark = [pytest.mark.timeout(180)]

KILLS = int(os.environ.get("JUPYTER_TRAIN_KILLS", "5"))
ROOT = str(Path(__file__).parents[2])
#: A process that starts a run and stays, as a kernel would.
STARTER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from jupyter_train import train
from tests.models import LitDigits, digits
train(LitDigits(), digits(64), epochs=100000, seed=1, quiet=True, detach=True)
time.sleep(1000)
"""
#: How a run dies, whether its starter died before, and what may be said of it.
WAYS = (
    (signal.SIGKILL, False, {"failed"}),
    (signal.SIGTERM, False, {"failed", "stopped"}),
    (signal.SIGINT, False, {"failed", "stopped"}),
    (signal.SIGSEGV, False, {"failed"}),
    (signal.SIGKILL, True, {"lost"}),
    (signal.SIGTERM, True, {"failed", "stopped", "lost"}),
)


def _worker(run) -> psutil.Process | None:
    """The process that carries the run out, found by its command line, as its number may not be known yet."""
    for process in psutil.process_iter(["cmdline"]):
        if run.key in (process.info["cmdline"] or []):
            return process
    return None


def _points(run) -> list[tuple[int, float]]:
    with MetricReader(RunFolder(run.folder).metrics) as reader:
        return [(point.step, point.value) for point in reader.points("train_loss")]


@pytest.mark.parametrize("seed", range(KILLS))
def test_a_killed_run_says_so_and_keeps_what_it_acknowledged(seed: int, monkeypatch) -> None:
    monkeypatch.setattr(run_queries, "QUEUED_TIMEOUT_S", 1.0)
    dice = random.Random(seed)
    how, is_orphan, expected = WAYS[seed % len(WAYS)]
    starter = subprocess.Popen([sys.executable, "-W", "ignore", "-c", STARTER, ROOT])
    try:
        until(lambda: len(runs()))
        run = get_run(runs()[0].key)
        worker = until(lambda: _worker(run))
        # before the first import, in the middle of a step, or anywhere between
        time.sleep(dice.uniform(0.0, 8.0))
        if is_orphan:
            starter.kill()
            starter.wait()
        acknowledged = _points(run) if (run.folder / "metrics.db").exists() else []
        worker.send_signal(how)
        psutil.wait_procs([worker], timeout=60)
        status = until(lambda: str(run.status) if str(run.status) in expected else "", timeout_s=20)
        time.sleep(0.3)
        assert str(run.status) == status, "a status that was final has changed"
        assert _points(run)[: len(acknowledged)] == acknowledged
        assert _worker(run) is None
    finally:
        starter.kill()
        starter.wait()
