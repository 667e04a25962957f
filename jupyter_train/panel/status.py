"""A snapshot's status as text: computed here alone, and sent with it, so that every view says the same."""

from __future__ import annotations

import enum
import time
from typing import Any, NamedTuple

from jupyter_train.events import EventKind, TrialStatus
from jupyter_train.panel.format import duration_text, value_text
from jupyter_train.run import RunStatus

_MAX_EVENTS = 6
_WARNINGS = frozenset(kind for kind in EventKind if kind.is_warning)
#: Statuses in which a panel still moves.
LIVE_STATUSES = (RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.PAUSED)


class PartKind(enum.StrEnum):
    """What a part of the status line says."""

    TRIALS = "trials"
    COUNT = "count"
    EPOCHS = "epochs"
    STEPS = "steps"
    SPEED = "speed"
    ETA = "eta"
    DURATION = "duration"
    BEST = "best"


class StatusPart(NamedTuple):
    """A part of the status line.

    Attributes:
        label: Stands before the value; empty where the value says what it is.
        value: The number as text.
        kind: What it says, whatever its text.
    """

    label: str
    value: str
    kind: PartKind

    @property
    def text(self) -> str:
        """Label and value."""
        return f"{self.label} {self.value}".strip()


def spoken(snapshot: dict[str, Any]) -> dict[str, Any]:
    """What a renderer shows as it is: status line, status, status of a view that is not updated, and notices."""
    return {
        "status_line": [[part.label, part.value, part.kind.value] for part in progress_parts(snapshot)],
        "status_text": status_text(snapshot),
        "status_text_later": status_text(snapshot, is_saved=True),
        "notices": [list(pair) for pair in notices(snapshot)],
    }


def progress_parts(snapshot: dict[str, Any]) -> list[StatusPart]:
    """The parts of the status line: trials or epochs and steps, speed, time left or taken, best.

    Epochs are counted; the best one is named by its number, from 0, as Lightning does.
    """
    progress = snapshot.get("progress") or {}
    is_live = snapshot["status"] in LIVE_STATUSES
    parts = []
    if progress.get("trial") is not None:
        trials = _of(progress["trial"], progress.get("trials"))
        parts.append(StatusPart(progress.get("unit") or "trials", trials, PartKind.TRIALS))
        counts = progress.get("counts") or {}
        shown = [name for name in (TrialStatus.PRUNED, TrialStatus.FAIL) if counts.get(name)]
        parts += [StatusPart(name, str(counts[name]), PartKind.COUNT) for name in shown]
    if progress.get("epoch") is not None:
        parts.append(StatusPart("", _epochs_text(progress["epoch"], progress.get("epochs")), PartKind.EPOCHS))
    if progress.get("step") is not None:
        parts.append(StatusPart("step", _of(progress["step"], progress.get("steps")), PartKind.STEPS))
    if progress.get("steps_per_s"):
        parts.append(StatusPart("steps/s", _rate_text(progress["steps_per_s"]), PartKind.SPEED))
    if is_live and progress.get("eta_s") is not None:
        parts.append(StatusPart("ETA", duration_text(progress["eta_s"]), PartKind.ETA))
    elif not is_live and snapshot.get("duration_s") is not None:
        parts.append(StatusPart("duration", duration_text(snapshot["duration_s"]), PartKind.DURATION))
    best = snapshot.get("best")
    if best:
        parts += [StatusPart(label, value, PartKind.BEST) for label, value in _best_parts(best)]
    return parts


def _best_parts(best: dict[str, Any]) -> list[tuple[str, str]]:
    if best.get("std") is None:
        where = f"trial {best['trial']}" if "trial" in best else f"epoch {best['epoch']}"
        which = best.get("which", "best")
        return [(f"{which} {best['metric']}", f"{value_text(best['value'])} ({where})")]
    which = best.get("which", "best")
    parts = [(best["metric"], f"{value_text(best['value'])} ± {value_text(best['std'])} of the {which} epochs")]
    if which == "best" and best.get("last") is not None:
        parts.append(("of the last", f"{value_text(best['last'])} ± {value_text(best['last_std'])}"))
    return parts


