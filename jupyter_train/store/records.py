"""Converts rows of the central database to runs and events, and raises for damaged ones."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from jupyter_train.exceptions import DamagedError
from jupyter_train.run import RunRecord, RunStatus
from jupyter_train.store.readable_rows import parse_json
from jupyter_train.store.value_checks import is_key, is_name, is_time, kinds_of, printable

_Value = TypeVar("_Value")

FIELDS = tuple(item.name for item in dataclasses.fields(RunRecord))
_JSON: dict[str, type] = {"tags": list, "config": dict, "summary": dict}
_NAMES = frozenset({"key", "name", "code", "kind"})
_KINDS = {name: kinds_of(hint) for name, hint in typing.get_type_hints(RunRecord).items() if name not in _JSON}


@dataclasses.dataclass(frozen=True)
class Event:
    """Something that happened to a run, with the step at which it did.

    Attributes:
        at: Unix time.
        step: None where it belongs to no step.
        kind: One of `EventKind`; another text where a later release wrote it.
        text: What a person reads.
        data: The facts in it: see `EventKind`.
    """

    at: float
    step: int | None
    kind: str
    text: str
    data: dict[str, Any]


#: The fields of a summary whose types lists depend on.
SHAPED = ("best", "progress", "elapsed_s")
#: No operating system has longer paths.
_MAX_PATH = 4096


def record_of(row: Mapping[str, Any]) -> RunRecord:
    """The run of a row.

    Raises:
        DamagedError: A value is not of its type.
    """
    values = {field: row[field] for field in FIELDS}
    key = values["key"] if isinstance(values["key"], str) else "?"
    try:
        values["status"] = RunStatus(values["status"])
        for name, kind in _JSON.items():
            values[name] = _json(values[name], kind)
    except (ValueError, TypeError, RecursionError) as err:
        raise damaged(key, str(err)) from err
    unsound = [name for name, kinds in _KINDS.items() if not _is_sound(name, values[name], kinds)]
    if unsound or not is_summary(values["summary"]) or not all(isinstance(tag, str) for tag in values["tags"]):
        raise damaged(key, ", ".join(unsound) or "summary, tags")
    return RunRecord(**values)


def event_of(row: Mapping[str, Any]) -> Event:
    """The event of a row.

    Raises:
        DamagedError: A value is not of its type.
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
    """The error to raise for a run whose row is damaged."""
    return DamagedError(
        f"what the store says of the run `{key}` is damaged ({printable(reason)}); its folder keeps its curves and "
        "checkpoints. `jupyter train doctor` looks for more"
    )


def _json(text: object, kind: type[_Value]) -> _Value:
    value = parse_json(text)
    if not isinstance(value, kind):
        raise TypeError(f"expected a {kind.__name__}")
    return value


def _is_sound(name: str, value: Any, kinds: frozenset[type]) -> bool:
    if name == "status":
        return True
    if name.endswith("_at") and value is not None:
        return is_time(value)
    if name in _NAMES:
        return is_key(value) if name == "key" else is_name(value)
    return type(value) in kinds and not (name == "folder" and ("\0" in value or len(value) > _MAX_PATH))


def is_summary(summary: dict[str, Any]) -> bool:
    """Whether the fields that lists show have their types."""
    best = summary.get("best") or {}
    progress = summary.get("progress") or {}
    elapsed_s = summary.get("elapsed_s")
    if not isinstance(best, dict) or not isinstance(progress, dict) or not isinstance(elapsed_s, int | float | None):
        return False
    return not best or (isinstance(best.get("metric"), str) and isinstance(best.get("value"), int | float | None))
