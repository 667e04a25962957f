"""The options of `%train` by name: values as typed after a verb, unknown and refused ones, the signature."""

from __future__ import annotations

import inspect

import pytest

from jupyter_train.config import machine
from jupyter_train.config.option_table import (
    check_machine,
    is_refused,
    option_values,
    options_by_name,
    signature_of_train,
    unknown_option,
)
from jupyter_train.config.tune import tune_options_by_name
from jupyter_train.exceptions import OptionError


def test_signature_of_train_names_every_option() -> None:
    names = list(signature_of_train().parameters)
    assert names == ["model", "data", *options_by_name()]


def test_train_shows_that_signature() -> None:
    from jupyter_train import train

    assert inspect.signature(train) == signature_of_train()


def test_defaults_shown_are_those_that_hold() -> None:
    shown = signature_of_train().parameters
    assert [shown[name].default for name in ("check_val_every_n_epoch", "inference_mode", "devices")] == [1, True, 1]


def test_an_option_of_our_own_stands_before_the_argument_of_the_trainer() -> None:
    groups = {name: option.group for name, option in options_by_name().items()}
    assert (groups["epochs"], groups["logger"], groups["max_epochs"]) == ("run", "run", "trainer")


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["epochs=30"], {"epochs": 30}),
        (["--epochs=30", "quiet"], {"epochs": 30, "quiet": True}),
        (["from=best"], {"from_": "best"}),
        (["early-stop=val_loss:2"], {"early_stop": "val_loss:2"}),
        (["epochs=1", "epochs=2"], {"epochs": 2}),
        ([], {}),
    ],
)
def test_words_after_a_verb_are_values_by_name(words: list[str], values: dict[str, object]) -> None:
    assert option_values(words) == values


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["epoch=3"], "unknown option `--epoch`. Did you mean `--epochs`?"),
        (["epochs"], "`--epochs` needs a value: `epochs=VALUE`"),
        (["epochs=many"], "`--epochs many`: expected a whole number"),
    ],
)
def test_a_word_that_is_no_option_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        option_values(words)
    assert message in str(caught.value)


def test_words_are_read_by_the_options_that_are_given() -> None:
    assert option_values(["trials=3"], tune_options_by_name()) == {"trials": 3}
    with pytest.raises(OptionError, match="unknown option `--trials`"):
        option_values(["trials=3"])


def test_an_unknown_option_is_answered_for_the_magic_it_was_typed_after() -> None:
    assert str(unknown_option("xyzzy")) == "unknown option `--xyzzy`. `%train?` lists them all"
    assert str(unknown_option("xyzzy", tune_options_by_name())) == (
        "unknown option `--xyzzy`. What is searched is written `xyzzy=RANGE`. `%tune?` lists them all"
    )
    close = unknown_option("trails", tune_options_by_name())
    assert str(close) == "unknown option `--trails`. Did you mean `--trials`? `%tune?` lists them all"
    elsewhere = unknown_option("num_epochs", value=7)
    assert str(elsewhere) == "unknown option `--num-epochs`: write `--epochs 7`; `%train?` lists them all"


def test_more_than_the_machine_has_is_taken_only_where_that_is_asked_for() -> None:
    known, many = options_by_name(), machine.max_processes() + 1
    with pytest.raises(OptionError, match=r"`--devices .*expected at most"):
        check_machine(known, {"devices": many})
    check_machine(known, {"devices": many, "oversubscribe": True})
    check_machine(known, {"devices": 1})


def test_a_refused_argument_is_passed_over_at_its_default_alone() -> None:
    known = options_by_name()
    assert is_refused(known["num_nodes"], 1)
    assert is_refused(known["barebones"], False)
    assert not is_refused(known["max_epochs"], 3)
    with pytest.raises(OptionError, match="`--num-nodes` is not taken: a notebook trains on one machine"):
        is_refused(known["num_nodes"], 2)
