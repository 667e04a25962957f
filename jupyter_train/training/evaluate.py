"""Testing and predicting with a run's weights, quietly."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.model_helpers import is_overridden

from jupyter_train.config import TrainConfig
from jupyter_train.exceptions import DataError, ModelError
from jupyter_train.store.folder import RunFolder
from jupyter_train.training.output import captured
from jupyter_train.training.source import as_source, predict_batches
from jupyter_train.training.table import Encoder


def _quiet_trainer() -> pl.Trainer:
    return pl.Trainer(
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        devices=1,
    )


def _ignored(_text: str) -> None:
    """Where Lightning's chatter goes."""


def test(module: pl.LightningModule, source: Any, data: Any, batch_size: int) -> dict[str, float]:
    """Metrics of `test_step`.

    Raises:
        DataError: No test data.
        ModelError: The module has no `test_step`.
    """
    if not is_overridden("test_step", module):
        raise ModelError(f"`{type(module).__name__}` has no `test_step`; define one that logs metrics")
    with captured(_ignored, _ignored):
        results = _quiet_trainer().test(module, verbose=False, **_test_data(source, data, batch_size))
    return {name: float(value) for result in results for name, value in result.items()}


def _test_data(source: Any, data: Any, batch_size: int) -> dict[str, Any]:
    if data is None:
        held_out = getattr(source, "test", None)
        datamodule = source.loaders.get("datamodule") if source is not None else None
        if held_out is not None:
            return {"dataloaders": held_out}
        if datamodule is not None:
            return {"datamodule": datamodule}
        raise DataError("no test data; give some, or train with `--split 0.7/0.15/0.15` to hold a part out")
    if isinstance(data, pl.LightningDataModule):
        return {"datamodule": data}
    config = TrainConfig(batch_size=batch_size, split=(1.0, 0.0, 0.0))
    is_table = isinstance(data, tuple | list) and not hasattr(data[0], "dataset")
    config.split = config.split if is_table else None
    found = as_source(data, config, pl.LightningModule(), 0).loaders["train_dataloaders"]
    loader = torch.utils.data.DataLoader(found.dataset, batch_size=batch_size) if is_table else found
    return {"dataloaders": loader}


def predict(module: pl.LightningModule, folder: RunFolder, data: Any, batch_size: int) -> Any:
    """Predictions, concatenated where they are tensors; else a list per batch."""
    batches = predict_batches(data, batch_size, Encoder.load(folder))
    with captured(_ignored, _ignored):
        found = _quiet_trainer().predict(module, batches) or []
    if found and all(isinstance(part, torch.Tensor) for part in found):
        return torch.cat(found)  # type: ignore[arg-type]
    return found
