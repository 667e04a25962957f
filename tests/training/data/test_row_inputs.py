"""Rows as people hold them: every kind trains as its arrays do, or is one line before anything is trained."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.datasets import load_iris
from sklearn.utils import Bunch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from jupyter_train import runs, train
from jupyter_train.exceptions import ChangedError, DataError, OptionError
from tests.models import LitDigits, are_equal, weights

ROWS = 60
X = np.random.default_rng(0).normal(size=(ROWS, 4)).astype("float32")
CLASSES = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
TEXTS = np.array(["cat", "cow", "dog"])
PRICE = X @ np.array([1.0, 2.0, 3.0, 4.0])
FRAME = pd.DataFrame(X, columns=list("abcd")).assign(y=CLASSES)
DAYS = pd.date_range("2024-01-01", periods=ROWS)


def trained(data, width: int = 3, **options):
    """Two epochs of one linear layer, by the same seed."""
    settings = {"loss": "cross_entropy", "epochs": 2, "seed": 1, "quiet": True, "batch_size": 16} | options
    inputs = settings.pop("inputs", 4)
    return train(lambda: nn.Linear(inputs, width), data, **settings)


def said(run) -> str:
    return run.record.summary["data"]


KINDS = {
    "lists": (X.tolist(), CLASSES.tolist()),
    "a list of two": [X.tolist(), CLASSES.tolist()],
    "lists of arrays": (list(X), list(CLASSES)),
    "lists of tensors": (list(torch.from_numpy(X)), list(torch.from_numpy(CLASSES))),
    "a Bunch": Bunch(data=X, target=CLASSES),
    "a Bunch of a frame": Bunch(data=FRAME.drop(columns="y"), target=FRAME.y, frame=None),
    "scipy matrix": (sparse.csr_matrix(X), CLASSES),
    "scipy array by columns": (sparse.csc_array(X), CLASSES),
    "sparse tensor": (torch.from_numpy(X).to_sparse(), torch.from_numpy(CLASSES)),
    "frame and series": (FRAME.drop(columns="y"), FRAME.y),
    "frame and frame": (FRAME.drop(columns="y"), FRAME[["y"]]),
    "matrices": (np.asmatrix(X), np.asmatrix(CLASSES).T),
    "float classes": (X, CLASSES.astype("float64")),
    "a column of classes": (X, CLASSES[:, None]),
    "objects": (X.astype(object), CLASSES.astype(object)),
    "integer column names": (pd.DataFrame(X), pd.Series(CLASSES)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_every_kind_train_as_arrays_do(kind: str) -> None:
    stock = trained((X, CLASSES))
    run = trained(KINDS[kind])
    assert are_equal(weights(stock._module), weights(run._module))
    assert said(run) == said(stock) == "rows: 48 train / 12 validation, stratified"
    assert run.provenance["data"]["sha256"]


def test_soft_labels_and_one_hot_rows_train() -> None:
    one_hot = np.eye(3)[CLASSES]
    run, same = trained((X, one_hot)), trained((X, one_hot.astype(int)))
    assert are_equal(weights(run._module), weights(same._module))
    soft = trained((X, one_hot * 0.8 + 0.2 / 3))
    assert soft.last["val_loss"] > 0
    assert 0 <= soft.last["val_acc"] <= 1


CLASSES_AS_PEOPLE_HAVE_THEM = {
    "from 1": (CLASSES + 1, 3, "classes: `1` is 0, `2` is 1, `3` is 2"),
    "from -1": (CLASSES - 1, 3, "classes: `-1` is 0, `0` is 1, `1` is 2"),
    "floats from 1": (CLASSES + 1.0, 3, "classes: `1` is 0, `2` is 1, `3` is 2"),
    "far apart": (CLASSES * 10, 3, "classes: `0` is 0, `10` is 1, `20` is 2"),
    "texts": (TEXTS[CLASSES], 3, "stratified"),
}


@pytest.mark.parametrize("kind", CLASSES_AS_PEOPLE_HAVE_THEM)
@pytest.mark.parametrize("as_frame", [False, True])
def test_other_classes_are_numbered_in_their_order_where_it_is_allowed(kind: str, as_frame: bool) -> None:
    given, width, words = CLASSES_AS_PEOPLE_HAVE_THEM[kind]
    data, more = ((X, given), {}) if not as_frame else (FRAME.assign(y=given), {"target": "y"})
    with pytest.raises(DataError, match="--encode auto"):
        trained(data, width, **more)
    assert list(runs()) == [], "nothing is recorded"
    run, same = trained(data, width, encode="auto", **more), trained((X, CLASSES))
    assert are_equal(weights(run._module), weights(same._module))
    assert words in said(run)
    tested = run.test(FRAME.assign(y=given) if as_frame else (X, given))
    assert tested == pytest.approx(same.test((X, CLASSES)))
    with pytest.raises(DataError, match="`7`; the model was trained on"):
        run.test((X[:2], np.array([given[0], 7], dtype=object)))


def test_classes_that_fit_the_outputs_are_left_as_they_are() -> None:
    run = trained((X, CLASSES + 1), 4, encode="auto")
    assert said(run).endswith("stratified")
    assert run.test((X, CLASSES + 1)) == run.test((torch.from_numpy(X), torch.from_numpy(CLASSES + 1)))
    with pytest.raises(DataError, match=r"3 classes \(1, 2, 3\) and the model gives 2 outputs"):
        trained((X, CLASSES + 1), 2)
    ignoring = nn.CrossEntropyLoss(ignore_index=-1)
    assert trained((X, CLASSES - 1), 2, loss=ignoring).status == "finished"


def test_two_classes_for_a_binary_loss() -> None:
    is_high = (X[:, 0] > 0).astype(int)
    expected = trained((X, is_high), 1, loss="bce_with_logits")
    for given in (2 * is_high - 1, is_high + 1):
        with pytest.raises(DataError, match=r"takes targets from 0 to 1, and these go from .*--encode auto"):
            trained((X, given), 1, loss="bce_with_logits")
        run = trained((X, given), 1, loss="bce_with_logits", encode="auto")
        assert are_equal(weights(run._module), weights(expected._module))
    column, same = (
        trained((X, given), 1, loss="bce_with_logits", encode="auto")
        for given in (is_high[:, None].astype(bool), 2 * is_high[:, None] - 1)
    )
    assert are_equal(weights(column._module), weights(same._module))
    hinge = trained((X, 2 * is_high - 1), 1, loss=nn.SoftMarginLoss())
    assert hinge.status == "finished", "a loss that wants -1 and 1 gets them"


def test_a_row_of_no_weight_is_as_if_it_were_not_there() -> None:
    kept = np.arange(ROWS) % 3 > 0
    options = {"batch_size": 1000, "split": (1.0, 0.0), "loss": "mse"}
    run = trained((X, PRICE, kept * 2.5), 1, **options)
    alone = trained((X[kept], PRICE[kept]), 1, **options)
    for one, other in zip(weights(run._module), weights(alone._module), strict=True):
        assert torch.allclose(one, other, atol=1e-6)
    assert run.last["train_loss"] == pytest.approx(alone.last["train_loss"], rel=1e-5)
    assert said(run) == "rows: 60 train · weighted"


def test_weights_are_dealt_with_their_rows_and_reach_a_module_in_its_batch() -> None:
    class Seen(LitDigits):
        batches = ()

        def training_step(self, batch, batch_idx):
            inputs, targets, weighed = batch
            self.batches += ((inputs[:, 0] * 3 == weighed).all().item(),)
            return self.step((torch.nn.functional.pad(inputs, (0, 60)), targets), "train")

    module = Seen()
    positive = np.abs(X)
    train(module, (positive, CLASSES, positive[:, 0] * 3), epochs=1, seed=1, quiet=True, split=(1.0, 0.0))
    assert module.batches == (True, True)


PARTS = {
    "frames": ((FRAME[:40], FRAME[40:]), {"target": "y"}),
    "frames in other orders": ((FRAME[:40], FRAME[40:][["y", "d", "b", "c", "a"]]), {"target": "y"}),
    "a list of frames": ([FRAME[:40], FRAME[40:]], {"target": "y"}),
    "arrays": (((X[:40], CLASSES[:40]), (X[40:], CLASSES[40:])), {}),
    "frames and series": tuple((part.drop(columns="y"), part.y) for part in (FRAME[:40], FRAME[40:])),
    "tensors": (
        tuple((torch.tensor(X[part]), torch.tensor(CLASSES[part])) for part in (slice(40), slice(40, None))),
        {},
    ),
    "scipy": (((sparse.csr_matrix(X[:40]), CLASSES[:40]), (sparse.csr_matrix(X[40:]), CLASSES[40:])), {}),
}
PARTS["lists"] = (tuple((X[part].tolist(), CLASSES[part].tolist()) for part in (slice(40), slice(40, None))), {})
PARTS["arrays and lists"] = (tuple((X[part], CLASSES[part].tolist()) for part in (slice(40), slice(40, None))), {})
PARTS["frames and series"] = (PARTS["frames and series"], {})


@pytest.mark.parametrize("kind", PARTS)
def test_rows_to_validate_with_may_be_given(kind: str) -> None:
    data, more = PARTS[kind]
    run = trained(data, **more)
    expected = train(
        lambda: nn.Linear(4, 3),
        tuple(
            TensorDataset(torch.tensor(X[part]), torch.tensor(CLASSES[part])) for part in (slice(40), slice(40, None))
        ),
        loss="cross_entropy",
        epochs=2,
        seed=1,
        quiet=True,
        batch_size=16,
    )
    assert are_equal(weights(run._module), weights(expected._module))
    assert run.last["val_loss"] == pytest.approx(expected.last["val_loss"])
    assert said(run) == "rows: 40 train / 20 validation"


def test_a_third_part_is_for_the_test() -> None:
    run = trained((FRAME[:40], FRAME[40:50], FRAME[50:]), target="y")
    assert said(run) == "rows: 40 train / 10 validation / 10 test"
    assert run.test() == pytest.approx(run.test(FRAME[50:]))
    loaders = tuple(
        DataLoader(TensorDataset(torch.tensor(X[part]), torch.tensor(CLASSES[part])))
        for part in (slice(40), slice(40, 50), slice(50, None))
    )
    run = trained(loaders)
    assert said(run) == "rows: 40 train / 10 validation / 10 test"
    assert run.test() == pytest.approx(run.test((X[50:], CLASSES[50:])))


def test_texts_of_a_table_are_learnt_from_its_train_rows_alone() -> None:
    frame = FRAME.assign(kind=TEXTS[CLASSES])
    run = trained((frame[:40], frame[40:].assign(kind="new")), inputs=7, target="y", encode="auto")
    assert said(run) == "rows: 40 train / 20 validation · 7 columns after encoding"


def with_value(value) -> np.ndarray:
    broken = X.copy()
    broken[3, 1] = value
    return broken


MSE, ENCODE, OF_Y = {"loss": "mse"}, {"encode": "auto"}, {"target": "y"}
ENCODED = OF_Y | ENCODE
MISSING = np.array(["cat", None, "dog"] * 20, dtype=object)
REFUSED = {
    "labels that are missing": ((X, MISSING), {"encode": "auto"}, "y has 20 empty values. Drop those rows"),
    "labels that are NaN": (
        (X, np.where(np.equal(MISSING, None), np.nan, MISSING)),
        {"encode": "auto"},
        "y has 20 empty values",
    ),
    "labels of a text column": ((X, pd.Series(MISSING, dtype="string")), {"encode": "auto"}, "y has 20 empty values"),
    "texts and numbers": ((X, np.array([1, "1", 2] * 20, dtype=object)), {"encode": "auto"}, "`'1'` and others"),
    "frames without a target": ((FRAME[:30], FRAME[30:]), {}, "are `(train, validation)`; add `--target y`"),
    "one-hot rows beside two outputs": ((X, np.eye(4)[CLASSES]), {}, "make the last layer 4 wide"),
    "a matrix with NaN": (
        (sparse.csr_matrix(np.where(X > 2, np.nan, X)), CLASSES),
        {"encode": "auto"},
        "fill them yourself: `X.data[",
    ),
    "three arrays": ((X, CLASSES, CLASSES - 1), {}, "takes a Dataset: `TensorDataset(X1, X2, y)`"),
    "weights of other length": ((X, CLASSES, np.ones(7)), {}, "expected the weights of 60 rows"),
    "negative weights": ((X, CLASSES, -np.ones(ROWS)), {}, "expected numbers of 0 or more"),
    "NaN weights": ((X, CLASSES, np.full(ROWS, np.nan)), {}, "w has 60 NaN values"),
    "four arrays": ((X[:40], X[40:], CLASSES[:40], CLASSES[40:]), {}, "write `((X_train, y_train), "),
    "parts and a split": (((X, CLASSES), (X, CLASSES)), {"split": 0.3}, "`--split` deals rows"),
    "parts and folds": (((X, CLASSES), (X, CLASSES)), {"cv": 3}, "`--cv` deals rows"),
    "frames without target": ((FRAME[:40], FRAME[40:]), {}, "are `(train, validation)`; add `--target y`"),
    "frames of other columns": ((FRAME[:40], FRAME[40:].drop(columns="a")), OF_Y, "different columns: `a`"),
    "an array alone": (X, {}, "a ndarray alone has inputs and no targets; give `(X, y)`"),
    "a Series alone": (FRAME.y, {}, "a Series alone has inputs and no targets"),
    "a dict of arrays": ({"X": X, "y": CLASSES}, {}, "write `(data['X'], data['y'])`"),
    "a Bunch without target": (Bunch(data=X), {}, "a Bunch needs `data` and `target`"),
    "uneven lists": (([[1, 2], [3]] * 30, CLASSES), {}, "the rows of a list have 1 to 2 values"),
    "no columns": ((X[:, :0], CLASSES), {}, "there is nothing to learn from"),
    "infinite": ((with_value(-np.inf), CLASSES), {}, "X has 1 values that are infinite"),
    "too large": ((with_value(0).astype("float64") + 1e300, CLASSES), {}, "for float32 in columns 0, 1, 2, 3"),
    "infinite target": ((X, with_value(np.inf)[:, 1]), MSE, "y has 1 values that are infinite"),
    "infinite in scipy": ((sparse.csr_matrix(with_value(np.inf)), CLASSES), {}, "X has 1 values that are infinite"),
    "infinite part": (((X, CLASSES), (with_value(np.inf), CLASSES)), {}, "X has 1 values that are infinite"),
    "infinite column": (FRAME.assign(b=with_value(np.inf)[:, 1]), OF_Y, "infinite rows.*: `b`"),
    "infinite, encoded": (FRAME.assign(b=with_value(np.inf)[:, 1]), ENCODED, "infinite.*`b`"),
    "infinite y column": (FRAME.assign(y=with_value(np.inf)[:, 1]), OF_Y | MSE, "the target `y` has 1"),
    "names twice": (FRAME.set_axis(["a", "b", "a", "d", "y"], axis=1), OF_Y, "several columns are named `a`"),
    "target twice": (FRAME.set_axis(["a", "y", "c", "d", "y"], axis=1), OF_Y, "several columns are named `y`"),
    "1 and '1'": (FRAME.set_axis([1, "1", "c", "d", "y"], axis=1), OF_Y, "several columns are named `1`"),
    "dates": (FRAME.assign(when=DAYS), OF_Y, "columns of dates or times: `when`. Make numbers"),
    "dates, encoded": (FRAME.assign(when=DAYS), ENCODED, "columns of dates or times: `when`"),
    "dates as objects": (FRAME.assign(when=list(DAYS.date)), ENCODED, "dates or times: `when`"),
    "periods": (FRAME.assign(when=DAYS.to_period("D")), ENCODED, "dates or times: `when`"),
    "durations": (FRAME.assign(when=DAYS - DAYS[0]), ENCODED, "dates or times: `when`"),
    "date target": (FRAME.assign(y=DAYS), ENCODED, "the target `y` holds dates"),
    "date array": ((DAYS.to_numpy()[:, None], CLASSES), {"encode": "auto"}, "X holds dates or times"),
    "complex": ((X + 1j, CLASSES), {}, "X holds complex numbers"),
    "complex target": ((X, PRICE + 1j), MSE, "y holds complex numbers"),
    "complex tensor": ((torch.tensor(X) + 1j, torch.tensor(CLASSES)), {}, "X holds complex numbers"),
    "complex column": (FRAME.assign(a=FRAME.a + 1j), ENCODED, "columns of complex numbers: `a`"),
    "lists in a column": (FRAME.assign(a=[[1, 2]] * ROWS), ENCODED, "columns of lists or arrays: `a`"),
    "only the target": (FRAME[["y"]], OF_Y, "the target is the only column"),
    "numbers for classes": ((X, PRICE), {}, "take `--loss mse` for numbers"),
    "texts for numbers": ((X, TEXTS[CLASSES]), MSE | ENCODE, "texts such as `.*`, and `mse` takes"),
    "records": ((np.zeros(ROWS, dtype=[("a", "f4")]), CLASSES), {}, "make a table of it: `pd.DataFrame"),
    "masked": ((np.ma.masked_greater(X, 2), CLASSES), {}, "X has 3 NaN values"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_trained_on_is_one_line_before_training(kind: str) -> None:
    data, options, words = REFUSED[kind]
    pattern = words if ".*" in words else re.escape(words)
    with pytest.raises((DataError, OptionError), match=pattern) as caught:
        trained(data, **options)
    assert "\n" not in str(caught.value)
    assert list(runs()) == []


def test_columns_may_be_named_by_numbers() -> None:
    frame = FRAME.set_axis(range(5), axis=1)
    run, same = trained(frame, target=4), trained(FRAME, target="y")
    assert are_equal(weights(run._module), weights(same._module))
    assert run.config["target"] == "4"
    assert torch.equal(run.predict(frame.drop(columns=4)), same.predict(FRAME))
    assert torch.equal(run.predict(frame[[3, 1, 2, 0]]), run.predict(frame))


def test_a_matrix_of_few_values_is_made_dense_a_batch_at_a_time() -> None:
    wide = sparse.random(400, 50_000, density=1e-4, format="csr", dtype="float32", random_state=1)
    run = trained((wide, np.arange(400) % 3), inputs=50_000, epochs=1)
    assert run.predict(wide).shape == (400, 3)
    assert torch.allclose(run.predict(wide[:3]), run.predict(wide[:3].toarray()))
    assert set(run.test((wide, np.arange(400) % 3))) == {"test_loss", "test_acc"}


def test_the_same_rows_are_known_again_and_others_are_not() -> None:
    for data, other in (
        (KINDS["scipy matrix"], (sparse.csr_matrix(X * 2), CLASSES)),
        (KINDS["a Bunch"], Bunch(data=X * 2, target=CLASSES)),
        (KINDS["lists"], ((X * 2).tolist(), CLASSES.tolist())),
        (KINDS["frame and series"], (FRAME.drop(columns="y") * 2, FRAME.y)),
    ):
        run = trained(data)
        with pytest.raises(ChangedError, match="the data has changed"):
            trained(other, epochs=3, resume=run.ref)
        assert trained(data, epochs=3, resume=run.ref).record.attempt == 2


def test_a_real_bunch_is_cross_validated() -> None:
    run = trained(load_iris(), cv=3)
    assert len(run.fits) == 3


def test_targets_that_require_a_gradient_are_targets() -> None:
    """What needs more than `np.asarray` to be read, as one on a device does."""
    price = torch.from_numpy(PRICE.astype("float32")).requires_grad_()
    run, same = trained((X, price), 1, loss="mse"), trained((X, PRICE), 1, loss="mse")
    assert are_equal(weights(run._module), weights(same._module))
