"""The line of `--form`, as the fields it fills."""

from __future__ import annotations

from typing import Any

import pytest
from IPython.utils.capture import capture_output

from jupyter_train.config import options_by_name, tune_options_by_name
from jupyter_train.exceptions import UsageError
from jupyter_train.magics.form_request import is_form, show_train_form, show_tune_form
from jupyter_train.magics.line import parse
from jupyter_train.magics.namespace import Namespace


class Net:
    def __init__(self, hidden: int = 8, lr: float = 1e-3) -> None: ...


NAMES = Namespace({"Net": Net, "nets": type("nets", (), {"Net": Net}), "model": object(), "X": [1]})


@pytest.fixture(autouse=True)
def notebook(shell) -> None:
    """A shell that displays."""


def line_of(outputs: list[Any]) -> str:
    return str(outputs[-1].data["text/plain"])


def train_line(typed: str) -> str:
    with capture_output() as captured:
        show_train_form(parse(typed, options_by_name()), NAMES, lambda _line: None)
    return line_of(captured.outputs)


def tune_line(typed: str, expressions: list[str], **space: str) -> str:
    with capture_output() as captured:
        parsed = parse(typed, tune_options_by_name())
        show_tune_form(parsed, expressions, space, NAMES, lambda _line: None)
    return line_of(captured.outputs)


def test_a_form_is_asked_for_by_its_option() -> None:
    assert is_form(parse("Net X --form --epochs 3", options_by_name()))
    assert not is_form(parse("Net X --epochs 3", options_by_name()))


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("Net(hidden=16) X --form --epochs 3", "Net(hidden=16) X --epochs 3"),
        ("nets.Net(lr=0.1) --form", "nets.Net(lr=0.1)"),
        ("model X --form --quiet --tag a --tag b", "model X --tag a --tag b"),
        ("model X --form --tag 'two words' --tag b", "model X --tag 'two words' --tag b"),
        ("model X --form --callback {A(1)} --callback {B(2, 'c')}", "model X --callback {A(1)} --callback {B(2, 'c')}"),
        ("Net(16) X --form", "Net(16) X"),  # an argument without a name has no field
        ("--form", ""),
    ],
)
def test_a_line_of_train_fills_a_field_for_each_argument(typed: str, line: str) -> None:
    assert train_line(typed).removeprefix("run = %train").strip() == line


@pytest.mark.parametrize(
    ("expressions", "space", "line"),
    [
        (["Net", "X"], {"hidden": "8|16"}, "Net X hidden=8|16"),
        (["Net(lr=a,hidden=32)", "X"], {"a": "1e-4..1e-1"}, "Net X hidden=32 lr=1e-4..1e-1"),
        (["Net(lr=a,hidden=32)"], {"a": "1..2", "batch_size": "16|32"}, "Net hidden=32 lr=1..2 batch_size=16|32"),
        (["Net(lr=2*a)", "X"], {"a": "1..2"}, "Net(lr=2*a) X a=1..2"),
        (["model", "X"], {"batch_size": "16|32"}, "model X batch_size=16|32"),
        (["model"], {"lr": "1..2"}, "model lr=1..2"),
    ],
)
def test_a_line_of_tune_searches_by_the_names_of_the_class(
    expressions: list[str], space: dict[str, str], line: str
) -> None:
    assert tune_line("--form --trials 3", expressions, **space) == f"study = %tune {line} --trials 3"


def test_what_a_search_takes_several_times_is_typed_so() -> None:
    typed = "--form --maximize a --maximize b --warm-start one-k3f9 --warm-start two-k3f9 --enqueue lr=1 --enqueue lr=2"
    assert tune_line(typed, ["model"], lr="1..2").partition("lr=1..2 ")[2] == (
        "--maximize a --maximize b --enqueue lr=1 --enqueue lr=2 --warm-start one-k3f9 --warm-start two-k3f9"
    )


@pytest.mark.parametrize("show", [lambda: train_line("Net X y --form"), lambda: tune_line("--form", ["Net", "X", "y"])])
def test_three_expressions_are_too_many(show: Any) -> None:
    with pytest.raises(UsageError, match="expected a model and its data, not 3 expressions"):
        show()
