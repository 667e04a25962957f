"""Makes what `Trainer.fit` takes of data of any kind."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeGuard

import numpy as np
import pytorch_lightning as pl
from pytorch_lightning.utilities.model_helpers import is_overridden
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset

from jupyter_train.config import TrainConfig
from jupyter_train.config.cross_validation import Fold
from jupyter_train.config.lightning_packages import refuse_other_lightning
from jupyter_train.config.train_options import own_options
from jupyter_train.exceptions import DataError, OptionError
from jupyter_train.training.data.checked_rows import TableOptions, check_rows
from jupyter_train.training.data.data_source import DataParts, DataSource
from jupyter_train.training.data.encoder import Encoder
from jupyter_train.training.data.row_inputs import RowInputs, row_count, to_row_inputs
from jupyter_train.training.data.splitting import Split, fold_rows, split_rows
from jupyter_train.training.data.tabular import TableParts, make_parts
from jupyter_train.training.model import has_embedding
from jupyter_train.training.plain_module import PlainModule

_DEFAULT_SPLIT = (0.8, 0.2, 0.0)
_TRAIN_ONLY = (1.0, 0.0, 0.0)


def make_data_source(
    data: object, config: TrainConfig, module: pl.LightningModule, seed: int, encoder: Encoder | None = None
) -> DataSource:
    """`data` as a `DataSource`.

    Args:
        data: A LightningDataModule, DataLoader, Dataset, `(train, validation)` or `(train, validation, test)` of
            loaders or Datasets, several loaders at once as Lightning takes them (a list or a dict), a DataFrame,
            `(X, y)` or `(X, y, w)` of arrays, lists, frames or scipy matrices, parts of those, a Bunch of scikit-learn,
            or None when the module brings its own loaders.
        config: Options; batch size and split apply to arrays and frames.
        module: The LightningModule, which may have loaders of its own.
        seed: Seeds the split.
        encoder: Of the run that is resumed or forked.

    Raises:
        DataError: It is none of these, is empty, or cannot be trained on.
        OptionError: An option does not apply to this kind of data.
    """
    refuse_other_lightning(data, "the data", DataError)
    if data is None:
        _refuse_drop_last(config, f"`{type(module).__name__}`")
        return _source_of_module(module)
    if isinstance(data, pl.LightningDataModule):
        _refuse_table_options(config, "a LightningDataModule")
        _refuse_drop_last(config, "a LightningDataModule")
        return DataSource({"datamodule": data}, f"data: {type(data).__name__}", data)
    rows = to_row_inputs(data, config.target)
    if rows is not None:
        return _source_of_rows(rows, config, module, seed, encoder)
    if config.fold is not None:
        data = _fold_subsets(data, config.fold, seed)
    return _source_of_loaders(data, config, module)


def _source_of_rows(
    rows: RowInputs, config: TrainConfig, module: pl.LightningModule, seed: int, encoder: Encoder | None
) -> DataSource:
    if not rows.is_frame:
        _refuse_target(config)
    if rows.part_sizes:
        for option, value in (("--split", config.split), ("--cv", config.fold)):
            if value is not None:
                raise OptionError(f"`{option}` deals rows, and the rows that validate are given; leave one of them out")
    split = Split(config.split or (_TRAIN_ONLY if config.fold else _DEFAULT_SPLIT), config.fold, rows.part_sizes)
    options = TableOptions(
        config.target, config.encode == "auto", config.scale, encoder=encoder, has_embedding=has_embedding(module)
    )
    if isinstance(module, PlainModule):
        options = dataclasses.replace(options, loss=module.loss, width=module.width)
    table = _split_table(rows, options, split, seed)
    source = DataSource(
        {}, table.description, rows.content, encoder=table.encoder, classes=table.classes, uses_batch_size=True
    )
    return _batched(source, DataParts(table.train, table.validation, table.test), config)


def _split_table(rows: RowInputs, options: TableOptions, split: Split, seed: int) -> TableParts:
    checked = check_rows(rows, options, split)
    row_numbers = split_rows(checked.targets, split, seed, checked.groups)
    return make_parts(checked, options, split, row_numbers)


def _batched(source: DataSource, parts: DataParts, config: TrainConfig) -> DataSource:
    source.parts, source.drop_last = parts, bool(config.drop_last)
    source.set_batch_size(int(config.batch_size))
    return source


def _fold_subsets(data: object, fold: Fold, seed: int) -> tuple[Dataset[Any], Dataset[Any]]:
    """The training and the validation rows of a Dataset in a fold.

    Raises:
        DataError: It has no rows that folds could be made of.
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


def _source_of_module(module: pl.LightningModule) -> DataSource:
    if not is_overridden("train_dataloader", module):
        raise DataError(
            f"no data was given and `{type(module).__name__}` has no `train_dataloader`; name the data after the "
            "model: `%train model data --epochs 10`"
        )
    return DataSource({}, "data: the model's own loaders")


