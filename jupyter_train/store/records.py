"""Rows of the central database as runs and events; a row that is damaged is told from one that is not."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

from jupyter_train.exceptions import DamagedError
from jupyter_train.run import RunRecord, RunStatus
from jupyter_train.store.readable_rows import parsed
from jupyter_train.store.value_checks import is_key, is_name, is_time, kinds_of, printable

FIELDS = tuple(item.name for item in dataclasses.fields(RunRecord))
_JSON = {"tags": list, "config": dict, "summary": dict}
_NAMES = frozenset({"key", "name", "code", "kind"})
_KINDS = {name: kinds_of(hint) for name, hint in typing.get_type_hints(RunRecord).items() if name not in _JSON}


@dataclasses.dataclass(frozen=True)
class Event:
    """Something that happened to a run, with the step at which it did."""

    at: float
    step: int | None
    kind: str
    text: str
    data: dict[str, Any]


#: What of a summary has a shape.
SHAPED = ("best", "progress", "elapsed_s")
#: No system has longer ones.
_MAX_PATH = 4096


def record_of(row: Mapping[str, Any]) -> RunRecord:
    """A run of its row.

    Raises:
        DamagedError: The row is not as it was written.
    """
    values = {field: row[field] for field in FIELDS}
    key = values["key"] if isinstance(values["key"], str) else "?"
    try:
        values["status"] = RunStatus(values["status"])
        for name, kind in _JSON.items():
            values[name] = _json(values[name], kind)
    except (ValueError, TypeError, RecursionError) as err:
        raise damaged(key, str(err)) from err
    wrong = [name for name, kinds in _KINDS.items() if not _is_sound(name, values[name], kinds)]
    if wrong or not is_summary(values["summary"]) or not all(isinstance(tag, str) for tag in values["tags"]):
        raise damaged(key, ", ".join(wrong) or "summary, tags")
    return RunRecord(**values)


def event_of(row: Mapping[str, Any]) -> Event:
    """An event of its row.

    Raises:
        DamagedError: The row is not as it was written.
    """
    try:
        data = _json(row["data"], dict)
    except (ValueError, TypeError, RecursionError) as err:
        raise damaged("?", str(err)) from err
    is_sound = is_time(row["at"]) and all(isinstance(row[name], str) for name in ("kind", "text"))
    if not is_sound or not isinstance(row["step"], int | None):
        raise damaged("?", "an event")
    return Event(row["at"], row["step"], row["kind"], row["text"], data)


def damaged(key: str, reason: str) -> DamagedError:
    """What to raise for a run whose row is damaged."""
    return DamagedError(
        f"what the store says of the run `{key}` is damaged ({printable(reason)}); its folder keeps its curves and "
        "checkpoints. `jupyter train doctor` looks for more"
    )


def _json(text: Any, kind: type) -> Any:
    found = parsed(text)
    if not isinstance(found, kind):
        raise TypeError(f"expected a {kind.__name__}")
    return found


def _is_sound(name: str, value: Any, kinds: frozenset[type]) -> bool:
    if name == "status":
        return True
    if name.endswith("_at") and value is not None:
        return is_time(value)
    if name in _NAMES:
        return is_key(value) if name == "key" else is_name(value)
    return type(value) in kinds and not (name == "folder" and ("\0" in value or len(value) > _MAX_PATH))


def is_summary(summary: dict[str, Any]) -> bool:
    """Whether what lists show of it has the shape that they show."""
    best = summary.get("best") or {}
    progress = summary.get("progress") or {}
    counted = summary.get("elapsed_s")
    if not isinstance(best, dict) or not isinstance(progress, dict) or not isinstance(counted, int | float | None):
        return False
    return not best or (isinstance(best.get("metric"), str) and isinstance(best.get("value"), int | float | None))