def progress_text(snapshot: dict[str, Any], between: str = "  ") -> str:
    """The status line as text."""
    return between.join(part.text for part in progress_parts(snapshot))


def tags_text(snapshot: dict[str, Any]) -> str:
    """`tags a, b`; empty where there are none."""
    tags = ", ".join(snapshot.get("tags", []))
    return f"tags {tags}" if tags else ""


def series_of(snapshot: dict[str, Any]) -> list[dict[str, Any]]:
    """The run's own series, in the order of the charts; those of a fork's parent are only drawn."""
    return [series for family in snapshot["families"] for series in family["series"] if series["role"] != "parent"]


def status_text(snapshot: dict[str, Any], is_saved: bool = False) -> str:
    """`running`, or `was running at 2026-05-04 14:05 CEST` in a view that may be read later."""
    status = snapshot["status"]
    if is_saved and status in LIVE_STATUSES:
        return f"was {status} at {time.strftime('%Y-%m-%d %H:%M %Z', time.localtime(snapshot['as_of']))}"
    stage = (snapshot.get("progress") or {}).get("stage")
    if status == RunStatus.RUNNING and stage in ("validating", "checking", "starting"):
        return {"checking": "checking validation"}.get(stage, str(stage))
    return ended_text(status, snapshot.get("ended_with", ""))


def row_text(status: RunStatus, ended_with: str, progress: dict[str, Any]) -> str:
    """A run's status in a list: `running, 7 of 30 epochs`, `finished with NaN`."""
    epoch, epochs = progress.get("epoch"), progress.get("epochs")
    if status.is_live and isinstance(epoch, int):
        return f"{status}, {_epochs_text(epoch, epochs if isinstance(epochs, int) else None)}"
    return ended_text(status, ended_with)


def ended_text(status: str, ended_with: str) -> str:
    """A status, with what the loss ended with where that was no finite number."""
    return f"{status} with {ended_with}" if ended_with else str(status)


def notices(snapshot: dict[str, Any]) -> list[tuple[str, str]]:
    """(kind, text) of what deserves a line: a failure first, then what happened along the way."""
    lines = []
    if snapshot.get("message"):
        lines.append((_tone_of_message(snapshot), snapshot["message"]))
    if snapshot.get("degraded"):
        lines.append(("warning", snapshot["degraded"]))
    for event in _worth_a_line(snapshot)[-_MAX_EVENTS:]:
        kind = "warning" if event["kind"] in _WARNINGS else "note"
        lines.append((kind, event["text"]))
    if snapshot.get("hidden_series"):
        lines.append(("note", f"{snapshot['hidden_series']:,} more series in run.metrics"))
    return lines


def _tone_of_message(snapshot: dict[str, Any]) -> str:
    if snapshot["status"] in (RunStatus.FAILED, RunStatus.LOST):
        return "error"
    return "warning" if snapshot.get("ended_with") else "note"


def _worth_a_line(snapshot: dict[str, Any]) -> list[dict[str, Any]]:
    """Commands stand as marks in the charts, of which only the newest is also said; a message may say it already."""
    events, message = snapshot.get("events", []), snapshot.get("message", "")
    newest = next((event for event in reversed(events) if event["kind"] == EventKind.COMMAND), None)
    return [
        event
        for event in events
        if (event["kind"] != EventKind.COMMAND or event is newest)
        and not (event["kind"] == EventKind.NON_FINITE and f"`{event.get('metric')}`" in message)
    ]


def _rate_text(rate: float) -> str:
    return f"{round(rate):,}" if rate >= 10 else f"{rate:.2g}"


def _epochs_text(done: int, total: int | None) -> str:
    """`7 of 30 epochs`; `7 epochs` where there is no known end."""
    counted = f"{done:,}" if total is None else f"{done:,} of {total:,}"
    return f"{counted} {'epoch' if (done if total is None else total) == 1 else 'epochs'}"


def _of(value: int, total: int | None) -> str:
    return f"{value:,}" if total is None else f"{value:,} / {total:,}"
