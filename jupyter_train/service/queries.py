"""What a panel may ask of a run: one table for every transport (a kernel's control channel, REST).

A transport carries names and JSON; what a question takes and what answers it stands here alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_train.config.commands import command
from jupyter_train.exceptions import QueryError
from jupyter_train.panel.viewers import VIEWERS
from jupyter_train.store.command_queue import LOCAL

if TYPE_CHECKING:
    from jupyter_train.store import Store

#: How long the answer to a command is waited for, in seconds; later the panel sees it in the run's events.
_ANSWER_WAIT_S = 2.0


@dataclass(frozen=True)
class Query:
    """A question about one run.

    Attributes:
        arguments: Gives what `answer` takes besides store and run; raises `QueryError` where it is not as expected.
        answer: Gives the answer, as JSON: `answer(run, *arguments)`. It opens the store only if it needs it.
    """

    arguments: Callable[[Mapping[str, Any]], tuple[Any, ...]]
    answer: Callable[..., dict[str, Any]]


def ask(run: str, name: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a question, as JSON.

    Args:
        run: The run's key.
        name: One of `QUERIES`.
        content: What was sent with it.

    Raises:
        QueryError: There is no such question, or it takes something else.
        CommandError: The command takes something else.
        RunNotFoundError: There is no such run.
        RunStateError: The run's status does not allow it.
        StoreError: The run cannot be read, or is another user's.
    """
    if name not in QUERIES:
        raise QueryError(f"unknown query; expected {', '.join(f'`{known}`' for known in QUERIES)}")
    query = QUERIES[name]
    return query.answer(run, *query.arguments(content))


def _store() -> Store:
    from jupyter_train.store import open_store

    return open_store()


def _none(_content: Mapping[str, Any]) -> tuple[Any, ...]:
    return ()


def _window(content: Mapping[str, Any]) -> tuple[Any, ...]:
    from jupyter_train.panel.curves import check_window

    first, last = content.get("first"), content.get("last")
    if not isinstance(first, int) or not isinstance(last, int):
        raise QueryError("expected steps as `first` and `last`")
    try:
        check_window(first, last)
    except ValueError as err:
        raise QueryError("expected steps as `first` and `last`") from err
    return first, last


def _note(content: Mapping[str, Any]) -> tuple[Any, ...]:
    from jupyter_train.panel.details import NOTE_RULE, checked_note

    try:
        return (checked_note(content.get("note")),)
    except ValueError as err:
        raise QueryError(f"expected `note`, {NOTE_RULE}") from err


def _command(content: Mapping[str, Any]) -> tuple[Any, ...]:
    name, arguments = content.get("command"), content.get("arguments", {})
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise QueryError("expected `command` and `arguments`")
    return name, arguments


def _snapshot(run: str) -> dict[str, Any]:
    """What a panel draws: the newest state that this process has drawn, or what the store says."""
    from jupyter_train.panel.snapshot import packed, snapshot

    return VIEWERS.newest(run) or packed(snapshot(_store(), run))


def _curves(run: str, first: int, last: int) -> dict[str, Any]:
    from jupyter_train.panel.curves import between
    from jupyter_train.store import RunFolder

    return between(RunFolder(_store().get(run).folder).metrics, first, last)


def _details(run: str) -> dict[str, Any]:
    from jupyter_train.panel.details import details

    return details(_store(), run)


def _bundle(run: str) -> dict[str, Any]:
    from jupyter_train.panel.bundle import bundle
    from jupyter_train.panel.snapshot import snapshot

    return bundle(snapshot(_store(), run))


def _set_note(run: str, note: str) -> dict[str, Any]:
    from jupyter_train.panel.details import set_note

    return set_note(_store(), run, note)


def _send(run: str, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Gives a command to a fit: of this process at its next batch, of another one through the store."""
    from jupyter_train.store import commands

    queue = LOCAL.of(run)
    if queue is not None:
        queue.put(command(name, arguments, "panel"))
        VIEWERS.nudge(run)
        return {"message": "requested"}
    store = _store()
    row = commands.add(store, run, command(name, arguments, "panel"))
    return {"message": commands.wait_for_answer(store, run, row, _ANSWER_WAIT_S)}


QUERIES: dict[str, Query] = {
    "snapshot": Query(_none, _snapshot),
    "curves": Query(_window, _curves),
    "details": Query(_none, _details),
    "bundle": Query(_none, _bundle),
    "note": Query(_note, _set_note),
    "command": Query(_command, _send),
}
