"""A line or a cell of `%train` as a call: which words it takes, and what it refuses before anything is made."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_train import runs
from jupyter_train.exceptions import JupyterTrainError, OptionError, UsageError
from jupyter_train.magics.namespace import Namespace
from jupyter_train.magics.train_request import TrainRequest
from tests.models import LitDigits, digits

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def request(line: str, body: str | None = None, **names: Any) -> TrainRequest:
    return TrainRequest(line, body, Namespace({"LitDigits": LitDigits, "data": digits(64), "two": 2, **names}))


def test_a_line_trains_and_its_words_are_recorded() -> None:
    run = request("LitDigits(hidden=4) data --epochs {two} --lr 0.5 --quiet").run()
    assert run is not None
    assert (run.config["epochs"], run.config["lr"], run.status) == (2, 0.5, "finished")
    assert run.config["expressions"] == {"model": "LitDigits(hidden=4)", "data": "data", "epochs": "two"}


def test_a_body_says_the_same_and_the_line_comes_first() -> None:
    body = "model: LitDigits()\ndata: data\nepochs: 5\nquiet: true\n"
    run = request("--epochs 1 --tag line", body).run()
    assert run is not None
    assert (run.config["epochs"], run.tags) == (1, ["line"])
    assert run.config["expressions"] == {"model": "LitDigits()", "data": "data"}


@pytest.mark.parametrize(
    ("line", "body", "words"),
    [
        ("", None, "name the model and the data: `%train model data --epochs 10`"),
        ("--epochs 1", "epochs: 1", "name the model and the data"),
        ("LitDigits() data more --epochs 1", None, "3 expressions were given"),
        ("LitDigits() nope --epochs 1", None, "data `nope`: `nope` is not defined here"),
        ("LitDigits( data --epochs 1", None, "a closing `)` is missing"),
        ("LitDigits() data --epochs 1", "- a list", "mapping"),
        ("LitDigits() data --epochs 1 --epochs 2", None, "`--epochs` was given twice"),
        ("LitDigits data --epochs 1", None, "`LitDigits` is a class; write `LitDigits(...)`"),
        ("(LitDigits(), data)", None, "IPython takes `train(...)`"),
    ],
)
def test_what_cannot_be_run_is_refused_and_records_nothing(line: str, body: str | None, words: str) -> None:
    with pytest.raises(JupyterTrainError) as caught:
        request(line, body).run()
    assert words in str(caught.value)
    assert len(runs()) == 0


def test_options_are_known_before_anything_is_evaluated() -> None:
    def load() -> None:
        raise AssertionError("the data was made")

    with pytest.raises(OptionError, match="length of training is missing"):
        request("LitDigits() load()", load=load).run()
    with pytest.raises(UsageError, match="unknown option"):
        request("LitDigits() load() --epoch 3", load=load)


def test_a_file_of_lightnings_cli_is_told_by_its_parts() -> None:
    body = "model:\n  class_path: tests.models.LitDigits\ndata: {class_path: nope.Nothing}\ntrainer: {max_epochs: 1}\n"
    with pytest.raises(JupyterTrainError, match="nope"):
        request("--quiet", body).run()
