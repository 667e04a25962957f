"""A run's checkpoint in stock Lightning's hands: the model that was trained, or a refusal that says why not."""

from __future__ import annotations

import argparse
import dataclasses
import enum
import pathlib
import threading

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from jupyter_train import train
from jupyter_train.training.checkpoints import format as files
from jupyter_train.training.checkpoints.format import file_hash, read, read_plain, write
from jupyter_train.training.checkpoints.plain_content import split_plain
from tests.models import DigitsData, LitDigits, are_equal, digits, weights

#: What Lightning and torch say of these modules is theirs to say.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


class Colour(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Shape:
    hidden: int = 16


class Made(LitDigits):
    """Takes one more thing, whose default is silently used where it is missing."""

    def __init__(self, extra=None, act=None, lr=0.1):
        super(LitDigits, self).__init__()
        self.save_hyperparameters()
        self.extra, self.act = extra, act or torch.relu
        self.net = torch.nn.Linear(64, 10)

    def forward(self, images):
        return self.act(self.net(images))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), self.hparams.lr)


def _trained(make):
    return train(make, lambda: digits(64), epochs=1, seed=1, quiet=True)


@pytest.mark.parametrize(
    "extra",
    [{1: "a", (2, (3, None)): "b", b"c": 1.5}, {"a": {1, "x"}}, [1, (2, {"three": 3j})], torch.float16, 2**1000, ()],
    ids=["keys", "set", "nested", "dtype", "long", "empty"],
)
def test_plain_hyperparameters_build_the_model_that_was_trained(extra) -> None:
    run = _trained(lambda: Made(extra))
    loaded = Made.load_from_checkpoint(run.checkpoint)
    assert loaded.extra == extra
    assert type(loaded.extra) is type(extra)
    assert are_equal(weights(loaded), weights(run.model()))


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        (Shape(), "`extra` (Shape)"),
        (Colour.RED, "`extra` (Colour)"),
        (torch.nn.ReLU, "`extra` (ReLU)"),
        (np.float32(3), "`extra` (float32)"),
        (pathlib.PurePosixPath("x"), "`extra` (PurePosixPath)"),
        (argparse.Namespace(a=1), "`extra` (Namespace)"),
        ({"deep": [0, (Colour.RED,)]}, "`extra.deep.1.0` (Colour)"),
        (2**5000, "`extra` (int)"),
        ({Colour.RED: 1}, "`extra` (dict)"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_a_load_without_a_hyperparameter_is_refused_with_its_name(extra, named, tmp_path) -> None:
    run = _trained(lambda: Made(extra))
    with pytest.raises(ValueError, match=r"run\.model\(\)") as caught:
        Made.load_from_checkpoint(run.checkpoint)
    assert named in str(caught.value)
    assert Made.load_from_checkpoint(run.checkpoint, extra=extra, _instantiator=None).extra == extra
    stock = run.export(tmp_path / "model.ckpt", "lightning")
    assert Made.load_from_checkpoint(stock, weights_only=False).extra == extra
    assert run.model().hparams.extra == extra


def test_a_lambda_that_lightning_takes_from_the_hyperparameters_is_named_too(tmp_path) -> None:
    run = _trained(lambda: Made(act=lambda numbers: numbers * 2))
    stock = run.export(tmp_path / "model.ckpt", "lightning")
    for path in (run.checkpoint, stock):
        with pytest.raises(ValueError, match=r"`act` \(function\)"):
            Made.load_from_checkpoint(path, weights_only=False)
    newest = next(one for one in _rows(run) if one.kind == "best")
    assert read(run.checkpoint, newest.sha256)["hyper_parameters"]["act"](3) == 6


def _rows(run):
    from jupyter_train.store import MetricReader, RunFolder

    with MetricReader(RunFolder(run.folder).metrics) as reader:
        return reader.checkpoints()


def test_arguments_that_are_one_object_are_refused_too() -> None:
    class OfOne(Made):
        def __init__(self, config=None):
            super(LitDigits, self).__init__()
            self.save_hyperparameters(config)
            self.act, self.net = torch.relu, torch.nn.Linear(64, 10)

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.1)

    config = argparse.Namespace(shape=Shape(), lr=0.1)
    run = _trained(lambda: OfOne(config))
    with pytest.raises(ValueError, match=r"`shape` \(Shape\).*config=\.\.\."):
        OfOne.load_from_checkpoint(run.checkpoint)
    assert OfOne.load_from_checkpoint(run.checkpoint, config=config, _instantiator=None).hparams.shape == Shape()


def test_a_class_with_open_arguments_is_refused_too() -> None:
    class Open(Made):
        def __init__(self, **more):
            super(LitDigits, self).__init__()
            self.save_hyperparameters()
            self.act, self.net = torch.relu, torch.nn.Linear(64, 10)

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.1)

    run = _trained(lambda: Open(shape=Shape()))
    with pytest.raises(ValueError, match=r"`shape` \(Shape\)"):
        Open.load_from_checkpoint(run.checkpoint)


class OddData(DigitsData):
    def __init__(self, shape=None):
        super().__init__(64)
        self.save_hyperparameters()


def test_a_datamodule_without_a_hyperparameter_is_refused_too() -> None:
    run = train(lambda: LitDigits(), lambda: OddData(Shape()), epochs=1, seed=1, quiet=True)
    assert LitDigits.load_from_checkpoint(run.checkpoint).hparams.hidden == 16
    with pytest.raises(ValueError, match=r"`shape` \(Shape\)"):
        OddData.load_from_checkpoint(run.checkpoint)


