"""`%train` in a real shell: forms of model and data, one panel, clear errors, nothing recorded for a slip."""

from __future__ import annotations

import random

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import pytorch_lightning.demos.boring_classes
import torch
from torch.utils.data import DataLoader, TensorDataset

from jupyter_train import runs
from jupyter_train.exceptions import JupyterTrainError
from tests.models import DigitsData, LitDigits, are_equal, digits, weights


@pytest.fixture
def namespace(shell):
    """A notebook with models and data."""
    images, labels = digits()
    tensors = TensorDataset(torch.from_numpy(images), torch.from_numpy(labels))
    frame = pd.DataFrame(images[:, :8], columns=[f"p{i}" for i in range(8)]).assign(label=labels)
    shell.user_ns.update(
        LitDigits=LitDigits,
        DigitsData=DigitsData,
        pl=pl,
        images=images,
        labels=labels,
        X=images,
        y=labels,
        nn=torch.nn,
        torch=torch,
        pd=pd,
        np=np,
        frame=frame,
        tensors=tensors,
        lr=3e-3,
        loader=DataLoader(tensors, batch_size=64, shuffle=True),
        val_loader=DataLoader(tensors, batch_size=64),
    )
    return shell


def train(shell, line: str, cell: str | None = None):
    """The run of a magic, or its error."""
    source = f"__run = %train {line} --quiet" if cell is None else f"%%train {line} --quiet\n{cell}"
    result = shell.run_cell(source, store_history=True)
    result.raise_error()
    return shell.user_ns["__run"] if cell is None else result.result


FORMS = {
    "arrays": "LitDigits() (X,y)",
    "tensors": "LitDigits() (torch.tensor(X),torch.tensor(y))",
    "instance": "model (X,y)",
    "datamodule": "LitDigits() DigitsData()",
    "dataset": "LitDigits() tensors --batch-size 16",
    "loader": "LitDigits() loader",
    "loaders": "LitDigits() (loader,val_loader)",
    "datasets": "LitDigits() (tensors,tensors)",
    "list of arrays": "LitDigits() [X,y]",
    "frame": "nn.Linear(8,10) frame --target label --loss cross_entropy",
    "plain module": "nn.Linear(64,10) (X,y) --loss cross_entropy --optimizer sgd --lr 0.1",
    "plain module, expressions": "nn.Linear(64,10) (X,y) --loss nn.CrossEntropyLoss(label_smoothing=0.1) "
    "--optimizer torch.optim.AdamW",
    "class path": "tests.models.LitDigits(hidden=8) (X,y)",
    "optimizer for a module": "LitDigits() (X,y) --optimizer adamw --lr 1e-3",
    "tokens": "nn.Sequential(nn.Embedding(10,4),nn.Flatten(),nn.Linear(256,10)) "
    "((torch.tensor(X)*9).long(),torch.tensor(y)) --loss cross_entropy",
    "frame and series": "LitDigits() (pd.DataFrame(X),pd.Series(y))",
    "no logger": "LitDigits() (X,y) --logger false",
    "the module's own loaders": "pl.demos.boring_classes.BoringModel()",
    "a progress bar of the user's": "LitDigits() (X,y) --callback pl.callbacks.TQDMProgressBar(refresh_rate=0)",
    "regression": "nn.Linear(64,1) (X,X.sum(axis=1)) --loss mse",
}


@pytest.mark.parametrize("form", FORMS)
def test_form_of_model_and_data(namespace, form: str) -> None:
    namespace.user_ns["model"] = LitDigits()
    run = train(namespace, f"{FORMS[form]} --epochs 1 --seed 7")
    assert run.status == "finished"
    assert run.metrics["train_loss"].notna().sum() > 2
    assert run.checkpoint is not None


