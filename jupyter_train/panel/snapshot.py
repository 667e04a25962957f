"""A run as one bounded piece of JSON: what every view draws."""

from __future__ import annotations

import base64
import json
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_train.config.commands import VERBS
from jupyter_train.events import START_EVENTS, EventKind, RunKind, TrialStatus
from jupyter_train.exceptions import DamagedError, StoreError, UntrustedError
from jupyter_train.panel import curves
from jupyter_train.panel.format import duration_text, rounded
from jupyter_train.panel.status import spoken
from jupyter_train.run import RunRecord, RunStatus
from jupyter_train.store import MetricReader, RunFolder
from jupyter_train.store.metrics.reader import SPREAD
from jupyter_train.store.paths import host_name
from jupyter_train.store.private_files import open_to_read
from jupyter_train.store.run_lock import LEASE_S, silence_s
from jupyter_train.store.takeover import never_began_message

if TYPE_CHECKING:
    from jupyter_train.store import Store
    from jupyter_train.store.metrics.reader import Medium
    from jupyter_train.store.runs import Event

_log = logging.getLogger(__name__)

SCHEMA = 1
#: In an outline, not in a snapshot: where the curves of a fork's parent lie.
_PARENT = "parent curves"
#: In an outline: whether the run is a search, whose trials are read with its curves.
_IS_STUDY = "is a study"
MAX_BYTES = 40_000
_MAX_BUCKETS = 150
_MAX_EVENTS = 12
_MAX_DEGRADED = 300
_MAX_MARKS = 24
_MAX_THUMBNAILS = 4
_THUMBNAIL_PIXELS = 128
_THUMBNAIL_BYTES = 6_000
_SHOWN_EVENTS = frozenset(kind for kind in EventKind if kind.is_shown)


def snapshot(store: Store, key: str, kernel: str = "") -> dict[str, Any]:
    """The run as it stands in the store: at most `MAX_BYTES` of JSON, whatever its length.

    Args:
        store: Where the run is recorded.
        key: The run's key.
        kernel: Id of the kernel that trains it, for renderers that want to reach it.

    Raises:
        RunNotFoundError: There is no such run.
    """
    return with_curves(*outline(store, key, kernel))


def outline(store: Store, key: str, kernel: str = "") -> tuple[RunRecord, dict[str, Any]]:
    """The record, and what of a snapshot comes from the central database: it changes slowly.

    Raises:
        RunNotFoundError: There is no such run.
    """
    record = store.get(key)
    base = {**_base(store, record, kernel), _PARENT: _parent(store, record)}
    return record, base | ({_IS_STUDY: True} if record.kind == RunKind.TUNE else {})


def with_curves(record: RunRecord, base: dict[str, Any], buckets: int = _MAX_BUCKETS) -> dict[str, Any]:
    """A snapshot: an outline with the curves as they are now.

    Args:
        record: The run's.
        base: Its outline.
        buckets: At most so many points a series.
    """
    parent = base.get(_PARENT)
    shown = {name: value for name, value in base.items() if name not in (_PARENT, _IS_STUDY)}
    shown["as_of"] = round(time.time(), 2)
    study = _study(record, RunStatus(base["status"])) if base.get(_IS_STUDY) else None
    while True:
        full = shown | _curves(record, buckets, parent)
        full |= spoken(full)
        if len(json.dumps(full, separators=(",", ":"))) <= MAX_BYTES or buckets <= 8:
            return full if study is None else full | {"study": study}
        buckets //= 2


def _study(record: RunRecord, status: RunStatus) -> dict[str, Any] | None:
    """The trials. Those a stop or a kill interrupted wait for the study to be resumed."""
    study = RunFolder(record.folder).read_study()
    if study is None or status.is_live:
        return study
    running, waiting = TrialStatus.RUNNING.letter, TrialStatus.WAITING.letter
    curves_now = [curve | {"state": curve["state"].replace(running, waiting)} for curve in study["curves"]]
    return study | {"states": study["states"].replace(running, waiting), "curves": curves_now}


