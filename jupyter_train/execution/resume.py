"""Resumes or forks a run with what is to be had here: the model of this kernel, or a payload that was kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from jupyter_train.events import VERDICT_EVENTS, Verdict, magic_of
from jupyter_train.exceptions import RunStateError
from jupyter_train.execution.detached import relaunch
from jupyter_train.execution.workers import payload
from jupyter_train.store import MetricReader, RunFolder
from jupyter_train.store.takeover import check_can_resume

if TYPE_CHECKING:
    from jupyter_train.run import RunRecord
    from jupyter_train.store import Store
    from jupyter_train.store.records import Event

_Handle = TypeVar("_Handle", covariant=True)


class Launcher(Protocol[_Handle]):
    """Trains the model and data of one call again; a handle is given it when it is made."""

    def relaunch(self, changes: dict[str, Any]) -> _Handle:
        """The handle of another attempt, or of a fork.

        Args:
            changes: Options that are others, by name.
        """


def resume_here(
    store: Store, record: RunRecord, launcher: Launcher[_Handle] | None, changes: dict[str, Any]
) -> _Handle | None:
    """The next attempt at a run, as its launcher gives it; None where it trains in a process of its own.

    Raises:
        RunStateError: It is being trained, or neither its payload nor its model is to be had here.
    """
    check_can_resume(store, record)
    if record.payload and payload.is_kept(RunFolder(record.folder)):
        relaunch(store, record, changes)
        return None
    if launcher is None:
        raise RunStateError(_where_to_resume(record, "resume"))
    return launcher.relaunch({**changes, "resume": record.key})


def fork_here(
    record: RunRecord, launcher: Launcher[_Handle] | None, from_step: int | str | None, changes: dict[str, Any]
) -> _Handle:
    """A new run at a checkpoint of another.

    Raises:
        RunStateError: Its model and data are not to be had here.
    """
    if launcher is None:
        raise RunStateError(_where_to_resume(record, "fork"))
    wanted = {} if from_step is None else {"from_": str(from_step)}
    return launcher.relaunch({**changes, **wanted, "fork": record.key})


def _where_to_resume(record: RunRecord, verb: str) -> str:
    """Which notebook and cell can do it, and the line to type."""
    typed = record.config.get("expressions", {})
    line = f"{magic_of(record.kind)} {typed.get('model', 'MODEL')} {typed.get('data', 'DATA')} --{verb} {record.ref}"
    cells = RunFolder(record.folder).read_provenance().get("cells", [])
    sources = [cell["source"].strip() for cell in cells if cell.get("source", "").strip()]
    place = f"in `{record.notebook}`, " if record.notebook else ""
    if sources:
        place += f"run the cells before the one that begins with `{sources[-1].splitlines()[0][:60]}`, "
    place += "then " if place else ""
    return f"this process has neither model nor data of `{record.ref}`: {place}type `{line}`"


def attempts_of(store: Store, record: RunRecord) -> list[dict[str, Any]]:
    """Every attempt at a run, oldest first: see `Run.attempts`."""
    events = [event for event in store.events_of(record.key) if event.kind in VERDICT_EVENTS]
    reported = {data["attempt"]: data for data in map(_verdict_data, events)}
    not_compared = {"verdict": Verdict.NOT_VERIFIED.value, "words": Verdict.NOT_VERIFIED.value}
    first = {"attempt": 1, "from_step": 0, "checkpoint": "", "at": record.created_at, "verdict": None, "verified": ""}
    attempts: list[dict[str, Any]] = [first]
    with MetricReader(RunFolder(record.folder).metrics) as reader:
        for attempt in reader.attempts():
            data = reported.get(attempt.number, not_compared)
            attempts.append(
                {
                    "attempt": attempt.number,
                    "from_step": attempt.step,
                    "checkpoint": attempt.checkpoint,
                    "at": attempt.at,
                    "verdict": data["verdict"],
                    "verified": data["words"],
                }
            )
    return attempts


def _verdict_data(event: Event) -> dict[str, Any]:
    """`attempt`, `verdict` and `words` of a reported verdict."""
    data = event.data
    if isinstance(data.get("attempt"), int) and {"verdict", "words"} <= data.keys():
        return data
    _, number, sentence = f"{event.text}  ".split(" ", 2)  # release 0.1.0 recorded the sentence alone
    verdict = max(
        (verdict for verdict in Verdict if sentence.startswith(verdict)), key=len, default=Verdict.NOT_VERIFIED
    )
    return {"attempt": int(number) if number.isdecimal() else 0, "verdict": verdict.value, "words": sentence.strip()}
