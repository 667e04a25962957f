"""Rows of the central database as runs and events; a value of another type is damage, and named."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import pytest

from jupyter_train.exceptions import DamagedError
from jupyter_train.run import RunRecord, RunStatus, new_key
from jupyter_train.store.records import Event, event_of, is_summary, record_of

RECORD = RunRecord(
    key=new_key(),
    name="digits",
    code="k3f9",
    created_at=1e9,
    tags=["a"],
    config={"epochs": 3},
    summary={"best": {"metric": "val_loss", "value": 0.1}, "progress": {}, "elapsed_s": 2.5},
)
EVENT = {"at": 1e9, "step": 3, "kind": "note", "text": "hello", "data": '{"a": 1}'}


def row(**changes: Any) -> dict[str, Any]:
    values = dataclasses.asdict(RECORD) | {"status": "queued"}
    return values | {name: json.dumps(values[name]) for name in ("tags", "config", "summary")} | changes


def test_a_row_becomes_its_run() -> None:
    assert record_of(row()) == RECORD
    assert record_of(row(status="lost", ended_at=1e9)).status is RunStatus.LOST


def test_some_databases_give_json_as_values() -> None:
    assert record_of(row(tags=["a"], config={"epochs": 3}, summary=RECORD.summary)) == RECORD


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "zork"},
        {"config": '{"epochs": 3'},
        {"config": "3"},
        {"config": "[" * 100_000},
        {"tags": "[1]"},
        {"tags": "{}"},
        {"summary": '{"best": 3}'},
        {"summary": '{"best": {"metric": 3, "value": 1}}'},
        {"summary": '{"elapsed_s": "long"}'},
        {"name": "../x"},
        {"kind": None},
        {"attempt": "1"},
        {"attempt": True},
        {"created_at": math.inf},
        {"ended_at": -1.0},
        {"folder": "a\0b"},
        {"folder": "x" * 4097},
        {"note": b"bytes"},
    ],
    ids=str,
)
def test_a_value_of_another_type_is_damage_of_that_run(changes: dict[str, Any]) -> None:
    with pytest.raises(DamagedError, match=f"the run `{RECORD.key}` is damaged"):
        record_of(row(**changes))


def test_a_run_whose_key_is_damaged_has_no_name() -> None:
    with pytest.raises(DamagedError, match=r"the run `\?` is damaged"):
        record_of(row(key=3))


def test_a_row_becomes_its_event() -> None:
    assert event_of(EVENT) == Event(1e9, 3, "note", "hello", {"a": 1})
    assert event_of(EVENT | {"step": None, "kind": "of a later release"}).kind == "of a later release"


@pytest.mark.parametrize(
    "changes", [{"at": math.nan}, {"step": 1.5}, {"kind": 3}, {"text": None}, {"data": "{"}, {"data": "[]"}], ids=str
)
def test_an_event_with_a_value_of_another_type_is_damage(changes: dict[str, Any]) -> None:
    with pytest.raises(DamagedError):
        event_of(EVENT | changes)


@pytest.mark.parametrize(
    ("summary", "sound"),
    [
        ({}, True),
        ({"best": None, "progress": None, "elapsed_s": None}, True),
        ({"best": {"metric": "val_loss", "value": None}}, True),
        ({"last": "anything"}, True),
        ({"best": {"value": 1.0}}, False),
        ({"progress": [1]}, False),
    ],
)
def test_lists_need_some_fields_of_a_summary_and_their_types(summary: dict[str, Any], sound: bool) -> None:
    assert is_summary(summary) is sound
