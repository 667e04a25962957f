"""What becomes of an error that ends a fit: clearer words where its cause is known, and nothing held by its frames."""

from __future__ import annotations

import weakref

import pytest
import torch

from jupyter_train.exceptions import DataError, OptionError
from jupyter_train.training.data.data_source import DataSource
from jupyter_train.training.fit_errors import explained, forget_frames, release_memory
from tests.training.trainers import quiet_trainer


def source(classes: int | None = None) -> DataSource:
    return DataSource({}, classes=classes)


class Wordless(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def test_a_class_without_an_output_is_explained() -> None:
    err = IndexError("Target 10 is out of bounds.")
    clear = explained(err, quiet_trainer(), source(11))
    assert isinstance(clear, DataError)
    assert str(clear).startswith("Target 10 is out of bounds: the data (11 classes) names a class the model has no out")
    assert clear.__cause__ is err
    assert "(11 classes)" not in str(explained(err, quiet_trainer(), source()))


def test_a_metric_that_early_stopping_misses_is_explained() -> None:
    trainer = quiet_trainer()
    trainer.callback_metrics["val_acc"] = torch.tensor(0.5)
    err = RuntimeError("Early stopping conditioned on metric `val_los` which is not available.")
    clear = explained(err, trainer, source())
    assert isinstance(clear, OptionError)
    assert str(clear).startswith("`--early-stop`: ")
    assert "`val_los`" in str(clear)
    assert clear.__cause__ is err


@pytest.mark.parametrize(
    "err", [IndexError("list index out of range"), RuntimeError("x"), ValueError("Target"), Wordless()]
)
def test_any_other_error_is_itself(err: Exception) -> None:
    assert explained(err, quiet_trainer(), source()) is err


class Batch:
    """Something large that a frame holds."""


def fails(batch: Batch, cause: bool) -> None:
    kept = batch  # noqa: F841
    if cause:
        try:
            fails(Batch(), False)
        except ValueError as err:
            raise RuntimeError from err
    raise ValueError


@pytest.mark.parametrize("cause", [False, True])
def test_what_the_frames_of_an_error_and_its_causes_hold_is_let_go(cause: bool) -> None:
    batch = Batch()
    held = weakref.ref(batch)
    try:
        fails(batch, cause)
    except (RuntimeError, ValueError) as caught:
        err: BaseException = caught
    del batch
    assert held() is not None
    forget_frames(err)
    release_memory()
    assert held() is None
    forget_frames(None)


def test_errors_that_cause_each_other_end() -> None:
    one, other = ValueError(), KeyError()
    one.__cause__, other.__cause__ = other, one
    forget_frames(one)
