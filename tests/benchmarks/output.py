"""How large a saved panel is: a 20-epoch run, and a run of 200,000 steps."""

from __future__ import annotations

import math
import random
import time

import nbformat

from jupyter_train.panel.bundle import bundle
from jupyter_train.panel.snapshot import snapshot
from jupyter_train.run import RunStatus
from jupyter_train.store import RunFolder, RunWriter, open_store
from jupyter_train.store.writer import Row


def _size(steps: int, epochs: int) -> int:
    store = open_store()
    record = store.create_run("digits")
    store.set_status(record.key, RunStatus.RUNNING, started_at=time.time())
    writer = RunWriter(store, record.key, RunFolder(record.folder))
    noise = random.Random(1)
    for step in range(steps):
        loss = 2 * math.exp(-5 * step / steps) + 0.1 * noise.random()
        values = [("train_loss", loss), ("train_acc", 1 - loss / 3)]
        if (step + 1) % (steps // epochs) == 0:
            values += [("val_loss", loss + 0.05), ("val_acc", 0.98 - loss / 3)]
        writer.add(Row(step, step * epochs / steps, time.time(), values))
    writer.progress(stage="ended", epoch=epochs, epochs=epochs, step=steps, steps=steps, steps_per_s=800.0, eta_s=0.0)
    writer.summary(best={"metric": "val_loss", "value": 0.06, "epoch": epochs - 1, "step": steps, "mode": "min"})
    writer.close(RunStatus.FINISHED)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("%train")])
    empty = len(nbformat.writes(notebook))
    output = nbformat.v4.new_output("display_data", data=bundle(snapshot(store, record.key)))
    notebook.cells[0].outputs = [output]
    return len(nbformat.writes(notebook).encode()) - empty


def measure() -> list[dict[str, object]]:
    """Bytes that the output adds to the notebook file."""
    return [
        {"what": "20 epochs, 900 steps", "bytes in the file": _size(900, 20), "target": 30_000},
        {"what": "20 epochs, 200,000 steps", "bytes in the file": _size(200_000, 20), "target": 100_000},
    ]
