"""The form: fields from the options and the model's `__init__`, the line that says the same, problems shown beside."""

from __future__ import annotations

from typing import Literal

import pytest

from jupyter_train.config import options_by_name
from jupyter_train.exceptions import ModelError, OptionError
from jupyter_train.panel.forms.fields import fields_of_model
from jupyter_train.panel.forms.form import MIME_TYPE
from jupyter_train.panel.forms.train import TrainForm
from jupyter_train.panel.forms.tune import ALSO, TuneForm

_ORDER = {name: option.form_order for name, option in options_by_name().items() if option.form_order is not None}
COMMON = sorted(_ORDER, key=_ORDER.__getitem__)


class Net:
    def __init__(self, hidden: int, lr: float = 1e-3, act: Literal["relu", "tanh"] = "relu", norm: bool = False, **_):
        pass


def _form(started=None, given=None, arguments=None, model=Net) -> TrainForm:
    return TrainForm("Net", model, "(X, y)", given or {}, arguments or {}, started or (lambda line: None))


def _row(form: TrainForm, name: str):
    return next(row for row in form._rows if row.field.name == name)


def test_the_usual_options_come_first_and_every_other_is_there() -> None:
    form = _form()
    assert [row.field.name for row in form._options] == [options_by_name()[name].flag for name in COMMON]
    names = [row.field.name for row in form._rows]
    assert len(names) == len(set(names))
    assert {"--devices", "--precision", "--notify", "--wandb"} <= set(names)
    assert "--detach" not in names


def test_a_model_class_gives_a_field_for_each_argument() -> None:
    found = {field.name: (field.hint, field.choices) for field in fields_of_model(Net, {})}
    assert found == {
        "hidden": ("needed", ()),
        "lr": ("0.001", ()),
        "act": ("'relu'", ("", "'relu'", "'tanh'")),
        "norm": ("False", ("", "True", "False")),
    }
    assert fields_of_model("no class", {}) == []


def test_the_line_says_what_was_filled_in_and_trains_the_same() -> None:
    form = _form(given={"epochs": "5"}, arguments={"hidden": "32"})
    _row(form, "act")._widget.value = "'tanh'"
    _row(form, "--early-stop")._widget.value = "val_loss:3"
    _row(form, "--tag")._widget.value = "two words"
    _row(form, "--reinit")._widget.value = True
    assert form.line == (
        "run = %train Net(hidden=32,act='tanh') (X, y) --epochs 5 --early-stop val_loss:3 --tag \"two words\" --reinit"
    )
    assert form._bundle()["text/plain"] == form.line
    assert "widget-view" not in str(form._bundle())


def test_a_line_keeps_an_instance_as_it_is_and_gives_a_flag_its_value() -> None:
    form = TrainForm("model", None, "", {"wandb": "digits", "lr": "{lr}"}, {}, lambda line: None)
    assert form.line == "run = %train model --lr {lr} --wandb=digits"
    assert _form(model=None).line.startswith("run = %train Net (X, y)")


WRONG = {
    "--epochs": ("0", "a whole number of 1 or more"),
    "--lr": ("fast", "expected a number"),
    "--split": ("0.5/0.9", "add up to 1"),
    "hidden": ("1.5", "expected a whole number"),
    "lr": ("1e-3)", "unmatched"),
    "model": ("", "name the model"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_problem_is_shown_beside_its_field_and_nothing_starts_until_it_is_gone(name: str) -> None:
    text, words = WRONG[name]
    form = _form(arguments={"hidden": "32"})
    row = _row(form, name)
    before = row._widget.value
    row._widget.value = text
    assert words in row._problem.value
    assert form._button.disabled
    row._widget.value = before
    assert (row._problem.value, form._button.disabled) == ("", False)


def test_start_trains_the_line_detached_and_says_what_went_wrong() -> None:
    lines = []

    def started(line: str) -> None:
        lines.append(line)
        raise ModelError("<img src=x onerror=alert(1)>")

    form = _form(started, {"epochs": "5"})
    form._start()
    assert lines == [" Net() (X, y) --epochs 5 --detach"]
    assert "&lt;img" in form._message.value
    assert "jt-FormBad" in form._message.value
    assert not form._button.disabled


def test_the_saved_form_is_text_alone() -> None:
    form = _form(given={"note": "<script>alert(1)</script>"})
    bundle = form._bundle()
    assert set(bundle) == {MIME_TYPE, "text/html", "text/plain"}
    assert "<script>" not in bundle["text/html"]


def test_a_form_is_no_option_of_the_function() -> None:
    from jupyter_train import train

    with pytest.raises(OptionError, match="%train --form model data"):
        train(None, None, form=True)


def _tune_form(space=None, given=None, model=Net, text="Net", started=None) -> TuneForm:
    return TuneForm(text, model, "(X,y)", space or {}, given or {}, started or (lambda line: None))


def test_a_search_takes_a_range_for_every_argument_of_the_class() -> None:
    form = _tune_form({"lr": "1e-4..1e-1:log", "batch_size": "32|64"}, {"trials": "20", "maximize": "val_acc"})
    _row(form, "hidden")._widget.value = "16|32"
    _row(form, "--parallel")._widget.value = "2"
    assert form.line == (
        "study = %tune Net (X,y) hidden=16|32 lr=1e-4..1e-1:log batch_size=32|64 --trials 20 --maximize val_acc "
        "--parallel 2"
    )
    assert not form._button.disabled
    _row(form, "--minimize")._widget.value = "val_loss seconds"
    assert "--minimize val_loss --minimize seconds" in form.line
    names = [row.field.name for row in form._rows]
    assert {"--trials", "--enqueue", "--confirm", "--cv", "--batch-size", "--notify"} <= set(names)
    assert not {"--detach", "--form", "--monitor", "--devices"} & set(names)
    assert len(names) == len(set(names))


WRONG_SPACE = {
    "lr": ("1e-1..1e-4", "wrong way round"),
    "hidden": ("16|", "a choice is empty"),
    ALSO: ("btch_size=1|2", "Did you mean `batch_size`"),
    "--trials": ("0", "a whole number of 1 or more"),
}


@pytest.mark.parametrize("name", WRONG_SPACE)
def test_a_range_that_is_none_is_reported_beside_its_field(name: str) -> None:
    text, words = WRONG_SPACE[name]
    form = _tune_form()
    _row(form, name)._widget.value = text
    assert words in _row(form, name)._problem.value
    assert form._button.disabled


def test_names_of_an_expression_are_searched_beside_it() -> None:
    form = _tune_form({"width": "1..4"}, model=None, text="make(2**width)")
    assert form.line == "study = %tune make(2**width) (X,y) width=1..4"
    _row(form, ALSO)._widget.value = "width 1..4"
    assert "separated by spaces" in _row(form, ALSO)._problem.value


def test_a_search_is_started_detached() -> None:
    lines = []
    _tune_form({"lr": "1e-4..1e-1:log"}, {"trials": "5"}, started=lines.append)._start()
    assert lines == [" Net (X,y) lr=1e-4..1e-1:log --trials 5 --detach"]
