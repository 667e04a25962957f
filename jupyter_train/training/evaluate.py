"""Testing, validating and predicting with a run's weights, quietly."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.model_helpers import is_overridden
from torch.utils.data import DataLoader, Dataset

from jupyter_train.exceptions import DataError, ModelError
from jupyter_train.store.run_folder import RunFolder
from jupyter_train.training.data.encoder import Encoder
from jupyter_train.training.data.evaluation_rows import evaluated, inputs_of
from jupyter_train.training.data.row_inputs import as_rows, is_array, is_column, plain
from jupyter_train.training.logging.console import captured
from jupyter_train.training.model import is_lookup
from jupyter_train.training.plain_module import PlainModule


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


@dataclass(frozen=True)
class _Stage:
    """What is done with held-out data.

    Attributes:
        name: As Lightning calls it.
        step: The module's method.
        loader: The method of a module or datamodule that gives the data.
        missing: What is said where there is none.
    """

    name: str
    step: str
    loader: str
    missing: str


TEST = _Stage(
    "test",
    "test_step",
    "test_dataloader",
    "no test data; give some, or train with `--split 0.7/0.15/0.15` to hold a part out",
)
VALIDATE = _Stage(
    "validate", "validation_step", "val_dataloader", "no validation data; give some: `run.validate(data)`"
)


def evaluate(
    stage: _Stage, module: pl.LightningModule, folder: RunFolder, source: Any, data: Any, batch_size: int
) -> dict[str, float]:
    """Metrics of `test_step` or `validation_step`.

    Args:
        stage: Which.
        module: With the weights to use.
        folder: The run's, which keeps how its data was encoded.
        source: What the run was trained on, where this process knows.
        data: What to look at; the run's own data for it if None.
        batch_size: Rows a batch, where batches are made here.

    Raises:
        DataError: There is no such data.
        ModelError: The module has no such step.
    """
    if not is_overridden(stage.step, module):
        raise ModelError(f"`{type(module).__name__}` has no `{stage.step}`; define one that logs metrics")
    given = _data_for(stage, module, folder, source, data, batch_size)
    with captured(_ignored, _ignored):
        results = getattr(_quiet_trainer(), stage.name)(module, verbose=False, **given)
    return {name: float(value) for result in results for name, value in result.items()}


def _data_for(
    stage: _Stage, module: pl.LightningModule, folder: RunFolder, source: Any, data: Any, batch_size: int
) -> dict[str, Any]:
    if data is not None:
        if isinstance(data, pl.LightningDataModule):
            return {"datamodule": data}
        return {"dataloaders": _loaders(data, batch_size, lambda rows: _evaluated(rows, module, folder))}
    loaders = source.loaders if source is not None else {}
    held_out = source.test if source is not None and stage is TEST else loaders.get("val_dataloaders")
    if held_out is not None:
        return {"dataloaders": held_out}
    datamodule = loaders.get("datamodule")
    if datamodule is not None and is_overridden(stage.loader, datamodule):
        return {"datamodule": datamodule}
    if is_overridden(stage.loader, module):
        return {}
    raise DataError(stage.missing)


def _evaluated(data: Any, module: pl.LightningModule, folder: RunFolder) -> Dataset[Any]:
    """Rows with targets, encoded as for training.

    Raises:
        DataError: It is no such data.
    """
    rows = as_rows(data)
    if rows is None or rows.parts:
        raise DataError(
            f"`{type(data).__name__}` is nothing to evaluate on; expected a DataLoader, Dataset, datamodule, `(X, y)`, "
            "`(X, y, w)`, or a DataFrame with the target in it"
        )
    loss = module.loss if isinstance(module, PlainModule) else None
    return evaluated(rows, Encoder.load(folder), loss, is_lookup(module))


def _loaders(data: Any, batch_size: int, dataset_of: Callable[[Any], Dataset[Any]], collate: Any = None) -> Any:
    """What Lightning takes: loaders as they are, a Dataset and rows batched, several of them as a list.

    Args:
        data: What was given.
        batch_size: Rows a batch.
        dataset_of: Makes rows a Dataset.
        collate: How a batch is made of its items; as usual if None.
    """
    if isinstance(data, DataLoader | pl.LightningDataModule):
        return data
    if isinstance(data, Dataset):
        return DataLoader(data, batch_size=batch_size)
    if isinstance(data, list | tuple) and data and all(isinstance(part, Dataset | DataLoader) for part in data):
        return [_loaders(part, batch_size, dataset_of) for part in data]
    return DataLoader(dataset_of(data), batch_size=batch_size, collate_fn=collate)


def predict(module: pl.LightningModule, folder: RunFolder, data: Any, batch_size: int) -> Any:
    """Predictions: one tensor where batches give tensors that can be joined, else a list with one for each batch.

    For several loaders a list, with that for each of them.
    """
    encoder = Encoder.load(folder)
    batches = _loaders(data, batch_size, lambda rows: _inputs(rows, module, encoder), _inputs_only)
    is_alone = getattr(batches, "collate_fn", None) is _inputs_only
    try:
        with captured(_ignored, _ignored):
            found: Any = _quiet_trainer().predict(module, batches) or []
    except TypeError as err:
        if is_alone or is_overridden("predict_step", module):
            raise
        raise ModelError(
            f"`{type(module).__name__}` has no `predict_step`, so that `forward` gets a batch as it is, and it failed "
            f"({err}); define `predict_step(self, batch, batch_idx)`, or give inputs alone"
        ) from err
    is_several = isinstance(batches, list) and len(batches) > 1
    parts = [joined(part) for part in found] if is_several else joined(found)
    return unscaled(parts, encoder.target_scale) if encoder is not None and encoder.target_scale is not None else parts


def joined(parts: list[Any]) -> Any:
    """Tensors of batches as one, along the first axis; the list where that cannot be."""
    are_tensors = bool(parts) and all(isinstance(part, torch.Tensor) and part.ndim for part in parts)
    return torch.cat(parts) if are_tensors and len({part.shape[1:] for part in parts}) == 1 else parts


def unscaled(found: Any, scale: tuple[list[float], list[float]]) -> Any:
    """Predictions in the units of the target; what is no tensor of them is left as it is, which is said.

    Args:
        found: A tensor, or a list of such.
        scale: Means and standard deviations of the targets, one for each column of them.
    """
    if isinstance(found, list):
        return [unscaled(part, scale) for part in found]
    means, deviations = scale
    is_like = isinstance(found, torch.Tensor) and (len(means) == 1 or found.shape[-1:] == (len(means),))
    if not is_like:
        warnings.warn(f"a prediction ({type(found).__name__}) is in units of the scaled target", stacklevel=4)
        return found
    return found * found.new_tensor(deviations) + found.new_tensor(means)


def _inputs(data: Any, module: pl.LightningModule, encoder: Encoder | None) -> Dataset[Any]:
    """Inputs of arrays and frames; targets are left aside.

    Raises:
        DataError: It cannot be predicted on.
    """
    if isinstance(data, Mapping) and type(data).__module__.startswith("sklearn") and "data" in data:
        data = data["data"]
    if _has_targets(data):
        data = data[0]
    if not is_column(data):
        raise DataError(f"cannot predict on `{type(data).__name__}`; give an array, a frame or a DataLoader")
    return inputs_of(plain(data), encoder, is_lookup(module))


def _has_targets(data: Any) -> bool:
    """Whether it is `(X, y)` or `(X, y, w)`; a list may as well hold a few rows."""
    if not isinstance(data, list | tuple) or len(data) not in (2, 3) or not all(map(is_column, data)):
        return False
    return isinstance(data, tuple) or (all(map(is_array, data)) and np.ndim(data[0]) > np.ndim(data[1]))


def _inputs_only(rows: list[tuple[torch.Tensor]]) -> torch.Tensor:
    return torch.stack([row[0] for row in rows])