class Counts(pl.Callback):
    """Its state holds something that is no plain data."""

    def __init__(self) -> None:
        self.state = {"shape": Shape(3), "kept": [1, Colour.RED]}

    def state_dict(self):
        return dict(self.state)

    def load_state_dict(self, state):
        self.state = state


def test_a_stock_trainer_warns_about_what_it_does_not_find(tmp_path) -> None:
    run = train(lambda: LitDigits(), lambda: digits(64), epochs=1, seed=1, quiet=True, callback=[Counts()])
    trainer = pl.Trainer(
        max_epochs=2,
        default_root_dir=tmp_path,
        callbacks=[Counts()],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        devices=1,
    )
    with pytest.warns(UserWarning, match=r"not in this file.*`callbacks\.Counts\.shape`"):
        trainer.fit(LitDigits(), DigitsData(64), ckpt_path=run.checkpoint)
    assert "Shape, set apart" in trainer.callbacks[0].state["shape"]


def test_a_resumed_run_has_the_states_as_they_were(tmp_path) -> None:
    counts = Counts()
    run = train(lambda: LitDigits(), lambda: digits(64), epochs=1, seed=1, quiet=True, callback=[Counts()])
    run = train(lambda: LitDigits(), lambda: digits(64), epochs=2, resume=run.ref, quiet=True, callback=[counts])
    assert counts.state == {"shape": Shape(3), "kept": [1, Colour.RED]}
    assert not [event for event in run.events if "not in this file" in event.text]


def test_extra_state_of_any_class_comes_back_with_the_weights() -> None:
    class Extra(LitDigits):
        def get_extra_state(self):
            return Shape(5)

        def set_extra_state(self, state):
            self.shape = state

    run = train(lambda: Extra(), lambda: digits(64), epochs=1, seed=1, quiet=True)
    assert run.model().shape == Shape(5)


def test_a_text_lies_where_something_was_set_apart_and_nothing_after_reading(tmp_path) -> None:
    content = {"callbacks": {"a": {"b": [1, Colour.RED], "c": (Shape(),)}}, "hyper_parameters": {"x": {"y": Shape()}}}
    plain, apart = split_plain(content)
    assert [one.name for one in apart] == ["callbacks.a.b.1", "callbacks.a.c.0", "hyper_parameters.x.y"]
    assert plain["callbacks"]["a"]["b"] == [1, "<a Colour, set apart, since it is no plain data>"]
    assert plain["hyper_parameters"]["x"]["y"] == "<a Shape, set apart, since it is no plain data>"
    _, sha256, problems = write(content, tmp_path / "a.ckpt")
    found = read(tmp_path / "a.ckpt", sha256)
    assert not problems
    assert {name: found[name] for name in content} == content


def test_what_cannot_be_kept_is_missing_and_refuses_the_load_for_good(tmp_path) -> None:
    content = {"hyper_parameters": {"lock": threading.Lock(), "shape": Shape()}, "hparams_name": "kwargs"}
    _, sha256, problems = write(content, tmp_path / "a.ckpt")
    assert list(problems) == ["hyper_parameters.lock"]
    found = read(tmp_path / "a.ckpt", sha256)["hyper_parameters"]
    assert found["shape"] == Shape()
    assert "lock" not in found
    assert "`lock` (lock) could not be pickled" in found["_instantiator"]


def test_checkpoints_of_the_first_format_are_read(tmp_path) -> None:
    """They left out what was set apart, and None in a list."""
    from jupyter_train.training.checkpoints.plain_content import ExtractedValue, pickle_extracted

    apart = [ExtractedValue(("hyper_parameters", "shape"), Shape(7)), ExtractedValue(("callbacks", "a", 1), Colour.RED)]
    objects, _ = pickle_extracted(apart)
    del objects["lost"]
    old = {"hyper_parameters": {"lr": 1.0}, "callbacks": {"a": [1, None]}, "state_dict": {}}
    torch.save(old | {files.RUN_STATE_KEY: {"format": 1, "objects": objects}}, tmp_path / "old.ckpt")
    found = read(tmp_path / "old.ckpt", file_hash(tmp_path / "old.ckpt"))
    assert found["hyper_parameters"] == {"lr": 1.0, "shape": Shape(7)}
    assert found["callbacks"] == {"a": [1, Colour.RED]}


def test_the_exported_configuration_names_every_hyperparameter(tmp_path) -> None:
    import json

    run = _trained(lambda: Made(Shape()))
    run.export(tmp_path / "model")
    found = json.loads((tmp_path / "model" / "config.json").read_text())["hyperparameters"]
    assert found == {"act": None, "extra": "<a Shape, set apart, since it is no plain data>", "lr": 0.1}


def test_nothing_is_unpickled_where_only_plain_data_is_requested(tmp_path) -> None:
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("unpickled",))

    _, sha256, _ = write({"state_dict": {"a": torch.ones(1)}, "hyper_parameters": {"x": Bomb()}}, tmp_path / "a.ckpt")
    assert read_plain(tmp_path / "a.ckpt", sha256)["state_dict"]["a"].item() == 1
    assert read(tmp_path / "a.ckpt", sha256, only="state_dict")["state_dict"]["a"].item() == 1
