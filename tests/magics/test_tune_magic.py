"""`%tune` in a real shell: expressions, classes, YAML, slips that record nothing."""

from __future__ import annotations

import pytest
import pytorch_lightning as pl
import torch
from IPython.core.completer import CompletionContext

from jupyter_train import Study
from jupyter_train.exceptions import ModelError, OptionError, SpaceError, UsageError
from jupyter_train.magics.completion import complete
from tests.models import LitDigits, digits

pytestmark = [pytest.mark.filterwarnings("ignore")]
USUAL = "--trials 3 --epochs 1 --maximize val_acc --seed 1 --quiet"


@pytest.fixture
def notebook(shell):
    """A notebook with a model class and data."""
    images, labels = digits()
    shell.user_ns.update(LitDigits=LitDigits, X=images, y=labels, width=8, model=LitDigits(), trials=4)
    shell.run_cell("class Mine(LitDigits):\n    def __init__(self, hidden, lr):\n        super().__init__(hidden, lr)")
    return shell


def tune(shell, line: str, cell: str | None = None) -> Study:
    source = f"__study = %tune {line} {USUAL}" if cell is None else f"%%tune {line}\n{cell}"
    result = shell.run_cell(source, store_history=True)
    result.raise_error()
    return shell.user_ns["__study"] if cell is None else result.result


FORMS = {
    "an expression": "LitDigits(hidden=hidden,lr=lr) (X,y) lr=1e-3..1e-1:log hidden=8|16",
    "with the notebook's names": "LitDigits(hidden=width*factor,lr=lr) (X,y) lr=1e-3..1e-1:log factor=1..3",
    "a class": "LitDigits (X,y) lr=1e-3..1e-1:log hidden=8|16",
    "a class of the notebook": "Mine (X,y) lr=1e-3..1e-1:log hidden=8",
    "a dotted class": "tests.models.LitDigits(lr=lr) (X,y) lr=1e-3..1e-1:log",
    "an instance": "model (X,y) batch_size=16|32|64",
    "an option": "LitDigits(lr=lr) (X,y) lr=1e-3..1e-1:log trainer.gradient_clip_val=0.1..1.0",
    "an option's expression": "LitDigits (X,y) lr=1e-3..1e-1:log --batch-size {width*4}",
}


@pytest.mark.parametrize("form", FORMS)
def test_what_is_typed_is_searched(form: str, notebook) -> None:
    study = tune(notebook, FORMS[form])
    assert study.status == "finished"
    assert len(study.trials) == 3
    typed = study.config["expressions"]
    assert typed["model"] == FORMS[form].split()[0]
    assert typed["data"] == "(X,y)"
    if form == "an option's expression":
        assert typed["batch_size"] == "width*4"
        assert {run.config.get("batch_size", 32) for run in study.children} == {32}


class Named(LitDigits):
    """Takes arguments that are called as options of `%train` are."""

    def __init__(self, lr: float = 3e-3, optimizer: str = "adam", tag: str = "", batch_size: int = 16):
        super().__init__(batch_size, lr)
        self.optimizer, self.tag = optimizer, tag

    def configure_optimizers(self):
        kind = torch.optim.SGD if self.optimizer == "sgd" else torch.optim.Adam
        return kind(self.parameters(), self.hparams.lr * (1 + len(self.tag)))


class Nothing(pl.Callback):
    """Does nothing."""

    def __init__(self, number: int):
        self.number = number


PROMOTED = {
    "an option": (FORMS["an option"], "--gradient-clip-val 0."),
    "named as options": ("Named (X,y) lr=1e-3..1e-1:log optimizer=sgd|adam tag=a|bb batch_size=8|16", "optimizer='"),
    "named as options, by expression": (
        "Named(optimizer=optimizer,batch_size=8) (X,y) optimizer=sgd|adam batch_size=16|64",
        "--batch-size ",
    ),
    "a seed": ("LitDigits(lr=lr) (X,y) lr=1e-3..1e-1:log seed=3|4|5", "--seed "),
    "two tags": ("LitDigits(lr=lr) (X,y) lr=1e-3..1e-1:log --tag a --tag 'b c'", "--tag a --tag 'b c'"),
    "options alone": ("LitDigits (X,y) seed=3|4|5 batch_size=16|32 --note why", "LitDigits() (X,y) --seed"),
    "a choice of models": (
        "(LitDigits(lr=lr) if kind=='wide' else LitDigits(hidden=4)) (X,y) kind=wide|small lr=1e-3..1e-1:log",
        "%train (LitDigits(",
    ),
    "a function in the line": (
        "(lambda lr,hidden=8:LitDigits(hidden,lr)) (X,y) lr=1e-3..1e-1:log hidden=8|16",
        ")(lr=0",
    ),
    "a name of a comprehension": (
        "LitDigits(hidden=sum(hidden for hidden in [hidden,8])) (X,y) hidden=8|16",
        "for hidden in [",
    ),
    "two callbacks": (
        "LitDigits(lr=lr) (X,y) lr=1e-3..1e-1:log --callback {Nothing(1)} --callback {Nothing(2)}",
        "--callback {Nothing(1)} --callback {Nothing(2)}",
    ),
}


