"""`--lr auto` and `--batch-size auto`: found before the run begins, recorded with it, and nothing else is changed."""

from __future__ import annotations

import copy
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from jupyter_train import train
from jupyter_train.config import TrainConfig
from jupyter_train.config.cross_validation import Fold, parse_folds
from jupyter_train.exceptions import DataError, OptionError
from jupyter_train.execution.preparation import prepare
from jupyter_train.execution.run_spec import RunSpec
from jupyter_train.panel.details import details
from jupyter_train.store import MetricReader, RunFolder, open_store
from jupyter_train.training.data.loaders import make_data_source
from jupyter_train.training.inspection.finders import run_finders
from tests.models import LitDigits, are_equal, digits, weights
from tests.parity.models import OwnData, loader

pytestmark = [pytest.mark.filterwarnings("ignore::UserWarning"), pytest.mark.timeout(240)]


def arrays() -> tuple[np.ndarray, np.ndarray]:
    dice = np.random.default_rng(0)
    labels = np.arange(200) % 4
    return (dice.normal(size=(200, 8)) + labels[:, None]).astype("float32"), labels


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))


def found(run) -> list[str]:
    return [event.text for event in run.events if event.kind == "found"]


def test_a_learning_rate_is_found_and_the_run_is_that_of_the_number() -> None:
    run = train(net, arrays(), loss="cross_entropy", lr="auto", epochs=2, seed=1, quiet=True)
    [words] = found(run)
    assert words.startswith("learning rate ")
    assert words.endswith("found by Lightning's finder in 100 steps")
    lr = run.config["lr"]
    assert 1e-8 < lr <= 1
    assert run.last["lr"] == lr
    again = train(net, arrays(), loss="cross_entropy", lr=lr, epochs=2, seed=1, quiet=True)
    assert are_equal(weights(run._module), weights(again._module))
    assert run.metrics.to_csv() == again.metrics.to_csv()


def test_the_finders_plot_is_in_the_panel() -> None:
    run = train(net, arrays(), loss="cross_entropy", lr="auto", epochs=1, seed=1, quiet=True)
    with MetricReader(RunFolder(run.folder).metrics) as reader:
        kept = {(one.name, one.kind): one for one in reader.media()}
    assert set(kept) == {("lr_find", "figure"), ("lr_find", "table")}
    table = (run.folder / kept["lr_find", "table"].path).read_text().splitlines()
    assert table[0] == "lr,loss"
    assert len(table) == 101
    assert (run.folder / kept["lr_find", "figure"].path).read_bytes().startswith(b"\x89PNG")
    assert found(run)[0] in str(details(open_store(), run.key))


def test_a_module_keeps_its_state_but_for_the_rate() -> None:
    module = LitDigits()
    other = copy.deepcopy(module)
    run = train(module, digits(), lr="auto", epochs=1, seed=1, quiet=True)
    assert module.hparams.lr == run.config["lr"]
    train(other, digits(), lr=run.config["lr"], epochs=1, seed=1, quiet=True)
    assert are_equal(weights(module), weights(other))


def test_a_batch_size_is_found_for_arrays() -> None:
    run = train(net, arrays(), loss="cross_entropy", batch_size="auto", epochs=1, seed=1, quiet=True)
    size = run.config["batch_size"]
    assert size == 160  # the rows of the training part
    assert found(run) == [f"batch size {size} found by Lightning's finder: the largest that fits"]
    assert run.record.summary["progress"]["steps"] == 1


