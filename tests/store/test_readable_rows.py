"""A row that cannot be read is counted, and costs no other."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from jupyter_train.exceptions import DamagedError
from jupyter_train.store.readable_rows import (
    ReadableRows,
    columns_of,
    parse_json,
    read,
    read_row_by_row,
    unreadable_message,
)
from jupyter_train.store.schema import runs


def name_of(row: Any) -> str:
    if row["note"] == "damaged":
        raise DamagedError("it is damaged")
    return str(row["note"])


def notes(*texts: str) -> sa.Select[Any]:
    return sa.select(*columns_of(runs)).where(runs.c.note.in_(texts)).order_by(runs.c.key)


def test_rows_that_do_not_convert_are_counted(store) -> None:
    for note in ("one", "damaged", "two", "other"):
        store.create_run("digits", note=note)
    found = read(store.engine, notes("one", "damaged", "two"), name_of)
    assert (list(found), found.unreadable) == (["one", "two"], 1)
    assert found.message == unreadable_message(1)


def test_an_error_of_another_kind_is_raised(store) -> None:
    store.create_run("digits")
    with pytest.raises(KeyError):
        read(store.engine, sa.select(*columns_of(runs)), lambda row: row["nothing"])


def test_the_message_counts_the_runs_that_are_not_shown() -> None:
    assert (ReadableRows().message, unreadable_message(0)) == ("", "")
    assert unreadable_message(1).startswith("1 run is not shown")
    assert unreadable_message(1200).startswith("1,200 runs are not shown")


def test_json_is_parsed_unless_the_database_has_done_so() -> None:
    assert [parse_json('{"a": 1}'), parse_json(b"[1]"), parse_json({"a": 1}), parse_json(None)] == [
        {"a": 1},
        [1],
        {"a": 1},
        None,
    ]
    for damaged in ("{", "[" * 100_000, b"\xff"):
        with pytest.raises(ValueError, match=r"\w"):
            parse_json(damaged)


def test_a_file_is_read_row_by_row_by_the_same_query(store) -> None:
    for note in ("one", "other", "two"):
        store.create_run("digits", note=note)
    rows, unreadable = read_row_by_row(store.engine, notes("two", "one").limit(1))
    assert ([row["note"] for row in rows], unreadable) == (["one", "two"], 0)
    assert set(rows[0]) == {column.name for column in runs.c}


def test_a_file_that_is_no_database_any_more_is_damaged(store) -> None:
    store.create_run("digits")
    path = Path(store.engine.url.database)
    sqlite3.connect(path).execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path.write_bytes(b"no database at all" * 5000)
    with pytest.raises(DamagedError, match=r"is damaged .*nothing was changed"):
        read_row_by_row(store.engine, notes("one"))
