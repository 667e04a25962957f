"""Peak memory of a fit with everything of ours on, beside stock Lightning's; and whether it grows with the steps.

Each kind is a process of its own. A checkpoint's snapshot is a copy of weights and optimizer states, so for a large
model that much more is allowed.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from typing import Any

from tests.benchmarks.recorder import _loader, _sink, be_quiet

SOAK_STEPS = 200_000
#: Width of the hidden layers: 5 thousand, and 16 million parameters.
SIZES = {"small": 64, "16 M parameters": 4000}
SNAPSHOT_MB = {"small": 0.0, "16 M parameters": 3 * 4 * 16.3}


def _module(width: int) -> Any:
    import pytorch_lightning as pl
    import torch
    from torch import nn

    class Module(pl.LightningModule):
        """Logs its loss."""

        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.Linear(width, 10))

        def training_step(self, batch, batch_idx):
            loss = nn.functional.cross_entropy(self.net(batch[0]), batch[1])
            self.log("train_loss", loss)
            return loss

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), 1e-3)

    return Module()


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _train(kind: str, size: str, steps: int) -> None:
    import pytorch_lightning as pl

    marks: list[float] = []

    class Marks(pl.Callback):
        """Peak memory after the first tenth."""

        def on_train_epoch_end(self, trainer, pl_module):
            if not marks and trainer.global_step >= steps // 10:
                marks.append(_peak_mb())

    module, loader = _module(SIZES[size]), _loader()
    if kind == "stock":
        trainer = pl.Trainer(
            max_steps=steps,
            max_epochs=-1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            accelerator="cpu",
            callbacks=[Marks()],
        )
        trainer.fit(module, loader)
    else:
        from jupyter_train.api import train as api
        from jupyter_train.panel.viewers import VIEWERS

        api.current_display = _sink
        VIEWERS.is_watched = lambda _run: True
        api.train(module, loader, max_steps=steps, max_epochs=-1, seed=1, accelerator="cpu", callback=[Marks()])
    print(marks[0] if marks else _peak_mb(), _peak_mb())


def _measured(kind: str, size: str, steps: int) -> tuple[float, float]:
    command = [sys.executable, "-m", "tests.benchmarks.memory", kind, size, str(steps)]
    output = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ).stdout
    early, late = output.splitlines()[-1].split()
    return float(early), float(late)


def measure() -> list[dict[str, object]]:
    """Peak resident memory in MB, and what it grew by after the first tenth of a long run."""
    rows: list[dict[str, object]] = []
    for size, snapshot_mb in SNAPSHOT_MB.items():
        steps = 2000 if size == "small" else 60
        stock, ours = (_measured(kind, size, steps)[1] for kind in ("stock", "ours"))
        rows.append({"what": f"peak, {size}: stock Lightning", "MB": round(stock), "ratio": 1.0, "target": ""})
        target = "<= 1.05" + (f", and a snapshot of {snapshot_mb:.0f} MB" if snapshot_mb else "")
        rows.append(
            {"what": f"peak, {size}: %train", "MB": round(ours), "ratio": round(ours / stock, 3), "target": target}
        )
    early, late = _measured("ours", "small", SOAK_STEPS)
    rows.append(
        {
            "what": f"%train, step {SOAK_STEPS // 10:,} to {SOAK_STEPS:,}: grown by",
            "MB": round(late - early, 1),
            "ratio": round(late / early, 3),
            "target": "flat",
        }
    )
    return rows


if __name__ == "__main__":
    be_quiet()
    _train(sys.argv[1], sys.argv[2], int(sys.argv[3]))
