"""Cells that train a real model slowly enough to be watched."""

from __future__ import annotations

SETUP = """
import time
import torch, pytorch_lightning as pl
from sklearn.datasets import load_digits
%load_ext jupyter_train
X, y = load_digits(return_X_y=True)
X = (X / 16).astype("float32")
torch.set_num_threads(1)

class LitDigits(pl.LightningModule):
    pause_s = 0.0
    def __init__(self, hidden=32):
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Linear(64, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, 10))
    def step(self, batch, stage):
        outputs = self.net(batch[0])
        loss = torch.nn.functional.cross_entropy(outputs, batch[1])
        self.log_dict({f"{stage}_loss": loss, f"{stage}_acc": (outputs.argmax(1) == batch[1]).float().mean()})
        return loss
    def training_step(self, batch, batch_idx):
        time.sleep(self.pause_s)
        return self.step(batch, "train")
    def validation_step(self, batch, batch_idx):
        self.step(batch, "val")
    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 3e-3)
"""
PANEL = ".jt-Panel:not(.jt-mod-line)"
#: The step the panel shows now.
STEP = """() => {
  const cells = [...document.querySelectorAll('.jt-Number')];
  const cell = cells.find(one => one.querySelector('.jt-Label')?.textContent === 'step');
  return cell ? Number(cell.querySelector('b').textContent.split('/')[0].replace(/[^0-9]/g, '')) : -1;
}"""


def slow_run(jupyter, epochs: int = 6, pause_s: float = 0.01, after: str = "") -> str:
    """Opens a notebook whose second cell trains, and starts it; `after` is that cell's end."""
    line = f"run = %train LitDigits() (X,y) --epochs {epochs} --seed 1 --name digits"
    name = jupyter.write_notebook([SETUP, f"LitDigits.pause_s = {pause_s}\n{line}\n{after}".rstrip()])
    jupyter.open(name)
    jupyter.run_cell(0)
    jupyter.wait_until_idle()
    jupyter.run_cell(1)
    return name
