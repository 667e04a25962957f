"""The line's grammar: words, expressions, options."""

from __future__ import annotations

import pytest

from jupyter_train.config import options_by_name, tune_options_by_name
from jupyter_train.config.synonyms import _LINE_OF, VERB_SYNONYMS, suggestion_for
from jupyter_train.exceptions import OptionError, UsageError
from jupyter_train.magics.line import expression_in, parse, split, unquoted
from jupyter_train.magics.runs_request import VERBS


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("net (X,y) --epochs 5", ["net", "(X,y)", "--epochs", "5"]),
        ("Lit(lr = 1e-3, h=[1, 2]) ( X , y )", ["Lit(lr = 1e-3, h=[1, 2])", "( X , y )"]),
        ("net data --note 'two words' --tag \"a b\"", ["net", "data", "--note", "'two words'", "--tag", '"a b"']),
        (
            "net data --callback EarlyStopping('val loss', mode=\"min\")",
            ["net", "data", "--callback", "EarlyStopping('val loss', mode=\"min\")"],
        ),
        ("f(')') d", ["f(')')", "d"]),
        ("net df[df.x > 3] --target y", ["net", "df[df.x > 3]", "--target", "y"]),
        ("net data --lr {lr * 2}", ["net", "data", "--lr", "{lr * 2}"]),
        ("net data --note don't", ["net", "data", "--note", "don't"]),
        ("", []),
    ],
)
def test_words_are_split_outside_brackets_and_quotes(line: str, words: list[str]) -> None:
    assert split(line) == words


@pytest.mark.parametrize("line", ["net (X, y --epochs 3", "net 'abc", "Lit(a=[1) d"])
def test_an_open_bracket_or_quote_is_named(line: str) -> None:
    with pytest.raises(UsageError, match="closing"):
        split(line)


def _options(line: str) -> dict[str, str | None]:
    return {given.option.name: given.text for given in parse(line, options_by_name()).options}


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("m d --epochs 5 --wandb=digits", {"epochs": "5", "wandb": "digits"}),
        ("m d --wandb --epochs 5", {"wandb": None, "epochs": "5"}),
        ("--detect-anomaly m d --epochs 1", {"detect_anomaly": None, "epochs": "1"}),
        ("m d --benchmark false --fast-dev-run 3", {"benchmark": "false", "fast_dev_run": "3"}),
        ("m d --early-stop val_loss:3", {"early_stop": "val_loss:3"}),
        ("m d --val-check-interval=0.5", {"val_check_interval": "0.5"}),
    ],
)
def test_options_and_their_values(line: str, options: dict[str, str | None]) -> None:
    parsed = parse(line, options_by_name())
    assert parsed.expressions == ["m", "d"]
    assert _options(line) == options


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--wandb model data", "`--wandb=model`"),
        ("m d --epochs", "`--epochs VALUE`"),
        ("m d --epoch 3", "Did you mean `--epochs`"),
        ("m d --wandb=", "has no value"),
    ],
)
def test_bad_options_say_what_to_type(line: str, words: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse(line, options_by_name())
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "inside"),
    [("{lr}", "lr"), ("{ lr * 2 }", "lr * 2"), ("lr", None), ('{"days": 1}', None), ("{x for x in y}", None)],
)
def test_braces_hold_an_expression(text: str, inside: str | None) -> None:
    assert expression_in(text) == inside


@pytest.mark.parametrize(("text", "plain"), [("'a b'", "a b"), ('"a"', "a"), ("a'b", "a'b"), ("'a\\'b'", "a'b")])
def test_quotes_are_taken_off(text: str, plain: str) -> None:
    assert unquoted(text) == plain


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("net data --epochs 5  # a comment", ["net", "data", "--epochs", "5"]),
        ("net data # it's (not closed", ["net", "data"]),
        ("# all of it", []),
        ("net f('#1') --tag '#2' --wandb=a#3", ["net", "f('#1')", "--tag", "'#2'", "--wandb=a#3"]),
    ],
)
def test_a_comment_is_left_out(line: str, words: list[str]) -> None:
    assert split(line) == words
    assert split("A see #12", has_comment=False) == ["A", "see", "#12"]


OTHER_WORDS = {
    "m d --gpus 1": "write `--accelerator gpu --devices 1`",
    "m d --gpus=2": "write `--accelerator gpu --devices 2`",
    "m d --gpus 0": "write `--accelerator cpu`",
    "m d --gpus": "write `--accelerator gpu --devices 1`",
    "m d --cuda": "write `--accelerator gpu --devices 1`",
    "m d --learning-rate 3e-4": "write `--lr 3e-4`",
    "m d --patience 5": "write `--early-stop val_loss:5`",
    "m d --n_epochs (X,y)": "write `--epochs 10`",
    "m d --num-workers 2": "`--tune-loader` measures how many",
    "m d --n-trials 5": "unknown option `--n-trials`. ",
    "m d -epochs 3": "`--epochs 3`",
    "m d -epochs=3": "`--epochs 3`",
    "m d -epoch 3": "Did you mean `--epochs`",
    "m d —epochs 3": "`--epochs 3`",
    "m d –-epochs 3": "`--epochs 3`",
    "m d -detach": "two dashes: `--detach`",
    "m -d": "brackets: `(-d)`",
    "m d --epochs = 3": "`--epochs VALUE`",
    "m d --early-stop val_loss 3": "takes one value, written `--early-stop METRIC[:PATIENCE]`",
    "m d --tag #wip": "`--tag '#wip'`",
}


@pytest.mark.parametrize("line", OTHER_WORDS)
def test_what_is_called_otherwise_elsewhere_is_answered_with_what_to_type(line: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse(line, options_by_name())
    assert OTHER_WORDS[line] in str(caught.value)


def test_every_other_name_of_an_option_leads_to_one_that_there_is() -> None:
    known = tune_options_by_name()
    for name in _LINE_OF:
        assert name not in known or name not in options_by_name()
        words = suggestion_for(name, None, known)
        typed = words.removeprefix("write `").removesuffix("`")
        assert parse(typed, known).options, name
    assert set(VERB_SYNONYMS.values()) <= set(VERBS)
    assert not set(VERB_SYNONYMS) & set(VERBS)
