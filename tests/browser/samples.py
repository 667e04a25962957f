"""Panels made from a real store, for notebooks that come from elsewhere."""

from __future__ import annotations

import math
import time
from typing import Any

from jupyter_train.panel.bundle import bundle
from jupyter_train.panel.snapshot import snapshot
from jupyter_train.run import RunStatus
from jupyter_train.store import RunFolder, RunWriter, open_store
from jupyter_train.store.writer import Row

HOSTILE = '<img src=x onerror="window.hacked=1">'


def finished_bundle(name: str = "digits", message: str = "", metric: str = "loss") -> dict[str, Any]:
    """The output of a run of 400 steps with validation."""
    store = open_store()
    record = store.create_run(name, tags=[message] if message else [], note=message)
    writer = RunWriter(store, record.key, RunFolder(record.folder))
    store.set_status(record.key, RunStatus.RUNNING, started_at=time.time())
    for step in range(400):
        values = [
            (f"train_{metric}", 2 * math.exp(-step / 90) + 0.05 + 0.02 * math.sin(step)),
            ("train_acc", 1 - math.exp(-step / 70)),
        ]
        if step % 40 == 39:
            values += [
                (f"val_{metric}", 2 * math.exp(-step / 110) + 0.08),
                ("val_acc", 0.98 - math.exp(-step / 80)),
            ]
        writer.add(Row(step, step // 40, time.time(), values))
    if message:
        writer.event("warning", message)
    writer.progress(stage="ended", epoch=10, epochs=10, step=400, steps=400, steps_per_s=812.0, eta_s=0.0)
    best = 2 * math.exp(-399 / 110) + 0.08
    writer.summary(best={"metric": f"val_{metric}", "value": best, "epoch": 9, "step": 400, "mode": "min"})
    writer.close(RunStatus.FAILED if message else RunStatus.FINISHED, message)
    return bundle(snapshot(store, record.key))


def hostile_bundle() -> dict[str, Any]:
    """The same with markup in every string a user controls."""
    return finished_bundle(message=HOSTILE, metric=HOSTILE)
