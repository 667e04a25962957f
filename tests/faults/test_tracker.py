"""A tracker in trouble leaves training alone, and has every row once when it is well again."""

from __future__ import annotations

import os
import signal
import time

import pytest

from jupyter_train import train
from tests.mirrors.recording import stored
from tests.mirrors.standin import serving
from tests.mirrors.test_wandb import mirror, mirrored, offline, received, sent_counts
from tests.models import LitDigits, digits
from tests.waiting import until

pytestmark = [pytest.mark.timeout(300), pytest.mark.filterwarnings("ignore::UserWarning")]
__all__ = ["offline"]


@pytest.mark.parametrize("fault", ["errors", "slow", "hangs up"])
def test_a_server_in_trouble_leaves_training_alone_and_gets_everything(fault: str, monkeypatch, tally) -> None:
    alone = train(lambda: LitDigits(), digits(), epochs=3, seed=1, quiet=True)
    with serving() as (stand_in, url):
        for _ in tally.trials(f"W&B's server in trouble ({fault})", 1):
            stand_in.fault = fault
            monkeypatch.setenv("WANDB_MODE", "online")
            monkeypatch.setenv("WANDB_BASE_URL", url)
            monkeypatch.setenv("WANDB_API_KEY", "0123456789" * 4)
            run = train(lambda: LitDigits(), digits(), epochs=3, seed=1, quiet=True, wandb="digits")
            assert run.status == "finished"
            assert run.metrics["train_loss"].tolist() == alone.metrics["train_loss"].tolist()
            if fault != "slow":
                until(lambda: stand_in.refused > 0)
            stand_in.fault = ""
            until(lambda run=run: received(stand_in) == stored(run.folder))


def test_a_mirror_killed_twice_sends_nothing_twice(store, tally) -> None:
    run = train(lambda: LitDigits(), digits(), epochs=40, seed=1, quiet=True)
    for _ in tally.trials("W&B mirror killed twice", 1):
        for target in (100, 200):
            process = mirror(store, run.key)
            until(
                lambda target=target, process=process: (
                    process.poll() is not None or sent_counts(run.folder).get("train_loss", 0) >= target
                )
            )
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
            process.wait()
            time.sleep(1.0)
        assert mirror(store, run.key).wait(timeout=120) == 0
        assert mirrored(run.folder) == stored(run.folder)
