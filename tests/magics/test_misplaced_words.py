"""Words that are neither a model, data nor an option are answered with what to type."""

from __future__ import annotations

import pytest

from jupyter_train.config import options_by_name, tune_options_by_name
from jupyter_train.exceptions import OptionError, UsageError
from jupyter_train.magics.misplaced_words import refuse_extra_expressions, refuse_misplaced_words

DEFINED = ("net", "X", "y", "seed")


def refuse(line: str, is_search: bool = False) -> None:
    known = tune_options_by_name() if is_search else options_by_name()
    refuse_misplaced_words(line.split(), known, lambda name: name in DEFINED, is_search)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("net X epochs=3", "`epochs=3`: an option begins with two dashes: `--epochs 3`"),
        ("net X epochs = 3", "`epochs = 3`: an option begins with two dashes: `--epochs 3`"),
        ("net X epochs =3", "`epochs = 3`: an option begins with two dashes: `--epochs 3`"),
        ("net X epochs 3", "`epochs 3`: an option begins with two dashes: `--epochs 3`"),
        ("net X detach", "`detach`: an option begins with two dashes: `--detach`"),
        ("net X detach=True", "`detach=True`: an option begins with two dashes: `--detach`"),
        ("net X epochs=", "`epochs=`: an option begins with two dashes: `--epochs VALUE`"),
        ("net X lr=1e-4..1e-1", "`%train` takes one value, `--lr VALUE`; `%tune` searches a range"),
        ("net X hidden=8|16", "`%train` searches nothing; `%tune MODEL DATA hidden=8|16 ...` does"),
        ("net X hidden=32", "An argument of the model stands in its brackets, as in `Net(hidden=32)`"),
        ("epochs 3", "`epochs 3`: an option begins with two dashes: `--epochs 3`"),
    ],
)
def test_an_option_without_its_dashes_is_named(line: str, words: str) -> None:
    with pytest.raises(OptionError) as caught:
        refuse(line)
    assert words in str(caught.value)


def test_a_comma_between_model_and_data_is_named() -> None:
    with pytest.raises(UsageError, match="`Net\\(\\),`: a space stands between model and data, no comma: `Net\\(\\)`"):
        refuse("Net(), X")


def test_a_search_space_has_no_spaces() -> None:
    with pytest.raises(UsageError) as caught:
        refuse("Net X hidden = 8|16", is_search=True)
    assert str(caught.value) == "`hidden = 8|16`: what is searched is written without spaces: `hidden=8|16`"


@pytest.mark.parametrize(
    "line", ["net X", "net (X,y)", "seed X", "net seed", "a==b X", "monitor", "net X[1:,]", "(a, X"]
)
def test_a_model_and_its_data_are_fine(line: str) -> None:
    refuse(line)


def test_more_than_a_model_and_its_data_are_too_many() -> None:
    refuse_extra_expressions(["net", "X"])
    with pytest.raises(UsageError) as caught:
        refuse_extra_expressions(["net", "X", "y" * 100], ", and more")
    said = str(caught.value)
    assert said.startswith("3 expressions were given (`net`, `X`, `yyyy")
    assert said.endswith("as in `(X, y)`, and more")
    assert len(said) < 300