def test_a_frame_with_text_and_gaps_is_encoded_and_predicts_new_rows(namespace) -> None:
    frame = namespace.user_ns["frame"].copy()
    frame["kind"] = np.where(frame["label"] > 4, "high", "low")
    frame.loc[3:9, "p1"] = np.nan
    namespace.user_ns["frame"] = frame
    run = train(namespace, "nn.Linear(10,10) frame --target label --loss cross_entropy --encode auto --epochs 1")
    fresh = frame.drop(columns="label").head(5).assign(kind="never seen")
    assert run.predict(fresh).shape == (5, 10)
    assert "10 columns after encoding" in run.record.summary["data"]


def test_split_is_by_seed_stratified_and_recorded(namespace) -> None:
    first = train(namespace, "LitDigits() (X,y) --epochs 1 --seed 7 --split 0.5/0.25/0.25")
    assert first.record.summary["data"] == "rows: 160 train / 80 validation / 80 test, stratified"
    assert set(first.test()) == {"test_loss", "test_acc"}


def test_values_in_braces_are_evaluated_and_recorded_with_their_text(namespace) -> None:
    run = train(namespace, "LitDigits() (X,y) --epochs 1 --lr {lr*2}")
    assert run.config["lr"] == 6e-3
    assert run.config["expressions"] == {"lr": "lr*2", "model": "LitDigits()", "data": "(X,y)"}


def test_ipython_expands_no_variables(namespace) -> None:
    run = train(namespace, "LitDigits() (X,y) --epochs 1 --note $lr")
    assert run.notes == "$lr"


def test_yaml_body_means_the_same_as_the_line(namespace) -> None:
    line = train(namespace, "LitDigits(lr=lr) (X,y) --epochs 2 --seed 11 --batch-size 64")
    body = "model: LitDigits(lr=lr)\ndata: (X,y)\nepochs: 2\nseed: 11\nbatch-size: 64\n"
    cell = train(namespace, "", body)
    assert are_equal(weights(line._module), weights(cell._module))


def test_the_kernels_random_state_is_put_back(namespace) -> None:
    random.seed(1), np.random.seed(2), torch.manual_seed(3)
    before = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state())
    train(namespace, "LitDigits() (X,y) --epochs 1 --seed 5")
    assert random.getstate() == before[0]
    assert np.random.get_state()[1].tolist() == before[1]
    assert torch.equal(torch.get_rng_state(), before[2])


def test_an_instance_trained_before_continues_and_reinit_begins_again(namespace) -> None:
    model = namespace.user_ns["model"] = LitDigits()
    first = train(namespace, "model (X,y) --epochs 1 --seed 5")
    trained = weights(model)
    second = train(namespace, "model (X,y) --epochs 1 --seed 5")
    texts = [event.text for event in second.events if event.kind == "continues"]
    assert texts == [f"continues from run {first.ref} (step 8)"]
    assert not are_equal(trained, weights(model))
    third = train(namespace, "model (X,y) --epochs 1 --seed 5 --reinit")
    assert [event for event in third.events if event.kind == "continues"] == []
    assert are_equal(trained, weights(model))


def test_metrics_best_last_and_models(namespace) -> None:
    run = train(namespace, "LitDigits() (X,y) --epochs 3 --seed 5")
    assert list(run.metrics.columns) == ["epoch", "lr", "train_loss", "train_acc", "val_loss", "val_acc"]
    assert run.best["value"] == pytest.approx(run.metrics["val_loss"].min(), abs=1e-6)
    assert set(run.last) == set(run.metrics.columns) - {"epoch"}
    model = run.model()
    assert not model.training
    assert run.predict(namespace.user_ns["X"][:7]).shape == (7, 10)
    assert run.model(LitDigits()).hparams == {"hidden": 16, "lr": 3e-3}


