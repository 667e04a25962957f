"""A line or a cell of `%tune` as a call: what is searched, what of it the model takes, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_train import runs
from jupyter_train.exceptions import JupyterTrainError
from jupyter_train.magics.namespace import Namespace
from jupyter_train.magics.tune_request import TuneRequest
from tests.models import LitDigits, digits

pytestmark = pytest.mark.filterwarnings("ignore")
USUAL = "--epochs 1 --trials 1 --maximize val_acc --seed 1 --quiet"


def request(line: str, body: str | None = None, **names: Any) -> TuneRequest:
    return TuneRequest(line, body, Namespace({"LitDigits": LitDigits, "data": digits(64), "width": 4, **names}))


def test_a_line_searches_and_its_words_are_recorded() -> None:
    study = request(f"LitDigits(hidden=width*a,lr=lr) data a=1|2 lr=1e-3..1e-1:log {USUAL}").run()
    assert study is not None
    assert study.config["space"] == {"a": "1|2", "lr": "0.001..0.1:log"}
    assert study.config["expressions"] == {"model": "LitDigits(hidden=width*a,lr=lr)", "data": "data"}
    assert set(study.trials.columns) >= {"a", "lr"}


def test_a_body_says_the_same_and_the_line_comes_first() -> None:
    body = "model: LitDigits\ndata: data\nspace:\n  lr: 1e-3..1e-1:log\n  hidden: 8|16\nepochs: 1\nmaximize: val_acc\n"
    study = request("hidden=4|5 --trials 1 --quiet --seed 1", body).run()
    assert study is not None
    assert study.config["space"] == {"lr": "0.001..0.1:log", "hidden": "4|5"}


@pytest.mark.parametrize(
    ("line", "body", "words"),
    [
        ("", None, "name the model and the data: `%tune LitDigits(lr=lr) data"),
        ("LitDigits data more lr=1..2", None, "and write what is searched as `name=RANGE`, without spaces"),
        ("LitDigits data lr=1..2 lr=3..4", None, "`lr` is given twice: `1..2` and `3..4`"),
        ("LitDigits data", "space: 3", "`space:` is a mapping of names to ranges"),
        ("LitDigits data --lr 1e-4..1e-1:log", None, "To search it, write `lr=1e-4..1e-1:log`, without dashes"),
        ("LitDigits (data,lr) lr=1..2", None, "`lr` is searched, but the data is made once, for all trials"),
        ("LitDigits(hidden=nope) data lr=1..2", None, "`nope` is not defined here"),
        ("LitDigits data lr = 1..2", None, "without spaces: `lr=1..2`"),
        ("(LitDigits, data, trials=3)", None, "IPython takes `tune(...)`"),
    ],
)
def test_what_cannot_be_searched_is_refused_and_records_nothing(line: str, body: str | None, words: str) -> None:
    with pytest.raises(JupyterTrainError) as caught:
        request(line, body).run()
    assert words in str(caught.value)
    assert len(runs()) == 0