def _base(store: Store, record: RunRecord, kernel: str) -> dict[str, Any]:
    status = store.status_of(record)
    events = [event for event in store.events_of(record.key) if event.kind in _SHOWN_EVENTS]
    return {
        "schema": SCHEMA,
        "run": record.key,
        "ref": _ref(store, record),
        "name": record.name,
        "kernel": kernel,
        "status": status.value,
        "message": _cut(_message(record, status), 400),
        "ended_with": record.ended_with,
        "degraded": _cut(record.degraded, _MAX_DEGRADED),
        "created_at": record.created_at,
        "duration_s": rounded(record.duration_s),
        "config": {name: _cut(str(value), 80) for name, value in list(record.config.items())[:24]},
        "tags": [_cut(tag, 40) for tag in record.tags[:8]],
        "note": _cut(record.note, 300),
        "events": [
            {"step": event.step, "kind": event.kind, "text": _cut(event.text, 240)}
            | ({"metric": _cut(str(event.data.get("metric")), 80)} if event.kind == EventKind.NON_FINITE else {})
            for event in events[-_MAX_EVENTS:]
        ],
        "marks": [{"step": event.step, "label": _mark(event)} for event in events if _mark(event)][-_MAX_MARKS:],
    }


def _ref(store: Store, record: RunRecord) -> str:
    """What people type for it; a trial is `digits-k3f9/17`, while its study is there."""
    number = record.config.get("trial")
    if record.kind != RunKind.TRIAL or number is None or record.parent is None:
        return record.ref
    try:
        return f"{store.get(record.parent).ref}/{number}"
    except StoreError:  # the study is gone, or damaged
        return record.ref


def _mark(event: Event) -> str:
    """What stands beside a line in the charts: a command, or where an attempt began; empty where none is drawn."""
    if event.kind in START_EVENTS:
        return event.kind if event.step else ""
    verb = VERBS.get(str(event.data.get("verb")))
    return verb.mark if event.kind == EventKind.COMMAND and verb is not None and event.step is not None else ""


def _message(record: RunRecord, status: RunStatus) -> str:
    if record.waits_for and status is RunStatus.QUEUED:
        return f"waits for {record.waits_for}"
    if status is RunStatus.LOST and record.status is RunStatus.QUEUED:
        return never_began_message(record)
    if status is RunStatus.LOST and not record.message:
        return "its process is gone; everything recorded until then is kept"
    if status.is_live and record.host != host_name() and silence_s(record) > LEASE_S:
        return f"unreachable: {record.host} has not been heard of for {duration_text(silence_s(record))}"
    return record.message


def best_of(summary: dict[str, Any]) -> dict[str, Any] | None:
    """The best epoch or trial of a run's summary; None where there is none that can be shown."""
    best = summary.get("best")
    if not isinstance(best, dict) or not isinstance(best.get("metric"), str):
        return None
    if not all(isinstance(best.get(name), int) for name in (("trial",) if "trial" in best else ("epoch", "step"))):
        return None
    return best | {"value": rounded(best.get("value"), digits=9)}  # rounded twice it might be another


def _resources(summary: dict[str, Any]) -> dict[str, list[Any]]:
    resources = summary.get("resources")
    return {name: list(values) for name, values in resources.items()} if isinstance(resources, dict) else {}


def _parent(store: Store, record: RunRecord) -> tuple[Path, str, int] | None:
    """Curves, name and step of the run that a fork began from, while that one is there."""
    fork = record.summary.get("fork")
    if not isinstance(fork, dict):
        return None
    try:
        folder = RunFolder(store.get(str(fork["run"])).folder)
        return folder.metrics, str(fork["ref"]), int(fork["step"])
    except (StoreError, KeyError, TypeError, ValueError):  # that run is gone, or what is known of it is damaged
        return None