def test_a_damaged_checkpoint_is_not_read(namespace) -> None:
    run = train(namespace, "LitDigits() (X,y) --epochs 1 --seed 5")
    content = bytearray(run.checkpoint.read_bytes())
    content[len(content) // 2] ^= 1
    run.checkpoint.write_bytes(content)
    with pytest.raises(JupyterTrainError, match="its hash differs"):
        run.model()


def test_lightnings_words_go_to_the_log_and_the_cell_stays_quiet(namespace, capfd) -> None:
    run = train(namespace, "LitDigits() (X,y) --epochs 1 --seed 5")
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
    assert "max_epochs=1" in run.log


SLIPS = {
    "LitDigits (X,y) --epochs 1": "write `LitDigits(...)`",
    "LitDigit() (X,y) --epochs 1": "Did you mean `LitDigits`",
    "LitDigits() XX --epochs 1": "`XX` is not defined",
    "LitDigits() (X,y)": "add `--epochs 10`",
    "LitDigits() (X,y) more --epochs 1": "3 expressions were given",
    "--epochs 1": "name the model and the data",
    "LitDigits() --epochs 1": "has no `train_dataloader`",
    "nn.Linear(64,10) (X,y) --epochs 1": "--loss cross_entropy",
    "nn.Linear(64,10) (X,y) --epochs 1 --loss cross_entropi": "Did you mean `cross_entropy`",
    "LitDigits() (X,y) --epochs 1 --loss mse": "computes its own loss",
    "nn.Linear(64,10) (X,y) --epochs 1 --loss mse --optimizer adamm": "Did you mean `adam",
    "'text' (X,y) --epochs 1": "cannot be trained",
    "LitDigits() frame --epochs 1": "--target label",
    "LitDigits() frame --epochs 1 --target lable": "Did you mean `label`",
    "LitDigits() frame.assign(kind='a') --epochs 1 --target label": "not numbers: `kind`",
    "LitDigits() frame.assign(p1=np.nan) --epochs 1 --target label": "with empty (NaN) rows: `p1`",
    "LitDigits() (X[:0],y[:0]) --epochs 1": "0 rows",
    "LitDigits() torch.utils.data.TensorDataset(torch.zeros(0,64)) --epochs 1": "is empty",
    "LitDigits() (X,y[:3]) --epochs 1": "same number of rows",
    "LitDigits() (X*np.nan,y) --epochs 1": "NaN values",
    "LitDigits() tensors --epochs 1 --early-stop val_loss": "needs validation data",
    "LitDigits() loader --epochs 1 --split 0.5/0.5": "used as it is",
    "LitDigits() (X,y) --epochs 1 --precision 17": "pl.Trainer does not take this",
    "LitDigits() (X,y) --epochs 1 --epochs 2": "given twice",
    "LitDigits() (X,y) --epochs 1 --devices 2 --accelerator cpu --num-nodes 2": "a notebook trains on one machine",
    "LitDigits() (X,y) --epochs 1 --devices 2 --accelerator cpu --enable-checkpointing false": "in a checkpoint",
    "LitDigits() (X,y) --epochs {nope}": "`nope` is not defined",
    "LitDigits() (X,y) --epochs 1 --callback 1/0": "ZeroDivisionError",
    "LitDigits() (X,y) --gpus 1 --epochs 1": "write `--accelerator gpu --devices 1`",
    "LitDigits() (X,y) --epochs 1 --early-stop 3": "expected a metric and its patience: `val_loss:3`",
    "LitDigits() (X,y) --epochs 1 --early-stop true": "`val_loss:3`",
    "LitDigits() (X,y) --epochs 1 --monitor 3": "the name of a metric such as `val_loss`",
    "LitDigits() (X,y) -epochs 3": "two dashes: `--epochs 3`",
    "LitDigits() (X,y) epochs=3": "two dashes: `--epochs 3`",
    "LitDigits() (X,y) epochs = 3": "`epochs = 3`: an option begins with two dashes: `--epochs 3`",
    "LitDigits() (X,y) epochs 3": "two dashes: `--epochs 3`",
    "LitDigits() (X,y) detach=True --epochs 1": "two dashes: `--detach`",
    "LitDigits() (X,y) hidden=32 --epochs 1": "in its brackets, as in `Net(hidden=32)`",
    "LitDigits() (X,y) gpus=1 --epochs 1": "write `--accelerator gpu --devices 1`",
    "LitDigits() (X,y) lr=1e-4..1e-1 --epochs 1": "`%tune` searches a range",
    "LitDigits() (X,y) hidden=8|16 --epochs 1": "`%tune MODEL DATA hidden=8|16 ...` does",
    "LitDigits(), (X,y) --epochs 1": "no comma: `LitDigits()`",
}


@pytest.mark.parametrize("line", SLIPS)
def test_a_slip_is_a_clear_error_and_records_nothing(namespace, line: str) -> None:
    with pytest.raises(JupyterTrainError) as caught:
        train(namespace, line)
    assert SLIPS[line] in str(caught.value)
    assert len(runs()) == 0


AUTOMAGIC = {
    "train(LitDigits(), (X,y), epochs=1)": "write `%train LitDigits() (X, y) --epochs 1`, or",
    "train(lambda: LitDigits(hidden=8), data=(X,y), epochs=1, lr=lr, note='two words', quiet=True);": (
        "`%train LitDigits(hidden=8) (X, y) --epochs 1 --lr {lr} --note 'two words' --quiet`"
    ),
    "train(*parts, epochs=1)": "call the function by its whole name, `jupyter_train.train(...)`",
    "tune(LitDigits, (X,y), space={'lr': '1e-4..1e-1:log'}, trials=3, maximize=['val_acc'])": (
        "`%tune LitDigits (X, y) lr=1e-4..1e-1:log --trials 3 --maximize val_acc`"
    ),
    "retrain('nightly.ipynb', {'lr': 1})": "`jupyter_train.retrain(...)`",
}


@pytest.mark.parametrize("cell", AUTOMAGIC)
def test_a_call_that_automagic_takes_is_answered_with_the_line(namespace, cell: str) -> None:
    namespace.run_line_magic("automagic", "on")
    result = namespace.run_cell(cell)
    assert AUTOMAGIC[cell] in str(result.error_in_exec)
    assert len(runs()) == 0


def test_runs_as_a_call_lists_them(namespace) -> None:
    train(namespace, "LitDigits() (X,y) --epochs 1 --name a")
    assert [run.record.name for run in namespace.run_cell("runs()").result] == ["a"]


def test_an_expression_in_a_line_of_runs_is_evaluated_in_the_notebook(namespace) -> None:
    for name in ("one", "two"):
        namespace.run_cell(f"{name} = %train LitDigits() (X,y) --epochs 1 --quiet --name {name}").raise_error()
    one, two = (namespace.user_ns[name] for name in ("one", "two"))
    assert namespace.run_cell("%runs compare {one} {two.ref}").result.differences["name"] == ["one", "two"]
    namespace.run_cell("def shown(run):\n    found = %runs show {run}\n    return found").raise_error()
    assert namespace.run_cell("shown(two)").result == two
    namespace.run_cell("%runs note {one.ref} a set is written {1}").raise_error()
    assert one.notes == "a set is written {1}"
    assert "`ones` is not defined here. Did you mean `one`?" in str(namespace.run_cell("%runs rm {ones}").error_in_exec)


def test_a_comment_after_a_line_is_no_part_of_it(namespace) -> None:
    result = namespace.run_cell("run = %train LitDigits() (X,y) --epochs 1 --quiet  # it's the first")
    result.raise_error()
    assert namespace.user_ns["run"].config["expressions"] == {"model": "LitDigits()", "data": "(X,y)"}
    namespace.run_cell(f"%runs note {namespace.user_ns['run'].ref} see #12").raise_error()
    assert namespace.user_ns["run"].notes == "see #12"


HELP = {
    "%train --help": "%train MODEL DATA",
    "%tune -h": "%tune MODEL DATA",
    "%runs help": "%runs show RUN",
    "%runs --help": "%runs show RUN",
    "%retrain LitDigits -h": "%retrain NOTEBOOK -p",
}


@pytest.mark.parametrize("line", HELP)
def test_help_is_shown_where_it_is_requested(namespace, capsys, line: str) -> None:
    namespace.run_cell(line).raise_error()
    assert HELP[line] in capsys.readouterr().out


VERBS = {
    "delete {ref}": "write `%runs rm {ref}`",
    "delete": "write `%runs rm RUN`",
    "kill {ref}": "write `%runs stop {ref}`",
    "lr {ref} 1e-3": "write `%runs set-lr {ref} 1e-3`",
    "ls": "write `%runs list`",
    "diff a b": "write `%runs compare a b`",
    "{ref}": "write `%runs show {ref}`",
    "compar a b": "Did you mean `compare`",
}


def test_a_verb_of_another_tool_is_answered_with_the_own_one(namespace) -> None:
    ref = train(namespace, "LitDigits() (X,y) --epochs 1").ref
    for line, words in VERBS.items():
        error = namespace.run_cell(f"%runs {line.format(ref=ref)}").error_in_exec
        assert isinstance(error, JupyterTrainError), line
        assert words.format(ref=ref) in str(error), line


FAILURES = {
    "LitDigits() (X,y) --epochs 1 --monitor val_f1": "Did you mean `val_acc`",
    "LitDigits() (X,y) --epochs 1 --early-stop val_auc": "was never logged",
    "nn.Linear(64,7) (X,y) --epochs 1 --loss cross_entropy": "make the last layer as wide",
}


@pytest.mark.parametrize("line", FAILURES)
def test_what_shows_only_in_training_fails_the_run_with_the_same_words(namespace, line: str) -> None:
    with pytest.raises(JupyterTrainError) as caught:
        train(namespace, line)
    assert FAILURES[line] in str(caught.value)
    assert [(run.status, run.record.message) for run in runs()] == [("failed", str(caught.value))]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("- a\n- b", "holds a list"),
        ("just text", "piece of text"),
        ("model: !!python/object/apply:os.system ['true']", "YAML tags are refused"),
        ("model: !LitDigits {}", "YAML tags are refused"),
        ("model: [", "is not YAML"),
        ("model: LitDigits()\ndata: (X,y)\nepochs: 1\nepocs: 3", "Did you mean `--epochs`"),
        ("trainer:\n  max_epochs: 1\nmodel:\n  class_path: tests.models.LitDigit", "not accepted by LightningCLI"),
    ],
)
def test_a_bad_body_is_a_clear_error(namespace, body: str, words: str) -> None:
    with pytest.raises(JupyterTrainError) as caught:
        train(namespace, "", body)
    assert words in str(caught.value)
    assert len(runs()) == 0


