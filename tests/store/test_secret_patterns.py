"""Where in a text secrets stand: joined spans, and what of a `--notify` target is hidden."""

from __future__ import annotations

import pytest

from jupyter_train.store.secret_patterns import merged, spans, target_spans


def hidden(text: str, *known: str) -> list[str]:
    return [text[start:end] for start, end in spans(text, known)]


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        ("nothing of interest, lr=3e-4", []),
        ("a AKIAQ7CANARY00000002 b", ["AKIAQ7CANARY00000002"]),
        ("password=hunter22, user=me", ["hunter22"]),
        ("postgresql://me:canary-16@db/x", ["canary-16"]),
        ("api_key = 'one' + 'two-canary'", ["two-canary"]),  # `one` is too short to be one
        ("api_key = 'first-canary' \\\n  'second-canary'", ["first-canary", "second-canary"]),
        ("--api-key canary08 --lr 0.1", ["canary08"]),
        ("--notify https://h.org/canary06", ["canary06"]),
    ],
)
def test_the_secret_and_nothing_around_it_is_a_span(text: str, secrets: list[str]) -> None:
    assert hidden(text) == secrets


def test_known_secrets_are_found_whatever_their_form_and_however_often() -> None:
    assert hidden("a plainword and plainword, plainwordplainword", "plainword") == [
        "plainword",
        "plainword",
        "plainwordplainword",
    ]
    assert hidden("plainword") == []


@pytest.mark.parametrize(
    ("found", "result"),
    [
        ([], []),
        ([(4, 6), (0, 2)], [(0, 2), (4, 6)]),
        ([(0, 4), (2, 3)], [(0, 4)]),
        ([(0, 2), (2, 5)], [(0, 5)]),
        ([(0, 2), (1, 5), (7, 7)], [(0, 5)]),
    ],
)
def test_spans_are_in_order_and_joined(found: list[tuple[int, int]], result: list[tuple[int, int]]) -> None:
    assert merged(found) == result


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        ("https://a.org/path?x=1", ["path?x=1"]),
        ("https://me:pw@a.org/path", ["me:pw", "path"]),
        ("notify-send done now", ["done now"]),
        ("TOKEN=abc curl x", ["TOKEN=abc curl x"]),
    ],
)
def test_a_target_keeps_its_host_or_its_command(target: str, parts: list[str]) -> None:
    assert [target[start:end] for start, end in target_spans(target)] == parts
