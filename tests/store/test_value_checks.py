"""Values of a database: which are sound, and how an error's damaged text is shown."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import pytest

from jupyter_train.store.value_checks import is_key, is_name, is_sound, is_time, kinds_of, printable


class _Fields(NamedTuple):
    count: int
    value: float | None
    name: str
    place: str = ""


@pytest.mark.parametrize(
    ("row", "sound"),
    [
        ((1, 0.5, "a", "b"), True),
        ((1, 2, "a", "b"), True),  # an int is a float
        ((1, None, "a"), True),  # the last fields may be missing
        ((1.0, 0.5, "a"), False),
        ((True, 0.5, "a"), False),
        ((1, "0.5", "a"), False),
        ((1, 0.5, b"a"), False),
        ((None, 0.5, "a"), False),
        ((1, 0.5, "a", None), False),
    ],
)
def test_a_row_is_sound_where_its_values_have_the_types_of_its_fields(row: tuple[Any, ...], sound: bool) -> None:
    assert is_sound(_Fields, row) is sound


def test_the_types_of_an_annotation() -> None:
    assert kinds_of(str) == {str}
    assert kinds_of(float) == {float, int}
    assert kinds_of(int | None) == {int, type(None)}


CASES: dict[str, tuple[Any, list[Any], list[Any]]] = {
    "name": (is_name, ["digits", "lit-digits_2.0", "x" * 80], ["", "x" * 81, "a b", "../x", "a\n", 3, None]),
    "key": (is_key, ["01234567-89ab-cdef-0123-456789abcdef"], ["", "0" * 35, "G" * 36, b"0" * 36, 3]),
    "time": (is_time, [0, 1e9, 9.9e10], [-1, 1e11, math.nan, math.inf, "1", None]),
}


@pytest.mark.parametrize("case", CASES)
def test_a_value_is_told_from_what_cannot_be(case: str) -> None:
    check, possible, impossible = CASES[case]
    assert [check(value) for value in possible] == [True] * len(possible)
    assert [check(value) for value in impossible] == [False] * len(impossible)


def test_an_error_is_shown_on_one_line_without_control_codes() -> None:
    assert printable(ValueError("near \x1b[31m\x00\x01:\n  \ufffd here\t")) == "near ?[31m?: ? here"