class SeesRows(pl.LightningModule):
    """Notes which rows the search, the run and its validation see: the first input is the row's number."""

    seen: ClassVar[dict[str, set[int]]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.lr = 1e-3
        self.layer = nn.Linear(2, 4)

    def _loss(self, batch, stage: str) -> torch.Tensor:
        is_search = self.trainer.logger is None
        rows = self.seen.setdefault("search" if is_search and stage == "run" else stage, set())
        rows.update(batch[0][:, 0].int().tolist())
        outputs = self.layer(batch[0][:, :2] / 200)
        if batch[1].is_floating_point():
            return nn.functional.mse_loss(outputs[:, 0], batch[1])
        return nn.functional.cross_entropy(outputs, batch[1])

    def training_step(self, batch, batch_idx):
        return self._loss(batch, "run")

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", self._loss(batch, "validation"))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.lr)


def numbered_rows() -> pd.DataFrame:
    rows = np.arange(200)
    return pd.DataFrame({"row": rows, "noise": rows % 7, "label": rows % 4, "who": rows // 10}).astype({"row": float})


def rows_of(loader) -> set[int]:
    return set(loader.dataset.tensors[0][:, 0].int().tolist())


@pytest.mark.parametrize("auto", [{"lr": "auto"}, {"batch_size": "auto"}])
@pytest.mark.parametrize("folds", ["", "4", "4:plain", "4:group=who"])  # classes, so that the first two are stratified
def test_the_finders_train_on_the_rows_that_the_run_trains_on(auto, folds: str, monkeypatch) -> None:
    monkeypatch.setattr(SeesRows, "seen", {})
    config = TrainConfig.of({"epochs": 1, "target": "label", "seed": 1, **auto}, {})
    config.split_seed = 7
    config.fold = Fold(parse_folds(folds), 2) if folds else None
    prepared = prepare(RunSpec(config=config), lambda _config: (SeesRows(), numbered_rows()))
    loaders = make_data_source(numbered_rows(), config, SeesRows(), 7).loaders
    assert SeesRows.seen["search"] == rows_of(loaders["train_dataloaders"])
    assert {name: rows_of(loader) for name, loader in prepared.source.loaders.items()} == {
        name: rows_of(loader) for name, loader in loaders.items()
    }


def test_a_batch_size_is_found_for_a_model_with_loaders_of_its_own() -> None:
    module = OwnData()
    run = train(module, epochs=1, seed=1, quiet=True, batch_size="auto", lr="auto")
    assert module.batch_size == run.config["batch_size"] > 8
    assert len(found(run)) == 2


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"batch_size": "auto"}, DataError, "needs to change the batch size"),
        ({"lr": "auto", "fast_dev_run": True}, OptionError, "`auto` needs more steps than `--fast-dev-run` takes"),
        ({"lr": "fast"}, OptionError, "`--lr fast`: expected a number above zero, or auto"),
        ({"batch_size": "big"}, OptionError, "`--batch-size big`: expected a whole number of 1 or more, or auto"),
        ({"batch_size": 0}, OptionError, "expected a whole number of 1 or more"),
    ],
)
def test_what_cannot_be_looked_for_says_why(options, error, words: str) -> None:
    with pytest.raises(error, match=words):
        train(LitDigits(), (loader(), loader()), epochs=1, quiet=True, **options)


def test_a_module_without_a_rate_of_its_own_is_refused_before_the_search() -> None:
    class Fixed(pl.LightningModule):
        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

        def training_step(self, batch, batch_idx):
            raise AssertionError("searched")

    with pytest.raises(OptionError, match="keeps no `lr` or `learning_rate`"):
        train(Fixed(), digits(), epochs=1, quiet=True, lr="auto")


def test_it_is_not_looked_for_again_when_a_run_resumes() -> None:
    class Fails(pl.Callback):
        """Ends the first attempt."""

        def on_train_batch_start(self, trainer, *_):
            if trainer.global_step == 6:
                raise ValueError("no power")

    with pytest.raises(ValueError, match="no power"):
        train(net, arrays, loss="cross_entropy", lr="auto", epochs=3, seed=1, quiet=True, callback=[Fails()])
    from jupyter_train import runs

    run = runs()[0]
    again = train(net, arrays, loss="cross_entropy", resume=run.ref, quiet=True)
    assert again.status == "finished"
    assert len(found(again)) == 1
    with pytest.raises(OptionError, match="`auto` looks before a run begins"):
        train(net, arrays, loss="cross_entropy", resume=run.ref, lr="auto", quiet=True)


def test_a_detached_run_records_what_was_found() -> None:
    run = train(net, arrays(), loss="cross_entropy", lr="auto", epochs=1, seed=1, quiet=True, detach=True).wait(120)
    assert run.status == "finished", run.log
    assert len(found(run)) == 1
    assert run.config["lr"] != "auto"


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("resume", "abc", "`auto` looks before"),
        ("fork", "abc", "`auto` looks before"),
        ("trainer", {"fast_dev_run": 1}, "needs more steps"),
    ],
)
def test_no_search_begins_where_its_result_would_not_be_used(option: str, value: object, words: str) -> None:
    config, module = TrainConfig.of({"epochs": 1, "lr": "auto"}), LitDigits()
    source = make_data_source(digits(), config, module, 1)
    setattr(config, option, value)
    with pytest.raises(OptionError, match=words):
        run_finders(module, module, source, config)
    assert config.lr == "auto"


def test_numbers_are_left_as_they_are() -> None:
    config, module = TrainConfig.of({"epochs": 1, "lr": 0.5, "batch_size": 16}), LitDigits()
    assert run_finders(module, module, make_data_source(digits(), config, module, 1), config) == []
    assert (config.lr, config.batch_size) == (0.5, 16)