def _curves(record: RunRecord, buckets: int, parent: tuple[Path, str, int] | None) -> dict[str, Any]:
    """The curves; what of them cannot be read is left out, and said where a run says what is wrong with it."""
    try:
        return _read_curves(record, buckets, parent)
    except DamagedError as err:
        damage = str(err)
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError):  # what a damaged file says may be anything
        _log.warning("the curves of %s cannot be drawn", record.ref, exc_info=True)
        damage = "its curves cannot be drawn: their file is damaged"
    nothing: dict[str, Any] = {name: [] for name in ("families", "checkpoints", "media")}
    progress = rounded_table(record.summary.get("progress"))
    return nothing | {
        "data": "",
        "best": best_of(record.summary),
        "progress": progress,
        "resources": {},
        "hidden_series": 0,
        "media_count": 0,
        "degraded": _cut(_joined(record.degraded, damage), _MAX_DEGRADED),
    }


def _joined(*texts: str) -> str:
    return "; ".join(text for text in texts if text)


def rounded_table(value: object) -> dict[str, Any]:
    """A mapping with its numbers as they are shown; an empty one for anything else."""
    return {name: rounded(number) for name, number in value.items()} if isinstance(value, dict) else {}


def _read_curves(record: RunRecord, buckets: int, parent: tuple[Path, str, int] | None) -> dict[str, Any]:
    folder = RunFolder(record.folder)
    with MetricReader(folder.metrics) as reader, reader.at_one_moment():
        counts = reader.counts()
        progress = reader.meta("progress")
        newer = reader.meta("summary")
        summary = record.summary | (newer if isinstance(newer, dict) else {})
        shown = [name for name in counts if not name.endswith(SPREAD)][: curves.MAX_SERIES]
        each = max(8, min(buckets, 8 * buckets // max(1, len(shown))))
        series = [curves.with_spread(reader, name, counts, reader.picture(name, each), each) for name in shown]
        series += curves.of_parent(*parent, shown, each) if parent is not None else []
        media = reader.media()
        checkpoints = reader.checkpoints()
        damage = f"damaged, and not shown: {', '.join(reader.damage)}" if reader.damage else ""
    degraded = {"degraded": _cut(_joined(record.degraded, damage), _MAX_DEGRADED)} if damage else {}
    return degraded | {
        "data": _cut(str(summary.get("data", "")), 200),
        "best": best_of(summary),
        "progress": rounded_table(progress),
        "resources": _resources(summary),
        "families": curves.families(series),
        "hidden_series": sum(not name.endswith(SPREAD) for name in counts) - len(shown),
        "checkpoints": [{"kind": c.kind, "step": c.step, "size": c.size} for c in checkpoints],
        "media": [_medium(folder, medium) for medium in media[-_MAX_THUMBNAILS:]],
        "media_count": len(media),
    }


def _medium(folder: RunFolder, medium: Medium) -> dict[str, Any]:
    shown = {
        "name": _cut(medium.name, 60),
        "step": medium.step,
        "kind": medium.kind,
        "caption": _cut(medium.caption, 80),
    }
    if medium.kind in ("image", "figure"):
        shown["thumbnail"] = _thumbnail(folder, medium.path)
    return shown


def _thumbnail(folder: RunFolder, path: str) -> str:
    """A small PNG as a data URI; empty when it cannot be made small or Pillow is missing."""
    try:
        import io

        from PIL import Image

        with open_to_read(folder.inside(path)) as file, Image.open(file) as stored:
            picture = stored.convert("RGB")
            picture.thumbnail((_THUMBNAIL_PIXELS, _THUMBNAIL_PIXELS))
            for quality in (70, 40):
                buffer = io.BytesIO()
                picture.save(buffer, format="JPEG", quality=quality)
                if buffer.tell() <= _THUMBNAIL_BYTES:
                    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
    except (ImportError, OSError, ValueError, UntrustedError):
        return ""
    return ""


def packed(snapshot: dict[str, Any]) -> dict[str, Any]:
    """A snapshot as it travels and is saved: each column one text, `0.5,0.4,,0.3`.

    A notebook file gives every item of a list a line of its own, which would treble the panel's size.
    """
    resources = {name: curves.column_text(values) for name, values in snapshot["resources"].items()}
    return snapshot | {"families": curves.packed(snapshot["families"]), "resources": resources}


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
