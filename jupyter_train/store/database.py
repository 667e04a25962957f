"""Opens the central database: journal mode, locks and schema migrations."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from jupyter_train.exceptions import DamagedError, StoreError, StoreVersionError
from jupyter_train.store.readable_rows import damage_message
from jupyter_train.store.redaction import mask
from jupyter_train.store.schema import HEAD, VERSION_TABLE, metadata
from jupyter_train.store.value_checks import printable

BUSY_TIMEOUT_S = 20.0
#: Operational errors caused by the file's content, not by other processes that use it.
_DAMAGE = re.compile(
    r"malformed|not a database|decode to UTF-8|no such (?:table|column)|unsupported file format|corrupt"
)
_WAL_IS_SAFE_FROM = (3, 51, 3)  # before it, WAL with several writers can corrupt (sqlite.org/wal.html)


def connect(url: str) -> Engine:
    """An engine for `url`; SQLite files get `BEGIN IMMEDIATE` for writing, a busy timeout and mode 0600.

    Raises:
        StoreError: The folder or the file cannot be used.
    """
    parsed = _parsed_url(url)
    if parsed.get_backend_name() != "sqlite":
        engine = sa.create_engine(parsed, pool_pre_ping=True)
        sa.event.listen(engine, "handle_error", _on_error)
        return engine
    path = Path(parsed.database or "")
    _prepare_file(path)
    engine = sa.create_engine(
        parsed,
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
        poolclass=sa.pool.NullPool,
    )
    sa.event.listen(engine, "connect", _on_connect)
    sa.event.listen(engine, "begin", _on_begin)
    sa.event.listen(engine, "handle_error", _on_error)
    return engine


def _parsed_url(url: str) -> sa.URL:
    """The parsed URL of a store whose driver is installed.

    Raises:
        StoreError: It is no URL, or its driver is not installed.
    """
    try:
        parsed = sa.make_url(url)
        parsed.get_dialect().import_dbapi()
    except (sa.exc.ArgumentError, ImportError, ValueError) as err:  # no URL, no such database, or no driver for it
        raise StoreError(
            f"`JUPYTER_TRAIN_STORE` names no store that can be opened ({printable(mask(str(err)))}); expected "
            "`sqlite:////folder/store.db` or `postgresql+psycopg://user@host/database`, with its driver installed"
        ) from err
    return parsed


def _prepare_file(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as err:
        raise StoreError(
            f"cannot create the run store `{path}` ({err.strerror}); set `JUPYTER_TRAIN_STORE` to a path you can "
            "write to"
        ) from err


def _on_connect(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # `_on_begin` emits BEGIN
    try:
        connection.execute(f"PRAGMA journal_mode={'WAL' if wal_is_safe() else 'DELETE'}")
        connection.execute("PRAGMA synchronous=FULL")
    except UnicodeDecodeError as err:  # an error whose own text holds damaged bytes
        raise sqlite3.DatabaseError(f"malformed, its schema too: {err}") from err


def wal_is_safe() -> bool:
    """Whether this SQLite keeps a write-ahead log intact when several processes write."""
    return sqlite3.sqlite_version_info >= _WAL_IS_SAFE_FROM


def reading(engine: Engine) -> Engine:
    """The same database for those who only read: they neither wait for a writer nor keep one waiting."""
    return engine.execution_options(is_reading=True)


def _on_begin(connection: sa.Connection) -> None:
    is_reading = connection.get_execution_options().get("is_reading", False)
    connection.exec_driver_sql("BEGIN" if is_reading else "BEGIN IMMEDIATE")


def _on_error(context: sa.ExceptionContext) -> Exception | None:
    """A locked, full, unreachable or damaged database becomes a `StoreError`; a programming error stays what it is."""
    error = context.sqlalchemy_exception
    if context.engine is not None and isinstance(context.original_exception, UnicodeDecodeError):
        return DamagedError(damage_message(context.engine, context.original_exception))
    if not isinstance(error, sa.exc.DatabaseError) or isinstance(
        error, sa.exc.IntegrityError | sa.exc.ProgrammingError
    ):
        return None
    if context.engine is not None and (
        not isinstance(error, sa.exc.OperationalError) or _DAMAGE.search(str(context.original_exception))
    ):
        return DamagedError(damage_message(context.engine, context.original_exception))
    path = context.engine.url.database if context.engine is not None else ""
    return StoreError(
        f"the run store `{path}` does not answer ({context.original_exception}); nothing was changed. Try again, or "
        "name another store with `JUPYTER_TRAIN_STORE`"
    )


def revision_of(engine: Engine) -> str | None:
    """The schema revision the database is at; None for an empty one.

    Raises:
        StoreError: The file is not a readable database.
    """
    try:
        with reading(engine).connect() as connection:
            if not sa.inspect(connection).has_table(VERSION_TABLE):
                return None
            row = connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).first()
            return str(row[0]) if row else None
    except (sa.exc.DatabaseError, StoreError) as err:
        raise StoreError(
            f"the run store `{engine.url.database}` cannot be read ({_reason(err)}); move it away to start a new "
            "one, or name another with `JUPYTER_TRAIN_STORE`"
        ) from err


def _reason(err: Exception) -> str:
    cause = getattr(err, "orig", None) or err.__cause__ or err
    return str(cause)


def bring_up_to_date(engine: Engine, is_in_use: Callable[[], bool]) -> None:
    """Creates or migrates the tables.

    Args:
        engine: The database.
        is_in_use: Returns whether a run is alive; then an older schema is left as it is.

    Raises:
        StoreVersionError: The database is newer than this release, or older and in use.
        StoreError: The file is not a readable database.
    """
    revision = revision_of(engine)
    if revision == HEAD:
        return
    if revision is None:
        _create(engine)
        return
    if not revision.isdecimal() or len(revision) != len(HEAD) or revision == "0000":
        raise DamagedError(damage_message(engine, f"its schema is called {revision!r}"))
    if revision > HEAD:
        raise StoreVersionError(
            f"the run store `{engine.url.database}` was written by a newer jupyter_train (schema {revision}; this "
            f"release knows {HEAD}); type `pip install -U jupyter-train`"
        )
    if is_in_use():
        raise StoreVersionError(
            f"the run store `{engine.url.database}` has the older schema {revision} and a run is still using it; "
            "try again when that run has ended"
        )
    _migrate(engine)


def _create(engine: Engine) -> None:
    """All tables at once, at the newest revision; safe when several processes do it together."""
    with engine.begin() as connection:
        if sa.inspect(connection).has_table(VERSION_TABLE):
            return
        metadata.create_all(connection)
        connection.execute(sa.text(f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
        connection.execute(sa.text(f"INSERT INTO {VERSION_TABLE} VALUES ('{HEAD}')"))


def _migrate(engine: Engine) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, HEAD)
        except CommandError as err:
            raise DamagedError(damage_message(engine, err)) from err