def _source_of_loaders(data: object, config: TrainConfig, module: pl.LightningModule) -> DataSource:
    """Loaders and Datasets, never split: a tuple has parts, a list or a dict is a `CombinedLoader`."""
    _refuse_table_options(config, f"a {type(data).__name__}")
    train, validation, test = data, None, None
    if isinstance(data, tuple) and 2 <= len(data) <= 3:
        train, validation, test = (*data, None)[:3]
    if _is_loader_collection(train) and isinstance(module, PlainModule):
        raise DataError(
            f"a {type(train).__name__} of loaders gives a batch of each at once, which a plain nn.Module cannot take; "
            "for training and validation write a tuple, `(train, validation)`"
        )
    options = TableOptions(has_embedding=has_embedding(module))
    parts = DataParts(*(None if part is None else _check_part(part, options) for part in (train, validation, test)))
    uses_batch_size = isinstance(train, Dataset | tuple) and not _is_loader_collection(parts.train)
    if not uses_batch_size:
        _refuse_drop_last(config, f"a {type(train).__name__}")
    description = _describe_counts(train, validation, test)
    return _batched(DataSource({}, description, data, uses_batch_size=uses_batch_size), parts, config)


def _is_loader_collection(part: object) -> TypeGuard[list[Any] | dict[Any, Any]]:
    """Whether it is a collection of loaders or Datasets, for Lightning's `CombinedLoader`."""
    items = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return bool(items) and all(isinstance(item, Dataset | DataLoader) for item in items)


def refuse_class(data: object) -> None:
    """Refuses a class instead of data.

    Raises:
        DataError: It is a class.
    """
    if isinstance(data, type):
        raise DataError(f"`{data.__name__}` is a class; write `{data.__name__}(...)` to make data of it")


def _check_part(part: object, options: TableOptions) -> object:
    """A part of the data: rows become a Dataset, a tuple of loaders a list, and Datasets and loaders stay.

    Raises:
        DataError: It is none of these, or empty.
    """
    if isinstance(part, Dataset | DataLoader):
        _refuse_empty(part.dataset if isinstance(part, DataLoader) else part)
        return part
    if isinstance(part, dict):
        return {name: _check_part(item, options) for name, item in part.items()}
    if _is_loader_collection(part) or (isinstance(part, tuple) and _is_loader_collection(list(part))):
        return [_check_part(item, options) for item in part]
    if isinstance(part, tuple | list) and (rows := to_row_inputs(part)) is not None:
        return _split_table(rows, options, Split(_TRAIN_ONLY, part_sizes=(row_count(rows.features),)), 0).train
    if hasattr(part, "__iter__") and not isinstance(part, str | bytes | list | tuple | set):
        return part  # Lightning takes any iterable of batches
    refuse_class(part)
    raise DataError(
        f"`{type(part).__name__}` is no training data; expected a LightningDataModule, DataLoader, Dataset, `(X, y)` "
        "or `(X, y, w)`, or a DataFrame with `--target COLUMN`"
    )


def _refuse_empty(dataset: object) -> None:
    if not isinstance(dataset, IterableDataset) and hasattr(dataset, "__len__") and len(dataset) == 0:
        raise DataError(f"the dataset ({type(dataset).__name__}) is empty; nothing to train on")


def _describe_counts(*parts: object) -> str:
    if _is_loader_collection(parts[0]):
        description = f"{len(parts[0])} loaders, a batch of each at once"
        return description if isinstance(parts[0], dict) else f"{description}; a tuple would be `(train, validation)`"
    named_parts = zip(("train", "validation", "test"), parts, strict=True)
    counts = [f"{count:,} {name}" for name, part in named_parts if (count := _row_count(part))]
    return "rows: " + " / ".join(counts) if counts else ""


def _row_count(part: object) -> int:
    dataset = getattr(part, "dataset", part)
    if isinstance(dataset, IterableDataset) or not isinstance(dataset, Dataset):
        return 0
    return len(dataset) if hasattr(dataset, "__len__") else 0


def _refuse_target(config: TrainConfig) -> None:
    if config.target is not None:
        raise OptionError(f"`--target {config.target}` is for a DataFrame; `(X, y)` already names the target")


def _refuse_table_options(config: TrainConfig, data_name: str) -> None:
    for option in own_options():
        if option.for_tables and getattr(config, option.name) is not None:
            raise OptionError(f"`{option.flag}` is for arrays and DataFrames; {data_name} is used as it is")


def _refuse_drop_last(config: TrainConfig, data_name: str) -> None:
    if config.drop_last:
        raise OptionError(
            f"`--drop-last` is for arrays, frames and Datasets; {data_name} makes its own batches: `DataLoader(..., "
            "drop_last=True)`"
        )
