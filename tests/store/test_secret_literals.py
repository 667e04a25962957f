"""String literals under a secret's name: where they stand in the source, and what takes their place."""

from __future__ import annotations

import ast

import pytest

from jupyter_train.store.secret_literals import SecretLiteral, literals_of


def found(source: str, *notified: str) -> list[SecretLiteral]:
    return list(literals_of(ast.parse(source), source, frozenset(notified)))


@pytest.mark.parametrize(
    ("source", "values"),
    [
        ("password = 'hunter2'", [("hunter2",)]),
        ("ä = 'ö'; password = 'hünter2'", [("hünter2",)]),
        ("a, (b, token) = 1, (2, 'canary')", [("canary",)]),
        ("f(1, api_key='canary')", [("canary",)]),
        ("{'password': ['one-canary', 'two-canary']}", [("one-canary",), ("two-canary",)]),
        ("token = f'a-{x}-canary'", [("a-", "-canary")]),
        ("token = os.getenv('API_TOKEN', 'canary')", [("canary",)]),
        ("token = os.getenv('API_TOKEN')", []),
        ("password = getpass('Your password: ')", []),
        ("token = text == 'canary'", []),
        ("lr = '0.1'; name = 'canary'", []),
    ],
)
def test_a_literal_is_found_by_the_name_it_is_given(source: str, values: list[tuple[str, ...]]) -> None:
    literals = {literal.start: literal for literal in found(source)}.values()
    assert [literal.values for literal in literals] == values
    for literal in literals:
        assert source[literal.start : literal.end].strip("f")[0] in "\"'"
        assert source[literal.end - 1] in "\"'"


@pytest.mark.parametrize(
    ("source", "masked"),
    [
        ("password = 'hunter2'", "password = '***'"),
        ("password = '''one\ntwo'''", "password = '''***'''"),
        ("password = b'hunter2'", "password = '***'"),  # bytes hold no dots
        ('password = r"hunter2"', 'password = r"***"'),
    ],
)
def test_the_text_between_the_quotes_is_replaced(source: str, masked: str) -> None:
    [literal] = found(source)
    replacement = literal.masked(source, "***")
    assert replacement is not None
    start, end, text = replacement
    assert source[:start] + text + source[end:] == masked


def test_a_target_of_notices_keeps_its_host_and_what_has_none_is_hidden_by_name_only() -> None:
    source = "hook = 'https://a.org/canary'"
    assert found(source) == []
    [literal] = found(source, "hook")
    assert literal.is_target
    assert literal.masked(source, "***") == (7, len(source), "'https://a.org/***'")


def test_a_part_of_an_fstring_has_no_position_to_be_replaced_at() -> None:
    assert SecretLiteral(0, 5, ("canary",), False).masked("canary", "***") is None
