"""What may be given as data, turned into what `Trainer.fit` takes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sized
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytorch_lightning as pl
from pytorch_lightning.utilities.model_helpers import is_overridden
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset

from jupyter_train.config import TrainConfig
from jupyter_train.config.cross_validation import Fold
from jupyter_train.config.lightning_packages import refuse_other_lightning
from jupyter_train.exceptions import DataError, OptionError
from jupyter_train.training.data.encoder import Encoder
from jupyter_train.training.data.row_inputs import RowInputs, as_rows, count_of
from jupyter_train.training.data.splitting import Split, fold_rows
from jupyter_train.training.data.tabular import TablePurpose, parts_of
from jupyter_train.training.model import is_lookup
from jupyter_train.training.plain_module import PlainModule

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


def as_source(
    data: Any, config: TrainConfig, module: pl.LightningModule, seed: int, kept: Encoder | None = None
) -> DataSource:
    """`data` as a `DataSource`.

    Args:
        data: A LightningDataModule, DataLoader, Dataset, `(train, validation)` or `(train, validation, test)` of
            loaders or Datasets, several loaders at once as Lightning takes them (a list or a dict), a DataFrame,
            `(X, y)` or `(X, y, w)` of arrays, lists, frames or scipy matrices, parts of those, a Bunch of scikit-learn,
            or None when the module brings its own loaders.
        config: Options; batch size and split are for arrays and frames.
        module: The model, which may bring its own loaders.
        seed: Decides the split.
        kept: How the data was encoded for a run that goes on, or is forked.

    Raises:
        DataError: It is none of these, is empty, or cannot be trained on.
    """
    refuse_other_lightning(data, "the data", DataError)
    if data is None:
        _refuse_drop_last(config, f"`{type(module).__name__}`")
        return _own_loaders(module)
    if isinstance(data, pl.LightningDataModule):
        _refuse_table_options(config, "a LightningDataModule")
        _refuse_drop_last(config, "a LightningDataModule")
        return DataSource({"datamodule": data}, f"data: {type(data).__name__}", data)
    rows = as_rows(data, config.target)
    if rows is not None:
        return _from_rows(rows, config, module, seed, kept)
    if config.fold is not None:
        data = _fold_of(data, config.fold, seed)
    return _ready_made(data, config, module)


def _from_rows(
    rows: RowInputs, config: TrainConfig, module: pl.LightningModule, seed: int, kept: Encoder | None
) -> DataSource:
    if not rows.is_frame:
        _refuse_target(config)
    if rows.parts:
        for option, value in (("--split", config.split), ("--cv", config.fold)):
            if value is not None:
                raise OptionError(f"`{option}` deals rows, and the rows that validate are given; leave one of them out")
    split = Split(config.split or (_NO_TEST if config.fold else _DEFAULT_SPLIT), config.fold, rows.parts)
    wanted = TablePurpose(config.target, config.encode == "auto", config.scale, kept=kept, is_lookup=is_lookup(module))
    if isinstance(module, PlainModule):
        wanted = dataclasses.replace(wanted, loss=module.loss, width=module.width)
    parts = parts_of(rows, wanted, split, seed)
    loaders: dict[str, Any] = {"train_dataloaders": _loader(parts.train, config, shuffle=True)}
    if parts.validation is not None:
        loaders["val_dataloaders"] = _loader(parts.validation, config, shuffle=False)
    test = _loader(parts.test, config, shuffle=False) if parts.test is not None else None
    return DataSource(loaders, parts.words, rows.content, test, parts.encoder, parts.classes, batches_are_ours=True)


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


def _own_loaders(module: pl.LightningModule) -> DataSource:
    if not is_overridden("train_dataloader", module):
        raise DataError(
            f"no data was given and `{type(module).__name__}` has no `train_dataloader`; name the data after the "
            "model: `%train model data --epochs 10`"
        )
    return DataSource({}, "data: the model's own loaders", None)


def _loader(dataset: Dataset[Any], config: TrainConfig, shuffle: bool) -> DataLoader[Any]:
    """Batches of the size in the options; those that train, which are shuffled, may be without the last, short one.

    Raises:
        OptionError: There would be none.
    """
    is_stream = isinstance(dataset, IterableDataset)
    batch_size, drops = int(config.batch_size), shuffle and config.drop_last
    if drops and isinstance(dataset, Sized) and len(dataset) < batch_size:
        raise OptionError(
            f"`--drop-last` leaves nothing: there are {len(dataset):,} rows for a batch of {batch_size:,}"
        )
    return DataLoader(dataset, batch_size=batch_size, shuffle=shuffle and not is_stream, drop_last=drops)


def _ready_made(data: Any, config: TrainConfig, module: pl.LightningModule) -> DataSource:
    """Loaders and Datasets, never split: a tuple has parts, a list or a dict several loaders at once."""
    _refuse_table_options(config, f"a {type(data).__name__}")
    train, validation, test = data, None, None
    if isinstance(data, tuple) and 2 <= len(data) <= 3:
        train, validation, test = (*data, None)[:3]
    if _is_several(train) and isinstance(module, PlainModule):
        raise DataError(
            f"a {type(train).__name__} of loaders gives a batch of each at once, which a plain nn.Module cannot take; "
            "for training and validation write a tuple, `(train, validation)`"
        )
    wanted = TablePurpose(is_lookup=is_lookup(module))
    loaders: dict[str, Any] = {"train_dataloaders": _as_loader(train, config, wanted, shuffle=True)}
    if validation is not None:
        loaders["val_dataloaders"] = _as_loader(validation, config, wanted, shuffle=False)
    held_out = _as_loader(test, config, wanted, shuffle=False) if test is not None else None
    is_ours = isinstance(train, Dataset | tuple) and not _is_several(loaders["train_dataloaders"])
    if not is_ours:
        _refuse_drop_last(config, f"a {type(train).__name__}")
    return DataSource(loaders, _count_words(train, validation, test), data, held_out, batches_are_ours=is_ours)


def _is_several(part: Any) -> bool:
    """Whether it is loaders or Datasets whose batches come together."""
    items = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return bool(items) and all(isinstance(item, Dataset | DataLoader) for item in items)


def refuse_class(data: Any) -> None:
    """Raises for a class in the place of data.

    Raises:
        DataError: It is one.
    """
    if isinstance(data, type):
        raise DataError(f"`{data.__name__}` is a class; write `{data.__name__}(...)` to make data of it")


def _as_loader(part: Any, config: TrainConfig, wanted: TablePurpose, shuffle: bool) -> Any:
    if isinstance(part, Dataset):
        _refuse_empty(part)
        return _loader(part, config, shuffle)
    if isinstance(part, DataLoader):
        _refuse_empty(part.dataset)
        return part
    if isinstance(part, dict):
        return {name: _as_loader(item, config, wanted, shuffle) for name, item in part.items()}
    if _is_several(part) or (isinstance(part, tuple) and _is_several(list(part))):
        return [_as_loader(item, config, wanted, shuffle) for item in part]
    if isinstance(part, tuple | list) and (rows := as_rows(part)) is not None:
        found = parts_of(rows, wanted, Split(_NO_TEST, given=(count_of(rows.features),)), 0)
        return _loader(found.train, config, shuffle)
    if hasattr(part, "__iter__") and not isinstance(part, str | bytes | list | tuple | set):
        return part  # Lightning takes any iterable of batches
    refuse_class(part)
    raise DataError(
        f"`{type(part).__name__}` is no training data; expected a LightningDataModule, DataLoader, Dataset, `(X, y)` "
        "or `(X, y, w)`, or a DataFrame with `--target COLUMN`"
    )


def _refuse_empty(dataset: Any) -> None:
    if not isinstance(dataset, IterableDataset) and hasattr(dataset, "__len__") and len(dataset) == 0:
        raise DataError(f"the dataset ({type(dataset).__name__}) is empty; nothing to train on")


def _count_words(*parts: Any) -> str:
    if _is_several(parts[0]):
        together = f"{len(parts[0])} loaders, a batch of each at once"
        return together if isinstance(parts[0], dict) else f"{together}; a tuple would be `(train, validation)`"
    named = zip(("train", "validation", "test"), parts, strict=True)
    words = [f"{count:,} {name}" for name, part in named if (count := _rows_of(part))]
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
    for name in ("target", "split", "encode", "scale"):
        if getattr(config, name) is not None:
            raise OptionError(f"`--{name}` is for arrays and DataFrames; {what} is used as it is")


def _refuse_drop_last(config: TrainConfig, what: str) -> None:
    if config.drop_last:
        raise OptionError(
            f"`--drop-last` is for arrays, frames and Datasets; {what} makes its own batches: `DataLoader(..., "
            "drop_last=True)`"
        )
