"""Reads a table's rows; damaged rows are counted and the others returned."""

from __future__ import annotations

import contextlib
import json
import logging
import sqlite3
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import sqlalchemy as sa

from jupyter_train.exceptions import DamagedError
from jupyter_train.store.value_checks import FILE_DAMAGE, printable

_log = logging.getLogger(__name__)
_Item = TypeVar("_Item")


class ReadableRows(list[_Item]):
    """The rows that could be read; `unreadable` counts the others."""

    unreadable = 0

    @property
    def message(self) -> str:
        """A message about the unreadable rows; empty when there are none."""
        return unreadable_message(self.unreadable)


def unreadable_message(unreadable: int) -> str:
    """A message about so many unreadable runs; empty for none."""
    if not unreadable:
        return ""
    subject = "1 run is" if unreadable == 1 else f"{unreadable:,} runs are"
    return f"{subject} not shown: what the store says of them is damaged; `jupyter train doctor` says more"


def columns_of(table: sa.Table) -> list[sa.ColumnElement[Any]]:
    """A table's columns, JSON as text: a damaged value must not stop SQLAlchemy from returning the other rows."""
    return [
        sa.type_coerce(column, sa.Text).label(column.name) if _is_json(column.type) else column for column in table.c
    ]


def _is_json(kind: sa.types.TypeEngine[Any]) -> bool:
    return isinstance(getattr(kind, "impl", kind), sa.JSON)


def parse_json(value: object) -> Any:
    """The value of a JSON text; some databases return it parsed already.

    Raises:
        ValueError: It is damaged, or nested too deeply.
    """
    try:
        return json.loads(value) if isinstance(value, str | bytes) else value
    except RecursionError as err:
        raise ValueError("nested too deeply") from err


def read(engine: sa.Engine, query: sa.Select[Any], convert: Callable[[Any], _Item]) -> ReadableRows[_Item]:
    """The rows of a query, converted; rows whose conversion raises are counted.

    Args:
        engine: The database.
        query: A query of one table, so that its rows can be read one by one where the table is damaged.
        convert: Converts a row, a mapping; raises `DamagedError` where it is damaged.

    Raises:
        StoreError: The database does not answer, or no row can be read.
    """
    converted: ReadableRows[_Item] = ReadableRows()
    try:
        with engine.connect() as connection:
            rows: Iterable[Any] = connection.execute(query).mappings().all()
    except DamagedError:
        if engine.dialect.name != "sqlite":
            raise
        rows, converted.unreadable = read_row_by_row(engine, query)
    for row in rows:
        try:
            converted.append(convert(row))
        except DamagedError:
            _log.debug("a damaged row", exc_info=True)
            converted.unreadable += 1
    return converted


def read_row_by_row(engine: sa.Engine, query: sa.Select[Any]) -> tuple[list[dict[str, Any]], int]:
    """The readable rows of a damaged SQLite file, oldest first, and how many rows are unreadable.

    Raises:
        DamagedError: The file is no database any more.
    """
    [table] = query.get_final_froms()
    connection = sqlite3.connect(f"file:{engine.url.database}?mode=ro", uri=True, timeout=5.0)
    connection.text_factory = lambda content: content.decode("utf-8", "replace")
    try:
        row_ids = sorted(_row_ids(connection, str(table)))
        sql = _single_row_sql(engine, query, str(table))
        rows = [_row(connection, sql, row_id) for row_id in row_ids]
    except FILE_DAMAGE as err:
        raise DamagedError(damage_message(engine, err)) from err
    finally:
        connection.close()
    return [row for row in rows if row], sum(row is None for row in rows)


def _row_ids(connection: sqlite3.Connection, table: str) -> set[int]:
    """Row ids, from the table and its indexes, from both ends: each scan stops at the first damaged page.

    Raises:
        Exception: One of `FILE_DAMAGE`, where no scan came to a row.
    """
    indexes = [""]
    with contextlib.suppress(*FILE_DAMAGE):
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ?", (table,))
        indexes += [f"INDEXED BY {name}" for (name,) in names if name.startswith("ix_")]
    row_ids: set[int] = set()
    damage: Exception | None = None
    for index in indexes:
        for order in ("", "ORDER BY rowid DESC" if not index else ""):
            try:
                for (row_id,) in connection.execute(f"SELECT rowid FROM {table} {index or 'NOT INDEXED'} {order}"):
                    row_ids.add(row_id)
            except FILE_DAMAGE as err:
                damage = err
    if damage is not None and not row_ids:
        raise damage
    return row_ids


def _single_row_sql(engine: sa.Engine, query: sa.Select[Any], table: str) -> str:
    """The query as SQL, limited to one row id."""
    one_row = query.order_by(None).limit(None).where(sa.literal_column(f"{table}.rowid") == sa.literal_column("?"))
    return str(one_row.compile(engine, compile_kwargs={"literal_binds": True}))


def _row(connection: sqlite3.Connection, sql: str, row_id: int) -> dict[str, Any] | None:
    """The row with this id; empty where the query excludes it, None where it cannot be read."""
    try:
        cursor = connection.execute(sql, (row_id,))
        row = cursor.fetchone()
    except FILE_DAMAGE:
        return None
    return dict(zip((column[0] for column in cursor.description), row, strict=True)) if row is not None else {}


def damage_message(engine: sa.Engine, reason: object) -> str:
    """The message of an error about a damaged store."""
    return (
        f"the run store `{engine.url.database}` is damaged ({printable(reason)}); nothing was changed. Move it away "
        "to start a new one, or name another with `JUPYTER_TRAIN_STORE`: run folders keep their curves and checkpoints"
    )
