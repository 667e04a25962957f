"""Texts, gaps and scales of a table: fitted once, kept with the run, used again by whatever comes after it."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader

from jupyter_train import get_run, runs, train
from jupyter_train.exceptions import DataError, OptionError
from jupyter_train.store.run_folder import RunFolder
from jupyter_train.training.data.encoder import Encoder
from tests.models import LitDigits

ROWS = 60
X = np.random.default_rng(0).normal(loc=5, scale=3, size=(ROWS, 4))
CLASSES = (X[:, 0] > 5).astype(int) + (X[:, 1] > 5)
PRICE = X @ np.array([1.0, 2.0, 3.0, 4.0]) + 100
FRAME = pd.DataFrame(X, columns=list("abcd")).assign(y=CLASSES)
KINDS = np.array(["low", "high", None], dtype=object)[CLASSES]


def trained(data, inputs: int, width: int = 3, **options):
    settings = {"loss": "cross_entropy", "epochs": 1, "seed": 1, "quiet": True, "batch_size": 16} | options
    return train(lambda: nn.Linear(inputs, width), data, **settings)


def rows_of(run, name: str = "train_dataloaders") -> torch.Tensor:
    return run._source.loaders[name].dataset.tensors[0]


TEXTS = {
    "objects": KINDS,
    "strings": pd.array(KINDS, dtype="string"),
    "categories": pd.Categorical(KINDS),
    "NaN among texts": np.where(pd.isna(KINDS), np.nan, KINDS),
}


@pytest.mark.parametrize("kind", TEXTS)
def test_a_gap_among_texts_is_a_category_of_its_own(kind: str) -> None:
    frame = FRAME.assign(kind=TEXTS[kind])
    run = trained(frame, 7, target="y", encode="auto")
    assert run.record.summary["data"] == "rows: 48 train / 12 validation, stratified · 7 columns after encoding"
    encoder = Encoder.load(RunFolder(run.folder))
    fresh = pd.DataFrame(X[:4], columns=list("abcd")).assign(kind=["low", None, "new", "high"])
    assert encoder.features(fresh)[:, 4:].tolist() == [[0, 1, 0], [0, 0, 1], [0, 0, 0], [1, 0, 0]]
    assert run.predict(fresh).shape == (4, 3)
    assert run.predict(frame.drop(columns="y")).shape == (ROWS, 3)


def test_a_gap_that_training_never_saw_is_none_of_the_texts() -> None:
    run = trained(FRAME.assign(kind=["low", "high"] * 30), 6, target="y", encode="auto")
    fresh = FRAME.head(2).assign(kind=[None, "low"])
    assert Encoder.load(RunFolder(run.folder)).features(fresh)[:, 4:].tolist() == [[0, 0], [0, 1]]
    assert run.predict(fresh).shape == (2, 3)


def test_every_fold_has_the_categories_of_all_rows_and_one_for_others() -> None:
    kinds = ["rare", None, *["low", "high"] * 29]
    run = trained(FRAME.assign(kind=kinds), 9, target="y", encode="auto", cv=3)
    assert run.status == "finished"
    assert run.record.summary["data"].endswith("9 columns after encoding")
    encoders = [Encoder.load(RunFolder(fold.folder)) for fold in run.children]
    assert len(encoders) == 3
    for encoder in encoders:
        assert encoder.categories == {"kind": ["high", "low", "rare"]}
        fresh = FRAME.head(3).assign(kind=["rare", "new", None])
        assert encoder.features(fresh)[:, 4:].tolist() == [[0, 0, 1, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 1, 0]]
    assert len({tuple(encoder.medians.values()) for encoder in encoders}) == 3, "numbers are learnt from its train rows"


def test_columns_are_scaled_as_scikit_learn_does_it_by_the_rows_that_train() -> None:
    frame = FRAME.assign(kind=["low", "high"] * 30, same=7.0)
    run = trained(frame, 7, target="y", encode="auto", scale="standard", split=(0.5, 0.3, 0.2))
    assert run.record.summary["data"].endswith("7 columns after encoding · columns scaled")
    found, held = rows_of(run).numpy(), rows_of(run, "val_dataloaders").numpy()
    assert found[:, :4].mean(axis=0) == pytest.approx(np.zeros(4), abs=1e-6)
    assert found[:, :4].std(axis=0) == pytest.approx(np.ones(4), abs=1e-6)
    assert abs(held[:, :4].mean(axis=0)).max() > 1e-3
    scaler = StandardScaler()
    encoder = Encoder.load(RunFolder(run.folder))
    scaler.mean_, scaler.scale_ = (np.array([encoder.scales[name][part] for name in "abcd"]) for part in (0, 1))
    assert encoder.features(frame)[:, :4] == pytest.approx(scaler.transform(X), rel=1e-5)
    assert found[:, 4].tolist() == [0.0] * len(found), "a constant column"
    assert set(found[:, 5:].reshape(-1)) == {0.0, 1.0}, "texts are not scaled"
    assert run.predict(frame).shape == (ROWS, 3)


@pytest.mark.parametrize("data", [(X, PRICE), (torch.tensor(X), torch.tensor(PRICE)), (X.tolist(), PRICE[:, None])])
def test_a_scaled_target_is_put_back_in_predictions(data) -> None:
    run = trained(data, 4, 1, loss="mse", scale="standard+target", epochs=3, split=(1.0, 0.0), batch_size=1000)
    assert run.record.summary["data"] == "rows: 60 train · columns and target scaled"
    with torch.no_grad():
        scaled = run.model()(torch.tensor(StandardScaler().fit_transform(X), dtype=torch.float32))
    expected = scaled.numpy() * PRICE.std() + PRICE.mean()
    assert run.predict(data[0]).numpy() == pytest.approx(expected, rel=1e-5)
    loss = ((scaled.numpy()[:, 0] - (PRICE - PRICE.mean()) / PRICE.std()) ** 2).mean()
    assert run.test(data)["test_loss"] == pytest.approx(loss, rel=1e-4)


def test_every_column_of_several_targets_is_put_back() -> None:
    both = np.stack([PRICE, -10 * PRICE], axis=1)
    run = trained((X, both), 4, 2, loss="mse", scale="standard+target", split=(1.0, 0.0))
    with torch.no_grad():
        scaled = run.model()(torch.tensor(StandardScaler().fit_transform(X), dtype=torch.float32)).numpy()
    assert run.predict(X).numpy() == pytest.approx(scaled * both.std(axis=0) + both.mean(axis=0), rel=1e-4)


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        ((X, CLASSES), {"scale": "standard+target"}, "`cross_entropy` takes classes; write `standard`"),
        ((X.reshape(ROWS, 2, 2), CLASSES), {"scale": "standard"}, "need a table; X has shape"),
        ((sparse.csr_matrix(X), CLASSES), {"scale": "standard"}, "would leave no zeros in a scipy matrix"),
        ((np.where(X > 9, np.nan, X), CLASSES), {"scale": "standard"}, "NaN values in column"),
        (DataLoader(torch.zeros(4, 4)), {"scale": "standard"}, "`--scale` is for arrays and DataFrames"),
        ((X, CLASSES), {"scale": "minmax"}, "expected one of standard, standard"),
    ],
)
def test_what_cannot_be_scaled_is_one_line(data, options, words) -> None:
    with pytest.raises((DataError, OptionError), match=words):
        trained(data, 4, **options)


def test_the_classes_of_a_lightning_module_are_not_scaled() -> None:
    for targets, more in ((CLASSES, {}), (np.array(["a", "b", "c"])[CLASSES], {"encode": "auto"})):
        with pytest.raises(DataError, match="the targets are classes; write `standard`, or give numbers as floats"):
            train(LitDigits(), (X, targets), epochs=1, quiet=True, scale="standard+target", **more)


def altered(run) -> None:
    """As if other rows had been there when it was fitted."""
    path = run.folder / "encoder.json"
    kept = json.loads(path.read_text())
    kept["medians"]["a"] = 123.0
    path.write_text(json.dumps(kept))


@pytest.mark.parametrize("how", ["resume", "fork"])
def test_a_resumed_run_uses_the_encoder_that_was_kept(how: str) -> None:
    frame = FRAME.assign(kind=KINDS)
    frame.loc[:50, "a"] = np.nan
    run = trained(frame, 7, target="y", encode="auto")
    assert rows_of(run).max() < 50
    altered(run)
    more = trained(frame, 7, target="y", encode="auto", epochs=2, **{how: run.ref})
    assert (rows_of(more)[:, 0] == 123).sum() > 30
    assert Encoder.load(RunFolder(more.folder)).medians["a"] == 123
    again = more.resume(epochs=3)
    assert (rows_of(again)[:, 0] == 123).sum() > 30


def test_classes_and_scales_that_were_kept_are_used_again() -> None:
    for options in ({"loss": "mse", "scale": "standard+target"}, {"encode": "auto"}):
        targets = PRICE if "scale" in options else np.array(["cat", "cow", "dog"])[CLASSES]
        width = 1 if "scale" in options else 3
        run = trained((X, targets), 4, width, **options)
        tensors = run._source.loaders["train_dataloaders"].dataset.tensors
        more = trained((X, targets), 4, width, **options, epochs=2, resume=run.ref)
        again = more._source.loaders["train_dataloaders"].dataset.tensors
        assert all(map(torch.equal, tensors, again))


def test_an_encoder_of_an_earlier_release_is_still_read() -> None:
    frame = FRAME.assign(kind=["low", "high"] * 30)
    run = trained(frame, 6, target="y", encode="auto")
    expected = run.predict(frame)
    path = run.folder / "encoder.json"
    kept = json.loads(path.read_text())
    path.write_text(json.dumps({name: kept[name] for name in ("medians", "categories", "target", "labels")}))
    assert torch.equal(run.predict(frame), expected)
    assert trained(frame, 6, target="y", encode="auto", epochs=2, resume=run.ref).record.attempt == 2


def test_the_error_of_a_model_that_is_too_narrow_names_the_width_of_the_table() -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        trained(FRAME.assign(kind=KINDS), 4, target="y", encode="auto")
    assert get_run(runs()[0].ref).record.summary["data"].endswith("7 columns after encoding")
