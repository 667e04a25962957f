"""A training process killed with -9 at random moments: what it acknowledged is there and whole."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from jupyter_train import runs
from jupyter_train.store import MetricReader, RunFolder
from jupyter_train.training.checkpoints.format import file_hash
from tests.waiting import until

#: Checkpoints after every epoch, however long writing takes, so that a kill often falls into one.

_TRAINS = textwrap.dedent(
    """
    from jupyter_train import train
    from jupyter_train.training.checkpoints import schedule
    from tests.models import LitDigits, digits
    schedule.WRITING_SHARE, schedule.MIN_PERIOD_S = 1.0, 0.0
    train(LitDigits(), digits(64), epochs=100000, seed=1, quiet=True)
    """
)


@pytest.mark.parametrize("seed", range(4))
def test_a_killed_training_is_lost_with_its_points_and_a_checkpoint_that_loads(seed: int) -> None:
    root = str(Path(__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", f"import sys; sys.path.insert(0, {root!r}){_TRAINS}"]
    )

    def seen() -> int:
        if not len(found := runs()):
            return 0
        with MetricReader(RunFolder(found[0].folder).metrics) as reader:
            return reader.counts().get("train_loss", 0) if reader.checkpoints() else 0

    until(lambda: seen() >= 20, process=process)
    time.sleep(random.Random(seed).uniform(0.0, 0.8))
    with MetricReader(RunFolder(runs()[0].folder).metrics) as reader:
        acknowledged = reader.counts()["train_loss"]
    process.send_signal(signal.SIGKILL)
    process.wait()
    run = runs()[0]
    assert run.status == "lost"
    with MetricReader(RunFolder(run.folder).metrics) as reader:
        steps = [point.step for point in reader.points("train_loss")]
        checkpoints = reader.checkpoints()
    assert len(steps) >= acknowledged
    assert steps == list(range(len(steps)))
    assert {checkpoint.kind for checkpoint in checkpoints} <= {"best", "last"}
    for checkpoint in checkpoints:
        assert file_hash(run.folder / checkpoint.path) == checkpoint.sha256
    assert run._weights("last")
