"""A source batches the same rows in any size; loaders of the user's stay what they are."""

from __future__ import annotations

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

from jupyter_train.exceptions import OptionError
from jupyter_train.training.data.data_source import DataParts, DataSource

ROWS, MORE = TensorDataset(torch.arange(20)), TensorDataset(torch.arange(8))


def test_all_parts_are_batched_in_the_size_and_training_is_shuffled() -> None:
    source = DataSource({}, parts=DataParts(ROWS, MORE, MORE), drop_last=True)
    source.set_batch_size(3)
    train, validation = source.loaders["train_dataloaders"], source.loaders["val_dataloaders"]
    assert (train.batch_size, len(train), type(train.sampler)) == (3, 6, RandomSampler)
    assert (validation.batch_size, len(validation), len(source.test)) == (3, 3, 3)
    assert [batch.tolist() for [batch] in validation] == [[0, 1, 2], [3, 4, 5], [6, 7]]
    assert train.dataset is ROWS


def test_another_size_changes_the_source_only_where_it_is_set() -> None:
    source = DataSource({}, parts=DataParts(ROWS))
    source.set_batch_size(3)
    assert source.make_loaders(5)["train_dataloaders"].batch_size == 5
    assert source.loaders["train_dataloaders"].batch_size == 3
    assert list(source.loaders) == ["train_dataloaders"]


def test_loaders_of_the_users_are_handed_on() -> None:
    own = DataLoader(MORE, batch_size=4)
    source = DataSource({}, parts=DataParts({"a": ROWS, "b": own}, [own, ROWS]))
    source.set_batch_size(2)
    train, validation = source.loaders["train_dataloaders"], source.loaders["val_dataloaders"]
    assert (train["a"].batch_size, validation[1].batch_size) == (2, 2)
    assert train["b"] is validation[0] is own
    datamodule = pl.LightningDataModule()
    source = DataSource({"datamodule": datamodule})
    source.set_batch_size(2)
    assert source.loaders == {"datamodule": datamodule}


def test_no_batch_at_all_is_refused() -> None:
    with pytest.raises(OptionError, match="there are 8 rows for a batch of 10"):
        DataSource({}, parts=DataParts(MORE), drop_last=True).set_batch_size(10)


def test_validation_may_come_from_three_places() -> None:
    class Validates(pl.LightningModule):
        def val_dataloader(self):
            return []

    class Data(pl.LightningDataModule):
        def val_dataloader(self):
            return []

    plain = pl.LightningModule()
    assert not DataSource({}).has_validation(plain)
    assert DataSource({}).has_validation(Validates())
    assert DataSource({"datamodule": Data()}).has_validation(plain)
    assert DataSource({"val_dataloaders": []}).has_validation(plain)
