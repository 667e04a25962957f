"""A call that IPython took for a magic is refused, with the line that says the same."""

from __future__ import annotations

import pytest

from jupyter_train.exceptions import UsageError
from jupyter_train.magics.automagic import refuse_call

LINES = {
    "(Net(), (X, y), epochs=1)": "%train Net() (X, y) --epochs 1",
    "(model=Net(), data=frame, epochs=1);": "%train Net() frame --epochs 1",
    "(lambda: Net(8), X, epochs=1)": "%train Net(8) X --epochs 1",
    "(lambda lr: Net(lr), X, epochs=1)": "%train (lambda lr: Net(lr)) X --epochs 1",
    "(a + b, X, epochs=1)": "%train (a + b) X --epochs 1",
    "(net, X, lr=rate * 2, early_stop='val_loss:3')": "%train net X --lr {rate * 2} --early-stop val_loss:3",
    "(net, X, quiet=True, detach=False, note=None)": "%train net X --quiet --detach false",
    "(net, X, note='two words', tag=['a', 'b'])": "%train net X --note 'two words' --tag a --tag b",
    "(net, X, from_='best', devices=[0, 1])": "%train net X --from best --devices {[0, 1]}",
}


@pytest.mark.parametrize("line", LINES)
def test_a_call_is_answered_with_its_line(line: str) -> None:
    with pytest.raises(UsageError) as caught:
        refuse_call("train", line)
    assert f"write `{LINES[line]}`, or call the function by its whole name, `jupyter_train.train(...)`" in str(
        caught.value
    )


def test_a_search_space_is_typed_by_name() -> None:
    with pytest.raises(UsageError) as caught:
        refuse_call("tune", "(Net, X, space={'lr': '1e-4..1e-1:log', 'h': '8|16'}, trials=3)")
    assert "write `%tune Net X lr=1e-4..1e-1:log h=8|16 --trials 3`" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("train", "(net, X, third, epochs=1)"),
        ("train", "(net, X, **options)"),
        ("tune", "(Net, X, space=space, trials=3)"),
        ("retrain", "('nightly.ipynb', {'lr': 1})"),
    ],
)
def test_what_no_line_can_say_is_answered_with_the_function(name: str, line: str) -> None:
    with pytest.raises(UsageError) as caught:
        refuse_call(name, line)
    assert f"`jupyter_train.{name}(...)`" in str(caught.value)
    assert "write `" not in str(caught.value)


@pytest.mark.parametrize(
    "line",
    ["", "net X --epochs 1", "(X, y) --epochs 1", "(net)", "()", "(net, X", "Net() (X, y)", "(net, X)(y)", "(\0,)"],
)
def test_a_line_is_no_call(line: str) -> None:
    refuse_call("train", line)
