"""From Enter to the panel, and from the end of the imports to the first step, in fresh kernels."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

from tests.kernel import Kernel, started

MIME = "application/vnd.jupyter-train.run+json"
REPEATS = 5
LINE = "%train tests.models.LitDigits() __import__('tests.models').models.digits() --epochs 1 --seed 1"
#: Both clocks are the machine's monotonic one, so a time printed in the kernel can be compared with ours.
HOOKED = f"""
import tests.models as models
from jupyter_train.training import fit
from jupyter_train.training.callbacks import recorder
times = {{}}
class Lit(models.LitDigits):
    def training_step(self, batch, batch_idx):
        times.setdefault('step', __import__('time').monotonic())
        return super().training_step(batch, batch_idx)
data = models.digits()
began = __import__('time').monotonic()
{LINE.replace("tests.models.LitDigits()", "Lit()").replace("__import__('tests.models').models.digits()", "data")}
print('seconds', times['step'] - began)
"""


def _first_display(kernel: Kernel, line: str) -> tuple[float, str]:
    began = time.monotonic()
    messages = kernel.run(line)
    shown = next(message for message in messages if message["msg_type"] == "display_data")
    texts = [message["content"]["text"] for message in messages if message["msg_type"] == "stream"]
    return shown["seen_at"] - began, "".join(texts)


def measure() -> list[dict[str, object]]:
    """Medians over fresh kernels, in seconds."""
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[2])
    panel, step = [], []
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as folder, started(folder) as kernel:
            kernel.run("%load_ext jupyter_train")
            panel.append(_first_display(kernel, LINE)[0])
        with tempfile.TemporaryDirectory() as folder, started(folder) as kernel:
            kernel.run("%load_ext jupyter_train\nimport torch, pytorch_lightning")
            step.append(float(_first_display(kernel, HOOKED)[1].split()[-1]))
    return [
        {"what": "Enter to panel, fresh kernel (s)", "median": round(statistics.median(panel), 3), "target": 0.3},
        {"what": "imports done to first step (s)", "median": round(statistics.median(step), 3), "target": 1.0},
    ]
