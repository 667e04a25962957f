"""Resumes or forks a run with what is to be had here: the model of this kernel, or a payload that was kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from jupyter_train.exceptions import RunStateError
from jupyter_train.execution.workers import payload
from jupyter_train.store import MetricReader, RunFolder
from jupyter_train.store.replay_check import KINDS
from jupyter_train.store.takeover import check_can_resume

if TYPE_CHECKING:
    from jupyter_train.run import RunRecord
    from jupyter_train.store import Store


class Launcher(Protocol):
    """Trains the model and data of one call again; a handle is given it when it is made."""

    def relaunch(self, changes: dict[str, Any]) -> Any:
        """The handle of another attempt, or of a fork.

        Args:
            changes: Options that are others, by name.
        """


def resume_here(store: Store, record: RunRecord, launcher: Launcher | None, changes: dict[str, Any]) -> Any:
    """The next attempt at a run, as its launcher gives it; None where it trains in a process of its own.

    Raises:
        RunStateError: It is being trained, or neither its payload nor its model is to be had here.
    """
    check_can_resume(store, record)
    if record.payload and payload.is_kept(RunFolder(record.folder)):
        from jupyter_train.execution.detached import relaunch

        relaunch(store, record, changes)
        return None
    if launcher is None:
        raise RunStateError(_where_to_resume(record, "resume"))
    return launcher.relaunch({**changes, "resume": record.key})


def fork_here(
    record: RunRecord, launcher: Launcher | None, from_step: int | str | None, changes: dict[str, Any]
) -> Any:
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
    verb_of_kind = "%tune" if record.kind == "tune" else "%train"
    line = f"{verb_of_kind} {typed.get('model', 'MODEL')} {typed.get('data', 'DATA')} --{verb} {record.ref}"
    cells = RunFolder(record.folder).read_provenance().get("cells", [])
    sources = [cell["source"].strip() for cell in cells if cell.get("source", "").strip()]
    place = f"in `{record.notebook}`, " if record.notebook else ""
    if sources:
        place += f"run the cells before the one that begins with `{sources[-1].splitlines()[0][:60]}`, "
    place += "then " if place else ""
    return f"this process has neither model nor data of `{record.ref}`: {place}type `{line}`"


def attempts_of(store: Store, record: RunRecord) -> list[dict[str, Any]]:
    """Every attempt at a run, oldest first."""
    verdicts = {}
    for event in store.events_of(record.key):
        if event.kind in KINDS:
            _, number, *words = event.text.split()
            verdicts[int(number)] = " ".join(words)
    found: list[dict[str, Any]] = [
        {"attempt": 1, "from_step": 0, "checkpoint": "", "at": record.created_at, "verified": ""}
    ]
    with MetricReader(RunFolder(record.folder).metrics) as reader:
        for one in reader.attempts():
            verified = verdicts.get(one.number, "not verified")
            found.append(
                {
                    "attempt": one.number,
                    "from_step": one.step,
                    "checkpoint": one.checkpoint,
                    "at": one.at,
                    "verified": verified,
                }
            )
    return found
