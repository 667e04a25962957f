"""What may be given as data, turned into what `Trainer.fit` takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.model_helpers import is_overridden
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from jupyter_train.config import TrainConfig
from jupyter_train.config.folds import Fold
from jupyter_train.config.packages import refuse_other_lightning
from jupyter_train.exceptions import DataError, OptionError
from jupyter_train.training.splitting import Split, fold_rows
from jupyter_train.training.table import Encoder, Parts, parts_of_arrays, parts_of_frame

_DEFAULT_SPLIT = (0.8, 0.2, 0.0)
_NO_TEST = (1.0, 0.0, 0.0)


@dataclass
class DataSource:
    """Training data in the form `Trainer.fit` takes it.

    Attributes:
        loaders: Keyword arguments for `Trainer.fit`.
        words: One line for the panel: how many rows, how split.
        content: What the fingerprint is taken of.
        test: Loader over the held-out test rows, if any.
        encoder: How a frame became numbers, if it did.
        classes: Number of classes in the targets; 0 if unknown.
        batches_are_ours: Whether batches are made here, of the size in the options.
    """

    loaders: dict[str, Any]
    words: str = ""
    content: Any = None
    test: Any = None
    encoder: Encoder | None = None
    classes: int = 0
    batches_are_ours: bool = False

    def has_validation(self, module: pl.LightningModule) -> bool:
        """True when some validation data will be there."""
        if self.loaders.get("val_dataloaders") is not None:
            return True
        datamodule = self.loaders.get("datamodule")
        if datamodule is not None and is_overridden("val_dataloader", datamodule):
            return True
        return is_overridden("val_dataloader", module)


def as_source(data: Any, config: TrainConfig, module: pl.LightningModule, seed: int) -> DataSource:
    """`data` as a `DataSource`.

    Args:
        data: A LightningDataModule, DataLoader, Dataset, `(train, validation)` of loaders or Datasets,
            `(X, y)` arrays or tensors, a DataFrame, or None when the module brings its own loaders.
        config: Options; batch size and split are for arrays and frames.
        module: The model, which may bring its own loaders.
        seed: Decides the split.

    Raises:
        DataError: It is none of these, is empty, or cannot be trained on.
    """
    refuse_other_lightning(data, "the data", DataError)
    if data is None:
        return _own_loaders(module)
    if isinstance(data, pl.LightningDataModule):
        _refuse_table_options(config, "a LightningDataModule")
        return DataSource({"datamodule": data}, f"data: {type(data).__name__}", data)
    split = Split(config.split or (_NO_TEST if config.fold else _DEFAULT_SPLIT), config.fold)
    if _is_frame(data):
        parts = parts_of_frame(data, config.target, split, seed, config.encode == "auto")
        return _from_parts(parts, config, data)
    if _is_pair_of_arrays(data):
        _refuse_target(config)
        parts = parts_of_arrays(data[0], data[1], split, seed, config.encode == "auto")
        return _from_parts(parts, config, data)
    if config.fold is not None:
        data = _fold_of(data, config.fold, seed)
    return _ready_made(data, config)


def _fold_of(data: Any, fold: Fold, seed: int) -> tuple[Dataset[Any], Dataset[Any]]:
    """The rows of a Dataset that train, and those that validate.

    Raises:
        DataError: It cannot be dealt to folds.
    """
    if not isinstance(data, Dataset) or isinstance(data, IterableDataset) or not hasattr(data, "__len__"):
        raise DataError(
            f"`--cv` deals rows to folds, and a {type(data).__name__} is used as it is; give `(X, y)` arrays, a "
            "DataFrame or one Dataset"
        )
    if fold.folds.kind in ("stratified", "group"):
        raise DataError(
            f"`--cv {fold.folds.count}:{fold.folds.kind}` needs to see the targets; give `(X, y)` or a DataFrame"
        )
    train, validation = fold_rows(np.zeros((len(data), 1)), fold, seed)
    return Subset(data, train.tolist()), Subset(data, validation.tolist())


def _is_frame(data: Any) -> bool:
    return type(data).__module__.partition(".")[0] == "pandas" and hasattr(data, "columns")


def _is_pair_of_arrays(data: Any) -> bool:
    if not isinstance(data, tuple | list) or len(data) != 2:
        return False
    arrays = (np.ndarray, torch.Tensor)
    is_column = [isinstance(part, arrays) or hasattr(part, "__array__") for part in data]
    return all(is_column) and not any(isinstance(part, Dataset | DataLoader) for part in data)


def _own_loaders(module: pl.LightningModule) -> DataSource:
    if not is_overridden("train_dataloader", module):
        raise DataError(
            f"no data was given and `{type(module).__name__}` has no `train_dataloader`; name the data after the "
            "model: `%train model data --epochs 10`"
        )
    return DataSource({}, "data: the model's own loaders", None)


def _from_parts(parts: Parts, config: TrainConfig, content: Any) -> DataSource:
    loaders: dict[str, Any] = {"train_dataloaders": _loader(parts.train, config, shuffle=True)}
    if parts.validation is not None:
        loaders["val_dataloaders"] = _loader(parts.validation, config, shuffle=False)
    test = _loader(parts.test, config, shuffle=False) if parts.test is not None else None
    return DataSource(loaders, parts.words, content, test, parts.encoder, parts.classes, batches_are_ours=True)


def _loader(dataset: Dataset[Any], config: TrainConfig, shuffle: bool) -> DataLoader[Any]:
    is_stream = isinstance(dataset, IterableDataset)
    return DataLoader(dataset, batch_size=int(config.batch_size), shuffle=shuffle and not is_stream)


def _ready_made(data: Any, config: TrainConfig) -> DataSource:
    """Loaders and Datasets, never split."""
    _refuse_table_options(config, f"a {type(data).__name__}")
    train, validation = data, None
    if isinstance(data, tuple | list) and len(data) == 2:
        train, validation = data
    loaders: dict[str, Any] = {"train_dataloaders": _as_loader(train, config, shuffle=True)}
    if validation is not None:
        loaders["val_dataloaders"] = _as_loader(validation, config, shuffle=False)
    is_ours = isinstance(train, Dataset | tuple | list) and not isinstance(loaders["train_dataloaders"], list)
    return DataSource(loaders, _count_words(train, validation), data, batches_are_ours=is_ours)


def refuse_class(data: Any) -> None:
    """Raises for a class in the place of data.

    Raises:
        DataError: It is one.
    """
    if isinstance(data, type):
        raise DataError(f"`{data.__name__}` is a class; write `{data.__name__}(...)` to make data of it")


def _as_loader(part: Any, config: TrainConfig, shuffle: bool) -> Any:
    if isinstance(part, Dataset):
        _refuse_empty(part)
        return _loader(part, config, shuffle)
    if isinstance(part, DataLoader):
        _refuse_empty(part.dataset)
        return part
    if isinstance(part, dict):
        return {name: _as_loader(item, config, shuffle) for name, item in part.items()}
    if isinstance(part, list | tuple) and part and all(isinstance(item, Dataset | DataLoader) for item in part):
        return [_as_loader(item, config, shuffle) for item in part]
    if isinstance(part, tuple | list) and len(part) == 2 and _is_pair_of_arrays(part):
        x, y = (torch.as_tensor(np.asarray(item)) for item in part)
        x = x if x.dtype == torch.long else x.float()
        return _loader(TensorDataset(x, y if not y.is_floating_point() else y.float()), config, shuffle)
    if hasattr(part, "__iter__") and not isinstance(part, str | bytes | list | tuple | set):
        return part  # Lightning takes any iterable of batches
    refuse_class(part)
    raise DataError(
        f"`{type(part).__name__}` is no training data; expected a LightningDataModule, DataLoader, Dataset, `(X, y)` "
        "arrays, or a DataFrame with `--target COLUMN`"
    )


def _refuse_empty(dataset: Any) -> None:
    if not isinstance(dataset, IterableDataset) and hasattr(dataset, "__len__") and len(dataset) == 0:
        raise DataError(f"the dataset ({type(dataset).__name__}) is empty; nothing to train on")


def _count_words(train: Any, validation: Any) -> str:
    words = [
        f"{count:,} {name}"
        for name, part in (("train", train), ("validation", validation))
        if (count := _rows_of(part))
    ]
    return "rows: " + " / ".join(words) if words else ""


def _rows_of(part: Any) -> int:
    dataset = getattr(part, "dataset", part)
    if isinstance(dataset, IterableDataset) or not isinstance(dataset, Dataset):
        return 0
    return len(dataset) if hasattr(dataset, "__len__") else 0


def _refuse_target(config: TrainConfig) -> None:
    if config.target is not None:
        raise OptionError(f"`--target {config.target}` is for a DataFrame; `(X, y)` already names the target")


def _refuse_table_options(config: TrainConfig, what: str) -> None:
    for name, value in (("--target", config.target), ("--split", config.split), ("--encode", config.encode)):
        if value is not None:
            raise OptionError(f"`{name}` is for arrays and DataFrames; {what} is used as it is")


def predict_batches(data: Any, batch_size: int, encoder: Encoder | None) -> Any:
    """What `Trainer.predict` takes: loaders as they are, arrays and frames (without targets) batched.

    Raises:
        DataError: It cannot be predicted on.
    """
    if isinstance(data, DataLoader | pl.LightningDataModule):
        return data
    if isinstance(data, Dataset):
        return DataLoader(data, batch_size=batch_size)
    if _is_frame(data):
        matrix = encoder.features(data) if encoder is not None else np.asarray(data, dtype="float32")
        return DataLoader(TensorDataset(torch.from_numpy(matrix)), batch_size=batch_size, collate_fn=_inputs_only)
    if isinstance(data, tuple | list) and len(data) == 2 and _is_pair_of_arrays(data):
        data = data[0]
    try:
        inputs = torch.as_tensor(np.asarray(data))
    except (TypeError, ValueError) as err:
        raise DataError(f"cannot predict on `{type(data).__name__}`; give an array, a frame or a DataLoader") from err
    inputs = inputs.float() if inputs.dtype != torch.long else inputs
    return DataLoader(TensorDataset(inputs), batch_size=batch_size, collate_fn=_inputs_only)


def _inputs_only(rows: list[tuple[torch.Tensor]]) -> torch.Tensor:
    return torch.stack([row[0] for row in rows])
