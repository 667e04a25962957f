"""A search around markers finds what a search of the whole text finds."""

from __future__ import annotations

import random
import re

import pytest

from jupyter_train.store.pattern_search import MarkedPattern, SearchedText, marked

FILLER = "epoch 3 of 10, loss=0.25\n" * 12_000
PATTERNS = {
    "word": marked(r"sk-[a-z0-9]{4,}", "sk-"),
    "either": marked(r"(?:ghp|gho)_[a-z]+", "ghp_ gho_"),
    "behind": marked(r"[a-z]{0,20}://[^@\s]{1,300}@", "://"),
    "case": marked(r"to\u212aen=\w+|token=\w+", "token=", re.IGNORECASE),
    "block": marked(r"-----BEGIN\n[\s\S]*?(?:-----END|\Z)", "-----begin"),
}
HITS = ["sk-abc123", "sk-ab", "ghp_x", "GHP_x", "a://b:c@d", "TOKEN=x", "token=y", "-----BEGIN\nx\n-----END"]


def spans_of(text: str, pattern: MarkedPattern) -> list[tuple[int, int]]:
    return [match.span() for match in SearchedText(text).matches(pattern)]


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize("is_long", [False, True])
def test_every_match_of_the_whole_text_is_found(name: str, is_long: bool) -> None:
    pattern, dice = PATTERNS[name], random.Random(5)
    for _ in range(5):
        words = [dice.choice([*HITS, "plain", "\n", " "]) for _ in range(60)]
        text = " ".join([*words[:30], FILLER if is_long else "", *words[30:]])
        assert spans_of(text, pattern) == [match.span() for match in pattern.pattern.finditer(text)]
        assert spans_of(text, pattern)


@pytest.mark.parametrize("length", [10, 5_000, 100_000])
def test_a_match_is_followed_past_the_part_that_is_searched(length: int) -> None:
    text = f"{FILLER}-----BEGIN\n{'x' * length}\n-----END {FILLER}"
    [(start, end)] = spans_of(text, PATTERNS["block"])
    assert text[start:end] == f"-----BEGIN\n{'x' * length}\n-----END"


def test_what_matches_only_at_the_end_of_the_searched_part_is_no_match() -> None:
    pattern = marked(r"-----BEGIN\n[a-z\n]*(?:-----END|\Z)", "-----begin")
    letters = "x" * 30_000
    text = f"{FILLER}-----BEGIN\n{letters}!\n{FILLER}-----BEGIN\n{letters}-----END {FILLER}"
    assert [text[start:end] for start, end in spans_of(text, pattern)] == [f"-----BEGIN\n{letters}-----END"]


def test_the_next_match_begins_at_a_position_or_after_it() -> None:
    searched = SearchedText("sk-first sk-second")
    second = searched.next_match(PATTERNS["word"], 1)
    assert second is not None
    assert second.group() == "sk-second"
    assert searched.next_match(PATTERNS["word"], 10) is None


@pytest.mark.parametrize("letter", ["\u0131", "\u212a", "\u00df"])
def test_letters_that_change_their_length_in_lower_case_shift_nothing(letter: str) -> None:
    text = f"{letter * 10} token=abc {letter} TO\u212aEN=xyz"
    found = [text[start:end] for start, end in spans_of(text, PATTERNS["case"])]
    assert found == ["token=abc", "TO\u212aEN=xyz"]
