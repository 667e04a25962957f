"""Each step's values are read from Lightning's results: the same that its loggers would be given."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import pytorch_lightning as pl
from pytorch_lightning.loggers import CSVLogger

from jupyter_train.run import RunStatus
from jupyter_train.store import MetricReader, RunFolder, RunWriter
from jupyter_train.training.lightning.patches import LoopPatches, Moment
from jupyter_train.training.lightning.step_metrics import StepMetrics
from jupyter_train.training.logging.run_logger import RunLogger
from tests.models import DigitsData, LitDigits
from tests.training.trainers import quiet_trainer


class Logs(LitDigits):
    """Logs values of every kind; one is for an epoch, one for no logger."""

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        loss = super().training_step(batch, batch_idx)
        self.log("counted", float(batch_idx))
        self.log("both", float(batch_idx), on_step=True, on_epoch=True)
        self.log("epoch_only", 1.0, on_step=False, on_epoch=True)
        self.log("shown_only", 1.0, logger=False, prog_bar=True)
        if batch_idx == 2:
            self.log("once", 7.0)
        return loss


Values = dict[str, list[tuple[int, float]]]


def fitted(loggers: list[Any], install: Callable[[pl.Trainer], Any], **options: Any) -> None:
    """Fits 4 batches with these loggers, after `install` has had the trainer."""
    trainer = quiet_trainer(logger=loggers, limit_val_batches=0, **options)
    patches = install(trainer)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(Logs(), DigitsData(128))
    if patches is not None:
        patches.remove()


def of_csv(logger: CSVLogger) -> Values:
    """What a logger of stock Lightning has kept, by series."""
    frame = pd.read_csv(Path(logger.log_dir, "metrics.csv"))
    series = {name: frame[["step", name]].dropna() for name in frame.columns if name not in ("step", "epoch")}
    return {name: list(zip(values["step"], values[name], strict=True)) for name, values in series.items()}


def recorded(store, others: list[Any], **options: Any) -> Values:
    """What a run has recorded, by series."""
    record = store.create_run("digits")
    store.set_status(record.key, RunStatus.RUNNING, started_at=time.time())
    folder = RunFolder(record.folder)
    writer = RunWriter(store, record.key, folder)
    logger = RunLogger(writer, folder, record.ref)

    def install(trainer: pl.Trainer) -> LoopPatches:
        patches = LoopPatches(trainer)
        patches.register(Moment.STEP_END, StepMetrics(patches, logger, bool(others)).take)
        patches.install()
        return patches

    fitted([logger, *others], install, **options)
    assert writer.close(RunStatus.FINISHED)
    with MetricReader(folder.metrics) as reader:
        return {name: [(p.step, p.value) for p in reader.points(name)] for name in reader.counts()}


@pytest.mark.parametrize("options", [{}, {"accumulate_grad_batches": 2}])
def test_they_are_what_a_logger_of_stock_lightning_is_given(store, tmp_path: Path, options: dict[str, Any]) -> None:
    stock = CSVLogger(tmp_path / "stock")
    pl.seed_everything(1, verbose=False)
    fitted([stock], lambda _trainer: None, log_every_n_steps=1, **options)
    pl.seed_everything(1, verbose=False)
    values = recorded(store, [], log_every_n_steps=1, **options)
    expected = of_csv(stock)
    assert values.keys() == expected.keys()
    assert {"counted", "both_step", "both_epoch", "epoch_only", "once", "train_loss"} <= values.keys()
    assert not {"shown_only", "both"} & values.keys()
    for name, points in expected.items():
        assert values[name] == [(step, pytest.approx(value, rel=1e-6)) for step, value in points], name


def test_other_loggers_are_called_as_often_as_they_are_set_to_and_the_run_has_every_step(store, tmp_path: Path) -> None:
    other = CSVLogger(tmp_path / "other")
    values = recorded(store, [other], log_every_n_steps=2)
    assert values["counted"] == [(step, float(step)) for step in range(4)]
    assert of_csv(other)["counted"] == [(1, 1.0), (3, 3.0)]
