"""SIGTERM: saved, said, and then the process ends by the signal."""

from __future__ import annotations

import signal
import time

import pytest

from jupyter_train import runs
from tests.faults.children import Child
from tests.faults.training import carry_out, checkpoints, differences, resumed, whole

pytestmark = [pytest.mark.timeout(300)]


@pytest.mark.parametrize("name", ["augmented", "metrics"])
def test_a_terminated_run_saves_itself_and_resumes_exactly(name: str, tally) -> None:
    expected = whole(name)
    for _ in tally.trials("ended by SIGTERM", range(2)):
        before = len(runs(100_000))
        child = Child(carry_out, name, None, {"only_at": 5, "slowly": 0.15})
        while not (len(runs(100_000)) > before and checkpoints(runs()[0])):
            time.sleep(0.01)
        child.process.terminate()
        assert child.result() is None
        assert child.process.exitcode == -signal.SIGTERM
        run = runs()[0]
        assert run.status == "stopped"
        assert run.record.message.startswith("ended by SIGTERM at step ")
        step = max(one.step for one in checkpoints(run))
        assert f"step {step};" in run.record.message
        assert differences(tally.began(resumed(name, run)), expected) == []
