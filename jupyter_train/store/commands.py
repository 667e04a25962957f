"""Commands to running fits: rows that anybody may add and the run's owner answers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from jupyter_train.config.commands import Command
from jupyter_train.exceptions import CommandRefusedError, DamagedError, RunStateError
from jupyter_train.run import RunRecord, RunStatus
from jupyter_train.store.paths import user_name
from jupyter_train.store.readable_rows import columns_of, parsed, read
from jupyter_train.store.run_folder import RunFolder
from jupyter_train.store.schema import commands, runs

if TYPE_CHECKING:
    from jupyter_train.store.runs import Store

WAITING, APPLIED, REFUSED = "waiting", "applied", "refused"
_POLL_INTERVAL_S = 0.05


class Answer(NamedTuple):
    """What became of a command: `state` is `waiting`, `applied` or `refused`."""

    state: str
    text: str
    step: int | None


def add(store: Store, run: str, command: Command) -> int:
    """Adds a waiting command and gives its row.

    Raises:
        RunNotFoundError: There is no such run.
        RunStateError: The run is not alive, or another user's.
    """
    record = store.get(run)
    store.check_owner(record)
    if command.verb == "stop" and end_queued(store, run, f"stopped before it began ({_by(command)})"):
        return _add(store, record, command, Answer(APPLIED, "stopped before it began", 0))
    status = store.status_of(store.get(run))
    if not status.is_live:
        raise RunStateError(f"`{record.ref}` is {status}; only a running fit takes commands")
    return _add(store, record, command, Answer(WAITING, "", None))


def _by(command: Command) -> str:
    return f"from {'Python' if command.source == 'python' else command.source}"


def _add(store: Store, record: RunRecord, command: Command, given: Answer) -> int:
    values = {
        "run": record.key,
        "at": time.time(),
        "user": user_name(),
        "source": command.source,
        "verb": command.verb,
        "arguments": command.arguments,
        "state": given.state,
        "answer": given.text,
        "step": given.step,
    }
    with store.engine.begin() as connection:
        key = connection.execute(commands.insert().values(**values)).inserted_primary_key
    RunFolder(record.folder).raise_command_flag()
    return int(key[0]) if key else 0


def end_queued(store: Store, run: str, words: str) -> bool:
    """Ends a run that has not begun; False where it has, or is over.

    Whoever begins it finds that out in the transaction in which they would.
    """
    ended = {"status": RunStatus.STOPPED.value, "ended_at": time.time(), "message": words}
    is_queued = sa.and_(runs.c.key == run, runs.c.status == RunStatus.QUEUED.value)
    with store.engine.begin() as connection:
        return connection.execute(runs.update().where(is_queued).values(**ended)).rowcount == 1


def waiting(store: Store, run: str) -> list[Command]:
    """Commands of a run that nobody has answered, oldest first; what is damaged is nobody's command."""
    waits = (commands.c.run == run, commands.c.state == WAITING)
    query = sa.select(*columns_of(commands)).where(*waits).order_by(commands.c.id)
    return read(store.reading, query, _command_of)


def _command_of(row: Any) -> Command:
    try:
        return Command(row["verb"], dict(parsed(row["arguments"])), row["source"], row["id"])
    except (ValueError, TypeError) as err:
        raise DamagedError(f"a command cannot be read ({err})") from err


def answer(store: Store, run: str, command: Command, given: Answer) -> None:
    """Says what became of a command; one that came over the control channel gets its row now."""
    said: dict[str, Any] = {"state": given.state, "answer": given.text, "step": given.step}
    with store.engine.begin() as connection:
        if command.row:
            connection.execute(commands.update().where(commands.c.id == command.row).values(**said))
            return
        whole = {
            "run": run,
            "at": time.time(),
            "user": user_name(),
            "source": command.source,
            "verb": command.verb,
            "arguments": command.arguments,
            **said,
        }
        connection.execute(commands.insert().values(**whole))


def refuse_waiting(store: Store, run: str, given: Answer) -> None:
    """Gives the same answer to everything that waits for a run."""
    said: dict[str, Any] = {"state": given.state, "answer": given.text, "step": given.step}
    with store.engine.begin() as connection:
        unanswered = sa.and_(commands.c.run == run, commands.c.state == WAITING)
        connection.execute(commands.update().where(unanswered).values(**said))


def answer_of(store: Store, row: int) -> Answer:
    """What became of a command so far."""
    query = sa.select(commands.c.state, commands.c.answer, commands.c.step).where(commands.c.id == row)
    with store.reading.connect() as connection:
        found = connection.execute(query).first()
    return Answer(*found) if found else Answer(REFUSED, "the run was deleted", None)


def wait_for_answer(store: Store, run: str, row: int, wait_s: float) -> str:
    """What the fit answers to a command, or that it has not answered yet.

    Raises:
        CommandRefusedError: It could not do it, or ended first.
    """
    deadline = time.monotonic() + wait_s
    while True:
        is_live = store.status_of(store.get(run)).is_live
        found = answer_of(store, row)
        if found.state == APPLIED:
            return found.text
        if found.state == REFUSED:
            raise CommandRefusedError(found.text)
        if not is_live:
            raise CommandRefusedError("the fit had just ended")
        if time.monotonic() > deadline:
            return "asked; the run does it at its next batch boundary"
        time.sleep(_POLL_INTERVAL_S)
