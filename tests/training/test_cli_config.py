"""Model, data and Trainer arguments of a LightningCLI file, as Lightning's own command line makes them."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import pytest

from jupyter_train.exceptions import OptionError
from jupyter_train.training.cli_config import build_parts
from tests.models import DigitsData, LitDigits

MODEL = {"class_path": "tests.models.LitDigits", "init_args": {"hidden": 8}}
DATA = {"class_path": "tests.models.DigitsData", "init_args": {"rows": 64}}


@pytest.fixture(autouse=True)
def chosen_seed(monkeypatch) -> None:
    """Where `seed_everything` reads a seed that is not given, and writes the one that is."""
    monkeypatch.setenv("PL_GLOBAL_SEED", "11")


def test_classes_are_named_in_the_file() -> None:
    parts = build_parts({"model": MODEL, "data": DATA})
    assert type(parts.model) is LitDigits
    assert parts.model.hparams["hidden"] == 8
    assert type(parts.datamodule) is DigitsData
    assert (parts.datamodule.rows, parts.datamodule.batch_size) == (64, 32)
    assert (parts.trainer, parts.seed, parts.ckpt_path) == ({}, None, None)


def test_classes_are_given_beside_the_file() -> None:
    parts = build_parts({"model": {"hidden": 4}}, LitDigits, DigitsData)
    assert parts.model.hparams["hidden"] == 4
    assert type(parts.datamodule) is DigitsData
    assert build_parts({"model": {"hidden": 4}}, LitDigits).datamodule is None


def test_what_the_file_sets_is_kept_and_no_default() -> None:
    settings = {"trainer": {"max_epochs": 3, "precision": None}, "seed_everything": 7, "ckpt_path": "last.ckpt"}
    parts = build_parts({"model": MODEL, **settings})
    assert (parts.trainer, parts.seed, parts.ckpt_path) == ({"max_epochs": 3}, 7, "last.ckpt")


@pytest.mark.parametrize(("seed", "expected"), [(True, 11), (False, None)])
def test_a_seed_that_is_switched_on_is_the_one_that_lightning_chooses(seed: bool, expected: int | None) -> None:
    assert build_parts({"model": MODEL, "seed_everything": seed}).seed == expected


def test_settings_below_fit_go_before_those_beside_it() -> None:
    fit = {"model": MODEL, "trainer": {"max_epochs": 2}, "ckpt_path": "a.ckpt", "weights_only": True}
    parts = build_parts({"fit": fit, "trainer": {"max_epochs": 9}, "test": {"verbose": True}, "predict": None})
    assert (parts.trainer, parts.ckpt_path) == ({"max_epochs": 2}, "a.ckpt")
    assert parts.model.hparams["hidden"] == 8


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"model": {"class_path": "tests.models.LitDigits", "init_args": {"hiden": 8}}}, "hiden"),
        ({"model": MODEL, "trainer": {"max_epoch": 3}}, "max_epoch"),
        ({"model": {"class_path": "tests.models.NoSuch"}}, "NoSuch"),
        ({}, "model"),
    ],
)
def test_a_file_that_lightning_refuses_is_one_line(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words) as info:
        build_parts(settings)
    assert str(info.value).startswith("the file was not accepted by LightningCLI: ")
    assert "\n" not in str(info.value)


def test_a_class_of_the_other_lightning_is_named_with_its_counterpart() -> None:
    path = "lightning.pytorch.demos.boring_classes.BoringModel"
    with pytest.raises(OptionError, match=r"write `class_path: pytorch_lightning\.demos\.BoringModel`"):
        build_parts({"model": {"class_path": path}})


@pytest.mark.parametrize("settings", [{"model": MODEL}, {"model": {"class_path": "tests.models.NoSuch"}}])
def test_the_arguments_of_the_process_are_neither_read_nor_changed(monkeypatch, settings: dict[str, Any]) -> None:
    arguments = ["kernel.py", "-f", "kernel.json", "--trainer.max_epochs=5"]
    monkeypatch.setattr(sys, "argv", arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            assert build_parts(settings).trainer == {}
        except OptionError as err:
            assert "NoSuch" in str(err)  # noqa: PT017  only one of the two files is refused
    assert sys.argv is arguments
