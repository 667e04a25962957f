"""How a run ended, written to its lock file while the store does not accept it.

The file reserves the space when the run begins, so that a full disk can still hold it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_train.run import RunRecord, RunStatus
from jupyter_train.store.private_files import open_private, open_to_read
from jupyter_train.store.readable_rows import parse_json
from jupyter_train.store.value_checks import is_time

_ROOM_BYTES = 1024
_MAX_LETTERS = 200
#: The fields of a run's summary that say how it ended, each with a check of its value.
_SUMMARY_FIELDS: dict[str, Callable[[Any], bool]] = {
    "elapsed_s": is_time,
    "ended_with": lambda value: value in ("", "NaN", "inf"),
}


@dataclass(frozen=True)
class AttemptEnd:
    """How an attempt ended.

    Attributes:
        attempt: Its number.
        status: FINISHED, STOPPED or FAILED.
        ended_at: Unix time in seconds.
        message: The run's message.
        problem: Why the store does not have it yet.
        summary: The fields of the run's summary that say how it ended.
    """

    attempt: int
    status: RunStatus
    ended_at: float
    message: str = ""
    problem: str = ""
    summary: dict[str, Any] = field(default_factory=dict)


#: Ends of this process's runs, for the case that their folders cannot be written either.
_KEPT: dict[Path, AttemptEnd] = {}


def reserve(descriptor: int) -> None:
    """Reserves space for a run's end in its lock file: the disk may be full when it is needed."""
    with contextlib.suppress(OSError):
        missing = _ROOM_BYTES - os.lseek(descriptor, 0, os.SEEK_END)
        if missing > 0:
            os.write(descriptor, b" " * missing)


def save_pending(lock: Path, end: AttemptEnd) -> None:
    """Keeps an end that the store has not accepted: in this process and, where it can be written, in the lock file."""
    _KEPT[lock] = end
    _write(lock, end, is_durable=True)


def save_recorded(lock: Path, end: AttemptEnd) -> None:
    """Writes an end that the store has accepted to the lock file, for a later `adopt` of the folder."""
    _KEPT.pop(lock, None)
    _write(lock, end, is_durable=False)


def _write(lock: Path, end: AttemptEnd, is_durable: bool) -> None:
    with contextlib.suppress(OSError):
        descriptor = open_private(lock, os.O_WRONLY)
        try:
            os.write(descriptor, _to_json(end))
            if is_durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)


def find(lock: Path, attempt: int) -> AttemptEnd | None:
    """The kept end of an attempt, which the store may not have; None where there is none."""
    end = _KEPT.get(lock) or _read(lock)
    return end if end is not None and end.attempt == attempt else None


def with_pending_end(record: RunRecord) -> RunRecord:
    """The record with its kept end, where the store still has it as live."""
    end = find(Path(record.folder, "owner.lock"), record.attempt) if record.status.is_live else None
    if end is None:
        return record
    return dataclasses.replace(
        record,
        status=end.status,
        ended_at=end.ended_at,
        message=end.message,
        degraded=end.problem,
        summary=record.summary | end.summary,
    )


def _to_json(end: AttemptEnd) -> bytes:
    """The end as JSON, padded to exactly the reserved space."""
    short = dataclasses.replace(end, message=end.message[:_MAX_LETTERS], problem=end.problem[:_MAX_LETTERS])
    content = json.dumps(dataclasses.asdict(short)).encode()
    if len(content) > _ROOM_BYTES:  # letters that take six bytes each
        content = json.dumps(dataclasses.asdict(dataclasses.replace(short, message="", problem=""))).encode()
    return content.ljust(_ROOM_BYTES)


def _read(lock: Path) -> AttemptEnd | None:
    try:
        with open_to_read(lock) as file:
            stored = parse_json(file.read(_ROOM_BYTES))
        end = AttemptEnd(
            int(stored["attempt"]),
            RunStatus(stored["status"]),
            float(stored["ended_at"]),
            str(stored["message"]),
            str(stored["problem"]),
            _sound_summary(dict(stored["summary"])),
        )
    except (OSError, ValueError, TypeError, KeyError, OverflowError):
        return None
    return end if is_time(end.ended_at) and not end.status.is_live else None


def _sound_summary(summary: dict[str, Any]) -> dict[str, Any]:
    """The sound fields of a summary that say how a run ended: another user may have written the file."""
    return {
        name: summary[name] for name, is_sound in _SUMMARY_FIELDS.items() if name in summary and is_sound(summary[name])
    }
