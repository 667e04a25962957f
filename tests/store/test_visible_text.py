"""What of a text is seen, and replacing a part of it without touching colours, tags and entities."""

from __future__ import annotations

import pytest

from jupyter_train.store.visible_text import VisibleText, has_codes, with_inside


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain", "plain"),
        ("", ""),
        ("\x1b[31mred\x1b[0m", "red"),
        ("a\x1b]0;title\x07b", "ab"),
        ("\x1b]8;;https://a.b/c\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("a\x00\u200bb\x9b1mc", "abc"),
        ("tab\tand\nline\rstay", "tab\tand\nline\rstay"),
        ("<b>1 &lt; 2</b>", "<b>1 &lt; 2</b>"),
    ],
)
def test_control_codes_are_not_seen(text: str, seen: str) -> None:
    assert VisibleText(text).seen == seen
    assert has_codes(text) == (text != seen)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("<b>1 &lt; 2</b>", "1 < 2"),
        ("a<!-- note -->b", "ab"),
        ("&#39;&#x41;&amp;&nosuch;", "'A&&nosuch;"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ("<i>\x1b[31mred</i>", "red"),
    ],
)
def test_tags_are_not_seen_and_entities_are_letters(text: str, seen: str) -> None:
    assert VisibleText(text, is_html=True).seen == seen


def replaced(text: str, word: str, is_html: bool = False) -> str:
    visible = VisibleText(text, is_html)
    start = visible.seen.index(word)
    return visible.replaced([(start, start + len(word))], "***")


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("a secret b", "a *** b"),
        ("a \x1b[31msecret\x1b[0m b", "a \x1b[31m***\x1b[0m b"),
        ("a sec\x1b[31mret b", "a ***\x1b[31m b"),
        ("secret", "***"),
    ],
)
def test_a_replaced_part_keeps_its_colours(text: str, result: str) -> None:
    assert replaced(text, "secret") == result


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("a <b>sec</b>ret b", "a <b>***</b> b"),
        ("x &amp; sec&#114;et &amp; y", "x &amp; *** &amp; y"),
        ("<p>secret</p>", "<p>***</p>"),
    ],
)
def test_a_replaced_part_keeps_its_tags_and_loses_its_entities(text: str, result: str) -> None:
    assert replaced(text, "secret", is_html=True) == result


def test_several_parts_are_replaced_in_order() -> None:
    visible = VisibleText("a\x1b[1mb c\x1b[0md")
    assert visible.replaced([(0, 1), (3, 4)], "*") == "*\x1b[1mb *\x1b[0md"
    assert visible.replaced([], "*") == "a\x1b[1mb c\x1b[0md"


def test_what_links_titles_tags_and_comments_hold_is_changed() -> None:
    assert with_inside("a \x1b]8;;x=key\x07link\x1b[1m key", lambda inside: inside.replace("key", "***")) == (
        "a \x1b]8;;x=***\x07link\x1b[1m key"
    )
    html = '<a href="key">key</a><!-- key -->'
    assert with_inside(html, lambda inside: inside.replace("key", "***"), is_html=True) == (
        '<a href="***">key</a><!-- *** -->'
    )
