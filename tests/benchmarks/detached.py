"""How long after `--detach` the first step is recorded: the first such run of a process, and the second."""

from __future__ import annotations

import statistics
import subprocess
import sys

REPEATS = 3
COLD = "import time; began = time.time(); import torch, pytorch_lightning, sklearn.datasets; print(time.time() - began)"
TRAINS = """
import time
from jupyter_train import train
from jupyter_train.execution.workers.spawn import WARM_WORKER
from jupyter_train.store import MetricReader, RunFolder
from tests.models import LitDigits, digits

def seconds():
    began = time.time()
    run = train(LitDigits(), digits(), epochs=100_000, quiet=True, detach=True)
    rows = []
    while not rows:
        time.sleep(0.01)
        if (run.folder / "metrics.db").exists():
            with MetricReader(RunFolder(run.folder).metrics) as reader:
                rows = reader.points("train_loss")
    return rows[0].time - began, run

first, run = seconds()
while WARM_WORKER._process is None:
    time.sleep(0.1)
time.sleep(12)  # somebody looks at the first run's curve before they start another
second, other = seconds()
for one in (run, other):
    one.stop()
    one.wait(60)
print(first, second)
"""


def measure() -> list[dict[str, object]]:
    """Seconds, medians of a few fresh processes."""
    cold, first, second = [], [], []
    for _ in range(REPEATS):
        cold.append(_said_by(COLD)[0])
        one, other = _said_by(TRAINS)
        first.append(one)
        second.append(other)
    base = statistics.median(cold)
    return [
        {"what": "importing torch, Lightning, scikit-learn", "s": round(base, 2), "target": ""},
        {"what": "first detached run", "s": round(statistics.median(first), 2), "target": f"<= {base + 1:.2f}"},
        {"what": "second detached run", "s": round(statistics.median(second), 2), "target": "<= 1"},
    ]


def _said_by(code: str) -> list[float]:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    return [float(word) for word in done.stdout.splitlines()[-1].split()]
