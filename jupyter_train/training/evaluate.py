"""`run.test`, `run.validate` and `run.predict`: Lightning's loops with a run's weights, without output."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.model_helpers import is_overridden
from torch.utils.data import DataLoader, Dataset

from jupyter_train.exceptions import DataError, ModelError
from jupyter_train.store.run_folder import RunFolder
from jupyter_train.training.data.encoder import Encoder
from jupyter_train.training.data.evaluation_rows import make_evaluation_dataset, make_input_dataset
from jupyter_train.training.data.row_inputs import is_array, is_column, to_array_like, to_row_inputs
from jupyter_train.training.logging.console import capture_lightning_output
from jupyter_train.training.model import has_embedding
from jupyter_train.training.plain_module import PlainModule

if TYPE_CHECKING:
    from jupyter_train.training.data.data_source import DataSource


def _quiet_trainer() -> pl.Trainer:
    return pl.Trainer(
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        devices=1,
    )


def _ignore(_text: str) -> None:
    """Drops Lightning's output."""


@dataclass(frozen=True)
class EvaluationStage:
    """One of Lightning's evaluation stages.

    Attributes:
        name: The Trainer's method.
        step: The module's method.
        loader: The method of a module or datamodule that returns the loaders.
        missing: The error message where there is no data.
    """

    name: str
    step: str
    loader: str
    missing: str


TEST = EvaluationStage(
    "test",
    "test_step",
    "test_dataloader",
    "no test data; give some, or train with `--split 0.7/0.15/0.15` to hold a part out",
)
VALIDATE = EvaluationStage(
    "validate", "validation_step", "val_dataloader", "no validation data; give some: `run.validate(data)`"
)


def evaluate(
    stage: EvaluationStage,
    module: pl.LightningModule,
    folder: RunFolder,
    source: DataSource | None,
    data: object,
    batch_size: int,
) -> dict[str, float]:
    """Metrics of `test_step` or `validation_step`.

    Args:
        stage: `TEST` or `VALIDATE`.
        module: With the weights to use.
        folder: The run's, with its encoder.
        source: The run's `DataSource`, if it was trained in this process.
        data: To evaluate on; the run's own held-out data if None.
        batch_size: Rows a batch, for arrays, frames and Datasets.

    Raises:
        DataError: There is no such data.
        ModelError: The module has no such step.
    """
    if not is_overridden(stage.step, module):
        raise ModelError(f"`{type(module).__name__}` has no `{stage.step}`; define one that logs metrics")
    trainer_data = _trainer_data(stage, module, folder, source, data, batch_size)
    with capture_lightning_output(_ignore, _ignore):
        results = getattr(_quiet_trainer(), stage.name)(module, verbose=False, **trainer_data)
    return {name: float(value) for result in results for name, value in result.items()}


def _trainer_data(
    stage: EvaluationStage,
    module: pl.LightningModule,
    folder: RunFolder,
    source: DataSource | None,
    data: object,
    batch_size: int,
) -> dict[str, Any]:
    if data is not None:
        if isinstance(data, pl.LightningDataModule):
            return {"datamodule": data}
        return {"dataloaders": _to_loaders(data, batch_size, lambda rows: _to_evaluation_dataset(rows, module, folder))}
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


def _to_evaluation_dataset(data: object, module: pl.LightningModule, folder: RunFolder) -> Dataset[Any]:
    """Rows with targets, encoded as for training.

    Raises:
        DataError: It is no such data.
    """
    rows = to_row_inputs(data)
    if rows is None or rows.part_sizes:
        raise DataError(
            f"`{type(data).__name__}` is nothing to evaluate on; expected a DataLoader, Dataset, datamodule, `(X, y)`, "
            "`(X, y, w)`, or a DataFrame with the target in it"
        )
    loss = module.loss if isinstance(module, PlainModule) else None
    return make_evaluation_dataset(rows, Encoder.load(folder), loss, has_embedding(module))


