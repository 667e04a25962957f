"""Cross-validation and several seeds: folds that are scikit-learn's, one run with a mean and a band, nothing lost."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold, TimeSeriesSplit
from torch.utils.data import DataLoader, TensorDataset

from jupyter_train import get_run, train, tune
from jupyter_train.config.cross_validation import Fold, Folds, parse_folds
from jupyter_train.config.train import TrainConfig
from jupyter_train.exceptions import DataError, ModelError, OptionError, RunNotFoundError, RunStateError
from jupyter_train.execution.cross_validation import create_cross_validation, is_repeated
from jupyter_train.execution.preparation import prepare
from jupyter_train.execution.run_spec import RunSpec
from jupyter_train.handle.study import CrossValidation
from jupyter_train.panel.snapshot import snapshot
from jupyter_train.run import RunRole
from jupyter_train.store import MetricReader, RunFolder
from jupyter_train.training.checkpoints.initial_weights import state_hash
from jupyter_train.training.data.splitting import Split, fold_rows, split_rows
from tests.models import LitDigits, digits
from tests.shares import in_full
from tests.waiting import until

pytestmark = [pytest.mark.filterwarnings("ignore")]
USUAL = {"epochs": 2, "seed": 1, "monitor": "val_acc", "quiet": True}


def build() -> LitDigits:
    return LitDigits()


@pytest.mark.parametrize(
    ("text", "splitter"),
    [
        ("4", StratifiedKFold(4, shuffle=True, random_state=7)),
        ("4:stratified", StratifiedKFold(4, shuffle=True, random_state=7)),
        ("4:plain", KFold(4, shuffle=True, random_state=7)),
        ("4:time", TimeSeriesSplit(4)),
        ("4:group=who", GroupKFold(4)),
    ],
)
def test_folds_are_those_of_scikit_learn(text: str, splitter) -> None:
    _, labels = digits(200)
    groups = np.arange(200) // 10
    expected = list(splitter.split(np.zeros(200), labels, groups))
    for number in range(4):
        train_rows, validation_rows = fold_rows(labels, Fold(parse_folds(text), number), 7, groups)
        assert train_rows.tolist() == expected[number][0].tolist()
        assert validation_rows.tolist() == expected[number][1].tolist()


@pytest.mark.parametrize("kind", ["auto", "plain", "time", "group"])
def test_the_test_part_is_in_no_fold(kind: str) -> None:
    _, labels = digits(300)
    groups = np.arange(300) // 10
    seen, tests = [], []
    for number in range(3):
        split = Split((0.6, 0.2, 0.2), Fold(Folds(3, kind, "who" if kind == "group" else ""), number))
        rows = split_rows(labels, split, 5, groups if kind == "group" else None)
        seen.append(set(rows[0]) | set(rows[1]))
        tests.append(rows[2].tolist())
    assert tests[0] == tests[1] == tests[2]
    assert len(tests[0]) == pytest.approx(60, abs=10)
    assert not set(tests[0]) & set.union(*seen)
    if kind == "group":
        assert not {groups[row] for row in tests[0]} & {groups[row] for row in set.union(*seen)}
    if kind == "time":
        assert min(tests[0]) > max(set.union(*seen))


@pytest.mark.parametrize("shares", [(1e-320, 1.0, 0.0), (0.001, 0.999, 0.0), (0.001, 0.0, 0.999), (0.5, 0.001, 0.499)])
def test_a_split_that_leaves_a_part_without_rows_is_refused(store, shares: tuple[float, float, float]) -> None:
    with pytest.raises(DataError, match=r"`--split` leaves no row for one of its parts: there are \d+ rows to deal"):
        train(LitDigits(), digits(64), epochs=1, quiet=True, split=shares)
    assert store.list_runs() == []


def test_a_split_may_have_no_part_for_validation() -> None:
    parts = split_rows(np.arange(64.0), Split((0.5, 0.0, 0.5)), 5)
    assert [len(part) for part in parts] == [32, 0, 32]
    assert sorted(np.concatenate(parts)) == list(range(64))


class Sized(torch.nn.Sequential):
    """A plain module."""

    def __init__(self):
        super().__init__(torch.nn.Linear(64, 16), torch.nn.ReLU(), torch.nn.Linear(16, 10))


@pytest.mark.parametrize("make", in_full([LitDigits, Sized], but=[LitDigits]))
@pytest.mark.parametrize("fits", [{"cv": 3}, {"seeds": 3}])
def test_a_model_given_as_an_object_begins_every_fit_with_the_weights_it_has(make, fits) -> None:
    torch.manual_seed(3)
    model = make()
    before = state_hash(model)
    options = {**USUAL, **fits} | ({"loss": "cross_entropy"} if make is Sized else {})
    run = train(model, digits(200), **options)
    assert state_hash(model) == before, "the object itself is not trained"
    assert [one.record.summary["initial_state"]["sha256"] for one in run.children] == [before] * 3
    assert not [event for one in run.children for event in one.events if "continues" in event.kind]
    again = train(model, digits(200), **options)
    assert again.best["values"] == run.best["values"]
    torch.manual_seed(3)
    by_hand = train(make(), digits(200), **{**options, "cv": None, "seeds": None})
    if "seeds" in fits:
        assert by_hand.best["value"] == run.best["values"][0]
    said = [event.text for event in run.events if event.kind == "warning"]
    assert [text.partition(":")[0] for text in said] == ["the model was given as an object"] * ("seeds" in fits)


def test_a_model_that_was_trained_before_is_named_where_it_is_validated() -> None:
    model = LitDigits()
    first = train(model, digits(200), **USUAL)
    run = train(model, digits(200), cv=3, **USUAL)
    [said] = [event.text for event in run.events if event.kind == "warning"]
    assert said.startswith(f"the model was trained by `{first.ref}` before: every fit begins with those weights")
    fresh = train(model, digits(200), cv=3, reinit=True, **USUAL)
    assert [event for event in fresh.events if event.kind == "warning"] == []
    assert fresh.best["value"] < run.best["value"]


def test_a_model_that_cannot_be_copied_is_refused(store) -> None:
    model = LitDigits()
    model.lock = threading.Lock()
    with pytest.raises(ModelError, match=r"trained more than once, and cannot be copied .*give its class"):
        train(model, digits(200), cv=3, **USUAL)


def test_several_fits_have_no_weights_of_their_own() -> None:
    run = train(build, digits(200), cv=2, **USUAL)
    for ask in (
        run.model,
        lambda: run.predict(digits(10)[0]),
        lambda: run.load_into(LitDigits()),
        lambda: run.export("model.ckpt", "lightning"),
    ):
        with pytest.raises((ModelError, RunStateError), match=r"is several fits, each with weights of its own"):
            ask()
    assert run.children[0].model(LitDigits()) is not None


def test_a_cross_validation_is_one_run_with_its_folds(store) -> None:
    run = train(build, digits(), cv=4, **USUAL)
    assert isinstance(run, CrossValidation)
    assert run.status == "finished"
    assert run.record.kind == "cv"
    fits = run.fits
    assert list(fits["fold"]) == [0, 1, 2, 3]
    assert run.mean == pytest.approx(fits["val_acc"].mean())
    assert run.std == pytest.approx(fits["val_acc"].std())
    parts = [get_run(key).metrics["val_acc"].dropna().to_numpy() for key in fits["run"]]
    own = run.metrics[["val_acc", "val_acc/std"]].dropna()
    assert own["val_acc"].to_numpy() == pytest.approx(np.mean(parts, axis=0))
    assert own["val_acc/std"].to_numpy() == pytest.approx(np.std(parts, axis=0, ddof=1))
    (accuracy,) = [one for one in snapshot(store, run.key)["families"] if one["name"] == "acc"]
    shown = next(one for one in accuracy["series"] if one["name"] == "val_acc")
    assert shown["lows"] == pytest.approx(list(own["val_acc"] - own["val_acc/std"]), rel=1e-3)
    assert [one["name"] for one in accuracy["series"]] == ["train_acc", "val_acc"]
    assert isinstance(get_run(run.ref), CrossValidation)
    assert [one.ref for one in store.list_runs()] == [run.ref]


def test_a_fold_is_the_fit_it_would_be_alone() -> None:
    images, labels = digits()
    run = train(build, (images, labels), cv="3:plain", **USUAL)
    rows = fold_rows(labels, Fold(Folds(3, "plain"), 1), 1)
    pair = tuple(TensorDataset(torch.from_numpy(images[part]), torch.from_numpy(labels[part])) for part in rows)
    alone = train(build, pair, **USUAL)
    assert get_run(run.fits["run"][1]).metrics.equals(alone.metrics)


def test_seeds_share_their_split() -> None:
    run = train(build, digits(), seeds=3, **USUAL)
    assert list(run.fits["seed"]) == [1, 2, 3]
    assert len(set(run.fits["val_acc"])) > 1
    assert train(build, digits(), **USUAL).metrics.equals(get_run(run.fits["run"][0]).metrics)
    both = train(build, digits(), seeds=2, cv=2, **USUAL)
    assert list(zip(both.fits["seed"], both.fits["fold"], strict=True)) == [(1, 0), (1, 1), (2, 0), (2, 1)]


def test_frames_keep_groups_together_and_leave_their_column_out() -> None:
    images, labels = digits()
    frame = pd.DataFrame(images[:, :8], columns=[f"p{i}" for i in range(8)])
    frame = frame.assign(label=labels, who=[f"patient {i // 16}" for i in range(len(labels))])
    net = lambda: torch.nn.Linear(8, 10)  # noqa: E731
    run = train(net, frame, target="label", loss="cross_entropy", cv="4:group=who", epochs=1, seed=1, quiet=True)
    assert len(run.fits) == 4
    with pytest.raises(DataError, match=r"no such column\. Did you mean `who`"):
        train(net, frame, target="label", loss="cross_entropy", cv="4:group=whoo", epochs=1, seed=1, quiet=True)


BAD = {
    "one fold": ({"cv": 1}, digits, OptionError, "a number of folds such as"),
    "no kind": ({"cv": "5:stratifed"}, digits, OptionError, "a number of folds such as"),
    "more folds than rows": ({"cv": "400:plain"}, digits, DataError, "cannot deal these 320 rows"),
    "a loader": (
        {"cv": 3},
        lambda: DataLoader(TensorDataset(torch.zeros(4, 64), torch.zeros(4).long())),
        DataError,
        "a DataLoader is used as it is",
    ),
    "a place": ({"cv": 3, "resume": "digits", "from_": "best"}, digits, RunNotFoundError, "digits"),
    "a finder": ({"cv": 3, "lr": "auto"}, digits, OptionError, "`auto` looks for one number"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_slip_is_named_and_nothing_is_recorded(name: str, store) -> None:
    options, data, error, words = BAD[name]
    with pytest.raises(error, match=words):
        train(build, data, **USUAL | options)
    assert store.list_runs(has_parts=True) == []


class FailsLater(LitDigits):
    """Fails in its second fit."""

    made = 0

    def __init__(self):
        super().__init__()
        FailsLater.made += 1
        self.number = FailsLater.made

    def training_step(self, batch, batch_idx):
        if self.number > 3:  # the first one is made to see whether everything fits
            raise RuntimeError("no more")
        return super().training_step(batch, batch_idx)


def test_a_fold_that_fails_says_which_and_what_was_done_stays() -> None:
    with pytest.raises(RuntimeError, match="no more"):
        train(lambda: FailsLater(), digits(), cv=4, **USUAL)
    from jupyter_train import runs

    (run,) = list(runs())
    assert run.status == "failed"
    assert run.record.message == "fold 2 seed 1: RuntimeError: no more"
    assert [one.status for one in run.children] == ["finished", "finished", "failed"]
    assert run.metrics["val_acc"].count() == 2
    with pytest.raises(RunStateError, match=f"is one of several fits, which resume together: resume `{run.ref}`"):
        train(lambda: FailsLater(), digits(), resume=run.children[0].ref, epochs=3, quiet=True)


def test_a_search_takes_the_mean_of_its_folds() -> None:
    space = {"lr": "1e-3..1e-1:log"}
    study = tune(LitDigits, digits(), space=space, cv=3, trials=4, epochs=2, maximize="val_acc", seed=1, quiet=True)
    complete = study.trials[study.trials["state"] == "complete"]
    assert len(complete) > 0
    for number, row in complete.iterrows():
        folds = study.trial(number).children
        assert len(folds) == 3
        assert row["val_acc"] == pytest.approx(np.mean([fold.best["value"] for fold in folds]))
    assert len(study.children) == 4


class Slow(LitDigits):
    def on_train_epoch_start(self):
        time.sleep(0.25)


def test_the_mean_and_its_band_are_there_after_every_fold(store) -> None:
    """A curve over two folds while the others train, then one over all of them, not after each other."""
    seen: set[tuple[int, float]] = set()

    def look() -> None:
        found = until(lambda: [run for run in store.list_runs(1, kind="cv") if run.status.is_live])
        while (record := store.get(found[0].key)).status.is_live:
            with contextlib.suppress(OSError, sqlite3.Error), MetricReader(RunFolder(record.folder).metrics) as reader:
                points = reader.points("val_acc") if "val_acc" in reader.counts() else []
                if points:
                    seen.add((len(points), points[-1].value))
            time.sleep(0.05)

    thread = threading.Thread(target=look)
    thread.start()
    run = train(lambda: Slow(), digits(), cv=4, **USUAL)
    thread.join()
    assert {count for count, _ in seen} == {2}  # epochs, whatever the number of folds
    assert len(seen) > 1  # a mean of more and more folds
    assert len(run.metrics["val_acc"].dropna()) == 2


class Broken(LitDigits):
    """Its loss is NaN in some of the seeds."""

    def __init__(self, seeds: tuple[int, ...], hidden: int = 16) -> None:
        super().__init__(hidden)
        self.seeds = seeds

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        return loss * float("nan") if torch.initial_seed() in self.seeds else loss


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        ((2,), "seed 2 ended with no finite loss: means are of the other 2 of 3 fits"),
        ((1, 2, 3), "seed 1, seed 2, seed 3 ended with no finite loss"),
    ],
)
def test_fits_that_ended_with_nan_are_named_in_the_whole_run(seeds: tuple[int, ...], words: str) -> None:
    run = train(lambda: Broken(seeds), digits(128), seeds=3, **{**USUAL, "monitor": None, "epochs": 1})
    assert (run.status, run.record.ended_with, run.record.message) == ("finished", "NaN", words)
    assert snapshot(run._store, run.key)["notices"][0] == ["warning", words]


def test_a_stop_because_of_nan_says_so_of_the_whole() -> None:
    run = train(lambda: Broken((2,)), digits(128), seeds=3, on_nan="stop", **{**USUAL, "monitor": None, "epochs": 60})
    assert run.status == "stopped"
    assert run.record.message.startswith("stopped in seed 2: ")
    assert "NaN" in run.record.message


@pytest.mark.parametrize(("options", "expected"), [({}, False), ({"cv": 2}, True), ({"seeds": 1}, True)])
def test_folds_and_seeds_ask_for_several_fits(options, expected: bool) -> None:
    assert is_repeated(TrainConfig.of({"epochs": 1, **options})) is expected


@pytest.mark.parametrize(("role", "kind"), [(RunRole.TRAIN, "cv"), (RunRole.TRIAL, "trial")])
def test_several_fits_of_a_trial_are_recorded_as_the_trial(store, role: RunRole, kind: str) -> None:
    spec = RunSpec(config=TrainConfig.of({"epochs": 1, "cv": 2, "tag": ["a"]}), role=role)
    first = prepare(RunSpec(config=TrainConfig.of({"epochs": 1})), lambda _config: (LitDigits(), digits(64)))
    record = create_cross_validation(store, spec, first)
    assert (record.kind, record.status, record.name, record.tags) == (kind, "queued", "lit-digits", ["a"])
