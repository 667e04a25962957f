"""The command table: any process of the user adds rows, the run's owner answers them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from jupyter_train.config.commands import Command
from jupyter_train.exceptions import CommandRefusedError, DamagedError, RunStateError
from jupyter_train.run import RunRecord, RunStatus
from jupyter_train.store.paths import user_name
from jupyter_train.store.readable_rows import columns_of, parse_json, read
from jupyter_train.store.run_folder import RunFolder
from jupyter_train.store.schema import commands, runs

if TYPE_CHECKING:
    from jupyter_train.store.runs import Store

WAITING, APPLIED, REFUSED = "waiting", "applied", "refused"
_POLL_INTERVAL_S = 0.05


class Answer(NamedTuple):
    """The answer to a command: `state` is `waiting`, `applied` or `refused`."""

    state: str
    text: str
    step: int | None


def add(store: Store, run: str, command: Command) -> int:
    """Inserts a waiting command and returns its row id.

    Raises:
        RunNotFoundError: The store has no such run.
        RunStateError: The run is not alive, or another user's.
    """
    record = store.get(run)
    store.check_owner(record)
    if command.verb == "stop" and end_queued(store, run, f"stopped before it began ({_sender(command)})"):
        return _add(store, record, command, Answer(APPLIED, "stopped before it began", 0))
    status = store.status_of(store.get(run))
    if not status.is_live:
        raise RunStateError(f"`{record.ref}` is {status}; only a running fit takes commands")
    return _add(store, record, command, Answer(WAITING, "", None))


def _sender(command: Command) -> str:
    return f"from {'Python' if command.source == 'python' else command.source}"


def _add(store: Store, record: RunRecord, command: Command, result: Answer) -> int:
    values = {
        "run": record.key,
        "at": time.time(),
        "user": user_name(),
        "source": command.source,
        "verb": command.verb,
        "arguments": command.arguments,
        "state": result.state,
        "answer": result.text,
        "step": result.step,
    }
    with store.engine.begin() as connection:
        key = connection.execute(commands.insert().values(**values)).inserted_primary_key
    RunFolder(record.folder).raise_command_flag()
    return int(key[0]) if key else 0


def end_queued(store: Store, run: str, message: str) -> bool:
    """Stops a QUEUED run; False where it has begun or ended.

    The process that would begin it finds the status changed in its own transaction.
    """
    ended = {"status": RunStatus.STOPPED.value, "ended_at": time.time(), "message": message}
    is_queued = sa.and_(runs.c.key == run, runs.c.status == RunStatus.QUEUED.value)
    with store.engine.begin() as connection:
        return connection.execute(runs.update().where(is_queued).values(**ended)).rowcount == 1


def waiting(store: Store, run: str) -> list[Command]:
    """A run's unanswered commands, oldest first; damaged rows are left out."""
    waits = (commands.c.run == run, commands.c.state == WAITING)
    query = sa.select(*columns_of(commands)).where(*waits).order_by(commands.c.id)
    return read(store.reading, query, _command_of)


def _command_of(row: Mapping[str, Any]) -> Command:
    try:
        return Command(row["verb"], dict(parse_json(row["arguments"])), row["source"], row["id"])
    except (ValueError, TypeError) as err:
        raise DamagedError(f"a command cannot be read ({err})") from err


def answer(store: Store, run: str, command: Command, result: Answer) -> None:
    """Writes the answer to a command; a command from the control channel gets its row only now."""
    answered: dict[str, Any] = {"state": result.state, "answer": result.text, "step": result.step}
    with store.engine.begin() as connection:
        if command.row:
            connection.execute(commands.update().where(commands.c.id == command.row).values(**answered))
            return
        row = {
            "run": run,
            "at": time.time(),
            "user": user_name(),
            "source": command.source,
            "verb": command.verb,
            "arguments": command.arguments,
            **answered,
        }
        connection.execute(commands.insert().values(**row))


def refuse_waiting(store: Store, run: str, result: Answer) -> None:
    """Writes the same answer to every waiting command of a run."""
    answered: dict[str, Any] = {"state": result.state, "answer": result.text, "step": result.step}
    with store.engine.begin() as connection:
        unanswered = sa.and_(commands.c.run == run, commands.c.state == WAITING)
        connection.execute(commands.update().where(unanswered).values(**answered))


def answer_of(store: Store, row: int) -> Answer:
    """The answer to a command so far."""
    query = sa.select(commands.c.state, commands.c.answer, commands.c.step).where(commands.c.id == row)
    with store.reading.connect() as connection:
        columns = connection.execute(query).first()
    return Answer(*columns) if columns else Answer(REFUSED, "the run was deleted", None)


def wait_for_answer(store: Store, run: str, row: int, wait_s: float) -> str:
    """The text of the fit's answer, or a notice that it has not answered within `wait_s` seconds.

    Raises:
        CommandRefusedError: The fit refused the command, or ended first.
    """
    deadline = time.monotonic() + wait_s
    while True:
        is_live = store.status_of(store.get(run)).is_live
        result = answer_of(store, row)
        if result.state == APPLIED:
            return result.text
        if result.state == REFUSED:
            raise CommandRefusedError(result.text)
        if not is_live:
            raise CommandRefusedError("the fit had just ended")
        if time.monotonic() > deadline:
            return "requested; the run does it at its next batch boundary"
        time.sleep(_POLL_INTERVAL_S)
