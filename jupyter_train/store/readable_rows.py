"""Reads the rows of a table; where some are damaged, all the others."""

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
    """Rows that can be read, and how many cannot."""

    unreadable = 0

    @property
    def words(self) -> str:
        """What to say of those that cannot; empty when all can."""
        return words_of(self.unreadable)


def words_of(unreadable: int) -> str:
    """What to say where so many runs cannot be read; empty for none."""
    if not unreadable:
        return ""
    what = "1 run is" if unreadable == 1 else f"{unreadable:,} runs are"
    return f"{what} not shown: what the store says of them is damaged; `jupyter train doctor` says more"


def columns_of(table: sa.Table) -> list[sa.ColumnElement[Any]]:
    """A table's columns, JSON as the text it is: one that is damaged must not keep the others from being read."""
    return [
        sa.type_coerce(column, sa.Text).label(column.name) if _is_json(column.type) else column for column in table.c
    ]


def _is_json(kind: sa.types.TypeEngine[Any]) -> bool:
    return isinstance(getattr(kind, "impl", kind), sa.JSON)


def parsed(value: Any) -> Any:
    """A column's, or a file's, JSON; some databases give it parsed.

    Raises:
        ValueError: It is damaged, or nested deeper than anything of ours.
    """
    try:
        return json.loads(value) if isinstance(value, str | bytes) else value
    except RecursionError as err:
        raise ValueError("nested too deeply") from err


def read(engine: sa.Engine, query: sa.Select[Any], made: Callable[[Any], _Item]) -> ReadableRows[_Item]:
    """What `made` makes of each row; rows for which it raises are counted.

    Args:
        engine: The database.
        query: Of one table only, so that its rows can be read one by one where the whole cannot.
        made: Makes something of a row, a mapping; raises `DamagedError` for one that is damaged.

    Raises:
        StoreError: The database does not answer, or nothing of the table can be read.
    """
    found: ReadableRows[_Item] = ReadableRows()
    try:
        with engine.connect() as connection:
            rows: Iterable[Any] = connection.execute(query).mappings().all()
    except DamagedError:
        if engine.dialect.name != "sqlite":
            raise
        rows, found.unreadable = one_by_one(engine, query)
    for row in rows:
        try:
            found.append(made(row))
        except DamagedError:
            _log.debug("a damaged row", exc_info=True)
            found.unreadable += 1
    return found


def one_by_one(engine: sa.Engine, query: sa.Select[Any]) -> tuple[list[dict[str, Any]], int]:
    """The rows of a damaged SQLite file that can be read, in the order they were written, and how many cannot.

    Raises:
        DamagedError: It is no database any more.
    """
    [table] = query.get_final_froms()
    connection = sqlite3.connect(f"file:{engine.url.database}?mode=ro", uri=True, timeout=5.0)
    connection.text_factory = lambda content: content.decode("utf-8", "replace")
    try:
        numbers = sorted(_numbers(connection, str(table)))
        text = _of_one(engine, query, str(table))
        rows = [_row(connection, text, number) for number in numbers]
    except FILE_DAMAGE as err:
        raise DamagedError(damage_words(engine, err)) from err
    finally:
        connection.close()
    return [row for row in rows if row], sum(row is None for row in rows)


def _numbers(connection: sqlite3.Connection, table: str) -> set[int]:
    """Row numbers, from the table itself and from its indexes, from both ends: each breaks off where it is damaged."""
    indexes = [""]
    with contextlib.suppress(*FILE_DAMAGE):
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ?", (table,))
        indexes += [f"INDEXED BY {name}" for (name,) in names if name.startswith("ix_")]
    found: set[int] = set()
    for index in indexes:
        for order in ("", "ORDER BY rowid DESC" if not index else ""):
            with contextlib.suppress(*FILE_DAMAGE):
                for (number,) in connection.execute(f"SELECT rowid FROM {table} {index or 'NOT INDEXED'} {order}"):
                    found.add(number)
    return found


def _of_one(engine: sa.Engine, query: sa.Select[Any], table: str) -> str:
    """The query of one row."""
    one = query.order_by(None).limit(None).where(sa.literal_column(f"{table}.rowid") == sa.literal_column("?"))
    return str(one.compile(engine, compile_kwargs={"literal_binds": True}))


def _row(connection: sqlite3.Connection, text: str, number: int) -> dict[str, Any] | None:
    """One row; empty where the query does not want it, None where it cannot be read."""
    try:
        cursor = connection.execute(text, (number,))
        row = cursor.fetchone()
    except FILE_DAMAGE:
        return None
    return dict(zip((column[0] for column in cursor.description), row, strict=True)) if row is not None else {}


def damage_words(engine: sa.Engine, reason: object) -> str:
    """What to say of a store that is damaged."""
    return (
        f"the run store `{engine.url.database}` is damaged ({printable(reason)}); nothing was changed. Move it away "
        "to start a new one, or name another with `JUPYTER_TRAIN_STORE`: run folders keep their curves and checkpoints"
    )