@pytest.mark.parametrize("form", PROMOTED)
def test_the_promoted_line_trains_the_best_trial_again(form: str, notebook) -> None:
    notebook.user_ns.update(Named=Named, Nothing=Nothing)
    typed, words = PROMOTED[form]
    study = tune(notebook, typed)
    best = study.best
    line = study.promote()
    assert words in line
    assert line.count("--seed ") == 1
    notebook.run_cell(f"__run = {line} --quiet").raise_error()
    run = notebook.user_ns["__run"]
    assert run.metrics.equals(best.run.metrics)
    assert run.notes == study.notes
    assert run.record.tags == best.run.record.tags


def test_a_promoted_line_says_that_the_last_epoch_counts(notebook) -> None:
    study = tune(notebook, "LitDigits (X,y) lr=1e-3..1e-1:log --objective last")
    assert study.promote().endswith('  # the last epoch counts: `run.model("last")`')
    notebook.run_cell(f"__run = {study.promote()}").raise_error()
    run = notebook.user_ns["__run"]
    assert run.metrics.equals(study.best.run.metrics)


def test_yaml_says_the_same(notebook) -> None:
    body = """
model: LitDigits(hidden=hidden, lr=lr)
data: (X, y)
space:
  lr: 1e-3..1e-1:log
  hidden: [8, 16]
trials: 3
epochs: 1
maximize: val_acc
seed: 1
quiet: true
"""
    study = tune(notebook, "", body)
    same = tune(notebook, "LitDigits(hidden=hidden,lr=lr) (X,y) lr=1e-3..1e-1:log hidden=8|16")
    columns = ["val_acc", "lr", "hidden"]
    assert study.trials[columns].equals(same.trials[columns])