def test_nan_loss_continues_and_says_at_which_step(namespace) -> None:
    class Exploding(LitDigits):
        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)
            return loss * float("nan") if self.global_step >= 3 else loss

        def step(self, batch, stage):
            loss = super().step(batch, stage)
            if stage == "train" and self.global_step >= 3:
                self.log("train_loss", loss * float("nan"))
            return loss

    namespace.user_ns["Exploding"] = Exploding
    run = train(namespace, "Exploding() (X,y) --epochs 1 --seed 1")
    assert run.status == "finished"
    assert "train_loss became NaN at step 3" in [event.text for event in run.events]


def test_inside_a_function_its_own_names_are_known(namespace) -> None:
    """They come before the notebook's of the same name."""
    cell = """
def go(lr, width):
    net = LitDigits(hidden=width)
    mine = (X[:64], y[:64])
    run = %train net mine --epochs 1 --lr {lr} --quiet
    built = %train LitDigits(hidden=width) mine --epochs 1 --quiet
    return run, built
run, built = go(0.125, 5)
"""
    namespace.run_cell(cell).raise_error()
    run, built = namespace.user_ns["run"], namespace.user_ns["built"]
    assert (run.config["lr"], run.config["expressions"]["data"]) == (0.125, "mine")
    assert built.model().hparams["hidden"] == 5
    assert "mine" not in namespace.user_ns


def test_a_name_of_the_function_around_is_said_to_be_one(namespace) -> None:
    cell = """
def outer(width):
    def inner():
        return get_ipython().run_line_magic("train", "LitDigits(hidden=width) (X,y) --epochs 1")
    return inner()
outer(5)
"""
    error = namespace.run_cell(cell).error_in_exec
    assert "`width` is not defined here. In a function a magic sees the function's own names: make it" in str(error)
