"""Data of a run as `Trainer.fit` takes it, in batches of any size."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytorch_lightning as pl
from pytorch_lightning.utilities.model_helpers import is_overridden
from torch.utils.data import DataLoader, Dataset, IterableDataset

from jupyter_train.exceptions import OptionError
from jupyter_train.training.data.encoder import Encoder


class DataParts(NamedTuple):
    """Data before it is batched: Datasets, loaders that batch themselves, or a list or dict of these; None for none."""

    train: Any
    validation: Any = None
    test: Any = None


@dataclass
class DataSource:
    """Training data in the form `Trainer.fit` takes it.

    Attributes:
        loaders: Keyword arguments for `Trainer.fit`.
        description: One line for the panel: number of rows, and their split.
        content: What the fingerprint is taken of.
        test: Loader over the held-out test rows, if any.
        encoder: How rows were encoded, if they were.
        classes: Number of classes in the targets; 0 if unknown.
        uses_batch_size: Whether batches have the size of `--batch-size`, rather than that of the user's loaders.
        parts: What the loaders were made of; None where a datamodule or the model makes them.
        drop_last: Whether training batches are without a last, shorter one.
    """

    loaders: dict[str, Any]
    description: str = ""
    content: Any = None
    test: Any = None
    encoder: Encoder | None = None
    classes: int = 0
    uses_batch_size: bool = False
    parts: DataParts | None = None
    drop_last: bool = False

    def set_batch_size(self, batch_size: int) -> None:
        """Batches the same rows in another size; loaders of the user's stay as they are.

        Raises:
            OptionError: `--drop-last` would leave no batch.
        """
        self.loaders = self.make_loaders(batch_size)
        if self.parts is not None and self.parts.test is not None:
            self.test = _to_loader(self.parts.test, batch_size)

    def make_loaders(self, batch_size: int) -> dict[str, Any]:
        """Keyword arguments for `Trainer.fit` with batches of another size; see `set_batch_size`."""
        if self.parts is None:
            return self.loaders
        loaders = {
            "train_dataloaders": _to_loader(self.parts.train, batch_size, shuffle=True, drop_last=self.drop_last)
        }
        if self.parts.validation is not None:
            loaders["val_dataloaders"] = _to_loader(self.parts.validation, batch_size)
        return loaders

    def has_validation(self, module: pl.LightningModule) -> bool:
        """Whether the fit will have validation data."""
        if self.loaders.get("val_dataloaders") is not None:
            return True
        datamodule = self.loaders.get("datamodule")
        if datamodule is not None and is_overridden("val_dataloader", datamodule):
            return True
        return is_overridden("val_dataloader", module)


def _to_loader(part: object, batch_size: int, shuffle: bool = False, drop_last: bool = False) -> object:
    """A part of the data with its Datasets as DataLoaders."""
    if isinstance(part, Dataset):
        return _make_loader(part, batch_size, shuffle, drop_last)
    if isinstance(part, dict):
        return {name: _to_loader(item, batch_size, shuffle, drop_last) for name, item in part.items()}
    if isinstance(part, list):
        return [_to_loader(item, batch_size, shuffle, drop_last) for item in part]
    return part


def _make_loader(dataset: Dataset[Any], batch_size: int, shuffle: bool, drop_last: bool) -> DataLoader[Any]:
    """A DataLoader; streams are never shuffled.

    Raises:
        OptionError: It would have no batch.
    """
    is_stream = isinstance(dataset, IterableDataset)
    if drop_last and isinstance(dataset, Sized) and len(dataset) < batch_size:
        raise OptionError(
            f"`--drop-last` leaves nothing: there are {len(dataset):,} rows for a batch of {batch_size:,}"
        )
    return DataLoader(dataset, batch_size=batch_size, shuffle=shuffle and not is_stream, drop_last=drop_last)