SLIPS = {
    "nothing": ("", UsageError, "name the model and the data"),
    "an option with a range": (
        "LitDigits (X,y) --lr 1e-4..1e-1",
        OptionError,
        "expected a number above zero, or auto. To search it, write `lr=1e-4..1e-1`, without dashes",
    ),
    "unknown name": ("LitDigits(hidden=hiden) (X,y) hidden=8|16", UsageError, "`hiden` is not defined here"),
    "unused name": ("LitDigits(lr=lr) (X,y) lr=1e-3..1e-1 hiden=8|16", OptionError, "not used.*Did you mean `hidden`"),
    "of a model that is made": (
        "model (X,y) lr=1e-3..1e-1 hidden=8|16",
        OptionError,
        r"`hidden` is searched but not used: the model is made already; write `LitDigits\(lr=lr, hidden=hidden\)`",
    ),
    "not passed": (
        "LitDigits(lr=lr) (X,y) lr=1e-3..1e-1 hidden=8|16",
        OptionError,
        r"write `LitDigits\(lr=lr, hidden=h",
    ),
    "another passed": ("LitDigits(hidden=8) (X,y) hidden=8|16", OptionError, r"write `LitDigits\(hidden=hidden\)`"),
    "nothing passed": ("tests.models.LitDigits() (X,y) hidden=8|16", OptionError, r"`tests.models.LitDigits\(hidden=h"),
    "a comma": ("LitDigits, (X,y) lr=1..2", UsageError, "no comma: `LitDigits`"),
    "an option without dashes": ("LitDigits (X,y) lr=1..2 sampler random", OptionError, "`--sampler random`"),
    "spaced": ("LitDigits (X,y) lr = 1..2", UsageError, "without spaces: `lr=1..2`"),
    "others' word": ("LitDigits (X,y) lr=1..2 --n-trials 5", OptionError, "write `--trials 5`"),
    "devices": ("LitDigits (X,y) lr=1..2 --gpus 2", OptionError, "write `--accelerator gpu`"),
    "a number for a metric": ("LitDigits (X,y) lr=1..2 --minimize 3", OptionError, "name of a metric"),
    "twice": ("LitDigits(lr=lr) (X,y) lr=1..2 lr=1..3", OptionError, "`lr` is given twice"),
    "three expressions": ("LitDigits X y lr=1..2", UsageError, "3 expressions were given"),
    "no range": ("LitDigits (X,y) lr=1e-4-1e-1", OptionError, "`lr=1e-4-1e-1` is one fixed value"),
    "spaces": ("LitDigits (X,y) lr = 1..2", UsageError, "without spaces"),
    "bad space": ("LitDigits (X,y) lr=2..1", SpaceError, "the wrong way round"),
    "bad option": ("LitDigits (X,y) lr=1..2 --sampler tp", OptionError, "expected one of tpe"),
    "no such option": ("LitDigits (X,y) lr=1..2 --trails 3", OptionError, "`--trials`"),
    "an option searched": ("LitDigits (X,y) --hidden 8|16", OptionError, "is written `hidden=RANGE`"),
    "searched data": ("LitDigits(lr=lr) (X,y*n) lr=1e-3..1 n=1|2", UsageError, "`n` is searched, but the data is made"),
    "no model": ("3 (X,y) lr=1..2", ModelError, "is no model"),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_named_and_nothing_is_recorded(slip: str, notebook, store) -> None:
    line, error, words = SLIPS[slip]
    with pytest.raises(error, match=words):
        tune(notebook, line)
    assert store.list_runs(has_parts=True) == []


def test_the_help_lists_every_option_of_a_search(notebook) -> None:
    from jupyter_train.config.tune_options import tune_options
    from jupyter_train.magics.magics import TrainMagics

    text = TrainMagics.tune.__doc__ or ""
    assert all(option.flag in text for option in tune_options())


SHOWN = {
    "a class": ("LitDigits (X,y) hidden=8|16 --trials 3", "LitDigits (X,y) hidden=8|16 --trials 3"),
    "an expression of searched names and values": (
        "LitDigits(lr=rate,hidden=32) (X,y) rate=1e-3..1e-1:log batch_size=16|32 --maximize val_acc --minimize a",
        "LitDigits (X,y) hidden=32 lr=1e-3..1e-1:log batch_size=16|32 --maximize val_acc --minimize a",
    ),
    "an expression of more": (
        "LitDigits(hidden=2*width) (X,y) width=1..4 --prune none",
        "LitDigits(hidden=2*width) (X,y) width=1..4 --prune none",
    ),
    "several trials by hand": (
        "LitDigits (X,y) --enqueue hidden=8 --enqueue hidden=16",
        "LitDigits (X,y) --enqueue hidden=8 --enqueue hidden=16",
    ),
    "nothing yet": ("", ""),
}


@pytest.mark.parametrize("name", SHOWN)
def test_a_form_is_filled_with_what_was_typed(name: str, notebook, store, monkeypatch) -> None:
    from jupyter_train.panel.forms.tune import TuneForm

    shown = []
    monkeypatch.setattr(TuneForm, "show", lambda form: shown.append(form))
    typed, line = SHOWN[name]
    notebook.run_cell(f"%tune --form {typed}").raise_error()
    assert shown[0].line == f"study = %tune {line}".strip()
    assert store.list_runs(10) == []


COMPLETED = {
    "%tune LitDigits data --d": ({"--detach"}, {"--devices"}),
    "study = %tune LitDigits data --fo": ({"--form"}, {"--fork", "--force"}),
    "%tune LitDigits data --sampler n": ({"nsga2"}, set()),
    "%runs add": ({"add-trial"}, set()),
    "%runs st": ({"stop"}, set()),
}


@pytest.mark.parametrize("line", COMPLETED)
def test_what_can_be_typed_is_offered_and_what_is_refused_is_not(line: str) -> None:
    words = COMPLETED[line]
    context = CompletionContext(
        token=line.split()[-1], full_text=line, cursor_position=len(line), cursor_line=0, limit=None
    )
    found = {one.text for one in complete(context)["completions"]}
    assert words[0] <= found
    assert not words[1] & found


@pytest.mark.parametrize("magic", ["%train --form", "%tune --form"])
def test_a_form_of_too_many_expressions_says_what_to_type(magic: str, notebook) -> None:
    with pytest.raises(UsageError, match=r"not 3 expressions; put brackets .* as in `\(X, y\)`"):
        notebook.run_cell(f"{magic} LitDigits X y").raise_error()


def test_inside_a_function_its_own_names_are_known(notebook) -> None:
    cell = f"""
def search(width, count):
    mine = (X[:64], y[:64])
    study = %tune LitDigits(hidden=width,lr=lr) mine lr=1e-3..1e-2:log {USUAL.replace("3", "{count}", 1)}
    return study
study = search(5, 2)
"""
    notebook.run_cell(cell).raise_error()
    study = notebook.user_ns["study"]
    assert len(study.trials) == 2
    assert study.best.model().hparams["hidden"] == 5
