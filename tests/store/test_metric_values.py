"""A batch of values that cannot be read at once is read one by one, and each series is named once."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_train.store.metric_values import MetricValues

PLACES = [(7, "loss"), (7, "acc"), (1234, "loss")]


def to_floats(values: list[Any]) -> list[float]:
    return [float(value) for value in values]


def converted(values: list[Any], places: Any = PLACES) -> tuple[list[float | None], list[tuple[int, str]]]:
    said: list[tuple[int, str]] = []
    found = MetricValues(to_floats, lambda step, text: said.append((step, text))).of(values, places)
    return list(found), said


def test_readable_values_are_converted_at_once() -> None:
    assert converted(["1", 2, 3.5], places=iter(())) == ([1.0, 2.0, 3.5], [])


@pytest.mark.parametrize(
    ("values", "floats", "said"),
    [
        ([1, "x", 3], [1.0, None, 3.0], ["`acc` of step 7 is not recorded: it cannot be read (could not convert"]),
        ([None, 2, None], [None, 2.0, None], ["`loss` of step 7 is not recorded: it cannot be read (float() argument"]),
    ],
)
def test_a_value_that_cannot_be_read_costs_itself_and_is_named_once(
    values: list[Any], floats: list[float | None], said: list[str]
) -> None:
    found, texts = converted(values)
    assert found == floats
    assert [text.startswith(words) for (_, text), words in zip(texts, said, strict=True)] == [True] * len(said)


def test_a_series_stays_named_in_the_next_batch() -> None:
    said: list[str] = []
    values = MetricValues(to_floats, lambda _step, text: said.append(text))
    for step in range(3):
        assert list(values.of([None], [(step, "loss")])) == [None]
    values.leave_out(1234, "acc", RuntimeError("two\nlines " + "x" * 300))
    assert len(said) == 2
    assert said[1].startswith("`acc` of step 1,234 is not recorded: it cannot be read (two lines xxx")
    assert len(said[1]) < 300
