"""The grammar of what is searched: what each form means, and one message for each mistake."""

from __future__ import annotations

import pytest

from jupyter_train.config.search_space import Choices, Fixed, Range, difference, parse
from jupyter_train.exceptions import SpaceError


@pytest.mark.parametrize(
    ("text", "space"),
    [
        ("1e-4..1e-1:log", Range(1e-4, 1e-1, None, is_log=True)),
        ("1..64:log", Range(1, 64, None, is_log=True)),
        ("1..4", Range(1, 4, 1)),
        ("-3..3", Range(-3, 3, 1)),
        ("8..64:8", Range(8, 64, 8)),
        ("0..1:0.1", Range(0.0, 1.0, 0.1)),
        ("0.0..1", Range(0.0, 1, None)),
        (".1...5", Range(0.1, 0.5, None)),
        ("relu|gelu|tanh", Choices(("relu", "gelu", "tanh"))),
        ("true|false", Choices((True, False))),
        ("32|64|none", Choices((32, 64, None))),
        ("1|1.5", Choices((1, 1.5))),
        ([16, 32], Choices((16, 32))),
        ("3", Fixed(3)),
        ("adam", Fixed("adam")),
        ("__import__('os')", Fixed("__import__('os')")),  # text, never code
        (0.5, Fixed(0.5)),
    ],
)
def test_what_is_typed_means(text, space) -> None:
    assert parse("x", text) == space
    assert parse("x", str(space)) == space


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("4..1", "the wrong way round; did you mean `x=1..4`?"),
        ("1e-1..1e-4:log", "did you mean `x=0.0001..0.1:log`?"),
        ("1..1", "the range is empty; `x=1` fixes it to one value"),
        ("0..1:log", "begins above zero; `x=1e-6..1:log` does"),
        ("-1..1:log", "begins above zero"),
        ("1..x", "expected two numbers around `..`"),
        ("..3", "expected two numbers around `..`"),
        ("1..inf", "expected two numbers around `..`"),
        ("1..3:5", "a step of 5 is wider than the range"),
        ("1..3:0", "`log` or a step above zero, not `0`"),
        ("1..3:lgo", "`log` or a step above zero, not `lgo`"),
        ("a||b", "a choice is empty"),
        ("a|b|a", "`a` is given twice"),
        ([1], "one choice is no search"),
        ([], "a choice is empty"),
        ([print, 1], "is no number, truth value or word"),
    ],
)
def test_a_mistake_is_named(text, words: str) -> None:
    with pytest.raises(SpaceError) as caught:
        parse("x", text)
    assert words in str(caught.value)
    assert str(caught.value).startswith("`x=")


def test_the_difference_of_two_spaces_is_shown() -> None:
    assert difference({"lr": "1..2", "k": "a|b"}, {"lr": "1..3", "z": "1"}) == [
        "lr: 1..2 → 1..3",
        "k: a|b → -",
        "z: - → 1",
    ]
