"""The pytest plug-in that runs the lean loop under any suite."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SUITE = """
import sys

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader


class Model(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.net, self.frames = torch.nn.Linear(2, 1), set()

    def training_step(self, batch, batch_idx):
        frame = sys._getframe()
        while frame:
            self.frames.add(frame.f_code.co_filename.replace("\\\\", "/").rpartition("jupyter_train/")[2])
            frame = frame.f_back
        return self.net(batch).mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class ByHand(Model):
    def __init__(self):
        super().__init__()
        self.automatic_optimization = False


def fit(module, fits=1):
    trainer = pl.Trainer(max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
                         enable_model_summary=False, accelerator="cpu")
    before = dict(vars(trainer.fit_loop.epoch_loop))
    for _ in range(fits):
        trainer.fit_loop.max_epochs = trainer.current_epoch + 1
        trainer.fit(module, DataLoader(torch.ones(8, 2), 4))
    assert vars(trainer.fit_loop.epoch_loop).keys() == before.keys()
    return module


def test_lean():
    assert "training/engine/step.py" in fit(Model(), fits=2).frames


def test_by_hand():
    assert not [name for name in fit(ByHand()).frames if name.endswith("engine/step.py")]


def test_that_fails():
    assert fit(Model()).net.weight.sum() == 1e9


def test_that_raises():
    class Raises(Model):
        def on_train_batch_end(self, *_):
            raise RuntimeError("in a hook")

    fit(Raises())
"""


def test_a_suite_runs_with_the_lean_loop_and_fails_where_it_fails(tmp_path: Path) -> None:
    (tmp_path / "test_suite.py").write_text(SUITE)
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-m", "pytest", "-p", "tests.parity.plugin", "-q", "-p", "no:cacheprovider", "-rA"]
    done = subprocess.run(
        [*command, "--rootdir", str(tmp_path), str(tmp_path)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=False,
    )
    report = done.stdout
    assert done.returncode == 1, report + done.stderr
    assert "2 failed, 2 passed" in report, report
    for name, outcome in (
        ("lean", "PASSED"),
        ("by_hand", "PASSED"),
        ("that_fails", "FAILED"),
        ("that_raises", "FAILED"),
    ):
        assert f"{outcome} test_suite.py::test_{name}" in report
    assert "RuntimeError: in a hook" in report
    assert "lean loop: 5 fits, 4 lean\n  1 the model optimizes manually\n" in report