def _to_loaders(
    data: object,
    batch_size: int,
    dataset_of: Callable[[Any], Dataset[Any]],
    collate: Callable[[list[Any]], Any] | None = None,
) -> object:
    """DataLoaders for Lightning: loaders as they are, a Dataset and rows batched, several of them as a list.

    Args:
        data: Of any kind.
        batch_size: Rows a batch.
        dataset_of: Makes a Dataset of rows.
        collate: `collate_fn` for rows; torch's default if None.
    """
    if isinstance(data, DataLoader | pl.LightningDataModule):
        return data
    if isinstance(data, Dataset):
        return DataLoader(data, batch_size=batch_size)
    if isinstance(data, list | tuple) and data and all(isinstance(part, Dataset | DataLoader) for part in data):
        return [_to_loaders(part, batch_size, dataset_of) for part in data]
    return DataLoader(dataset_of(data), batch_size=batch_size, collate_fn=collate)


def predict(module: pl.LightningModule, folder: RunFolder, data: object, batch_size: int) -> Any:
    """Predictions: one tensor where those of batches can be concatenated, else a list with one item a batch.

    For several loaders a list with the predictions for each.
    """
    encoder = Encoder.load(folder)
    batches = _to_loaders(data, batch_size, lambda rows: _to_input_dataset(rows, module, encoder), _collate_inputs)
    is_made_here = getattr(batches, "collate_fn", None) is _collate_inputs
    try:
        with capture_lightning_output(_ignore, _ignore):
            outputs: Any = _quiet_trainer().predict(module, batches) or []
    except TypeError as err:
        if is_made_here or is_overridden("predict_step", module):
            raise
        raise ModelError(
            f"`{type(module).__name__}` has no `predict_step`, so that `forward` gets a batch as it is, and it failed "
            f"({err}); define `predict_step(self, batch, batch_idx)`, or give inputs alone"
        ) from err
    is_several = isinstance(batches, list) and len(batches) > 1
    parts = [concatenate_batches(part) for part in outputs] if is_several else concatenate_batches(outputs)
    return unscale(parts, encoder.target_scale) if encoder is not None and encoder.target_scale is not None else parts


def concatenate_batches(parts: list[Any]) -> torch.Tensor | list[Any]:
    """Tensors of batches concatenated along the first axis; the list where their shapes do not allow it."""
    are_tensors = bool(parts) and all(isinstance(part, torch.Tensor) and part.ndim for part in parts)
    return torch.cat(parts) if are_tensors and len({part.shape[1:] for part in parts}) == 1 else parts


def unscale(predictions: Any, scale: tuple[list[float], list[float]]) -> Any:
    """Predictions in the units of the target; what is no tensor of such stays as it is, with a warning.

    Args:
        predictions: A tensor, or a list of such.
        scale: Means and standard deviations of the targets, one for each column of them.
    """
    if isinstance(predictions, list):
        return [unscale(part, scale) for part in predictions]
    means, deviations = scale
    fits_scale = isinstance(predictions, torch.Tensor) and (len(means) == 1 or predictions.shape[-1:] == (len(means),))
    if not fits_scale:
        warnings.warn(f"a prediction ({type(predictions).__name__}) is in units of the scaled target", stacklevel=4)
        return predictions
    return predictions * predictions.new_tensor(deviations) + predictions.new_tensor(means)


def _to_input_dataset(data: object, module: pl.LightningModule, encoder: Encoder | None) -> Dataset[Any]:
    """A Dataset of the inputs of arrays and frames, without their targets.

    Raises:
        DataError: It is neither an array nor a frame.
    """
    if isinstance(data, Mapping) and type(data).__module__.startswith("sklearn") and "data" in data:
        data = data["data"]
    if _has_targets(data):
        data = data[0]
    if not is_column(data):
        raise DataError(f"cannot predict on `{type(data).__name__}`; give an array, a frame or a DataLoader")
    return make_input_dataset(to_array_like(data), encoder, has_embedding(module))


def _has_targets(data: object) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    """Whether it is `(X, y)` or `(X, y, w)`; a list may as well hold a few rows."""
    if not isinstance(data, list | tuple) or len(data) not in (2, 3) or not all(map(is_column, data)):
        return False
    return isinstance(data, tuple) or (all(map(is_array, data)) and np.ndim(data[0]) > np.ndim(data[1]))


def _collate_inputs(rows: list[tuple[torch.Tensor]]) -> torch.Tensor:
    return torch.stack([row[0] for row in rows])
