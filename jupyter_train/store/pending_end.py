"""How a run ended, kept in its owner's lock file while the run store cannot take it.

The file has room for it from the beginning, so that a full disk can still hold it.
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
from jupyter_train.store.readable_rows import parsed
from jupyter_train.store.value_checks import is_time

_ROOM_BYTES = 1024
_MAX_LETTERS = 200
#: What of a run's summary says how it ended, and how to tell that a value can be it.
_SAID: dict[str, Callable[[Any], bool]] = {
    "elapsed_s": is_time,
    "ended_with": lambda word: word in ("", "NaN", "inf"),
}


@dataclass(frozen=True)
class AttemptEnd:
    """How an attempt ended.

    Attributes:
        attempt: Its number.
        status: FINISHED, STOPPED or FAILED.
        ended_at: Unix time in seconds.
        message: The run's message.
        problem: Why the store has not got it yet.
        summary: What of the run's summary says how it ended.
    """

    attempt: int
    status: RunStatus
    ended_at: float
    message: str = ""
    problem: str = ""
    summary: dict[str, Any] = field(default_factory=dict)


#: Ends of runs of this process, for where their folders cannot be written either.
_KEPT: dict[Path, AttemptEnd] = {}


def reserve(descriptor: int) -> None:
    """Takes room for a run's end in its lock file; without it there may be none when it is needed."""
    with contextlib.suppress(OSError):
        missing = _ROOM_BYTES - os.lseek(descriptor, 0, os.SEEK_END)
        if missing > 0:
            os.write(descriptor, b" " * missing)


def keep(lock: Path, end: AttemptEnd) -> None:
    """Keeps how a run ended, in this process and, where that can be written, beside the run."""
    _KEPT[lock] = end
    _write(lock, end, is_durable=True)


def note(lock: Path, end: AttemptEnd) -> None:
    """Writes beside the run what the store knows already: whoever takes the folder in elsewhere finds it there."""
    _KEPT.pop(lock, None)
    _write(lock, end, is_durable=False)


def _write(lock: Path, end: AttemptEnd, is_durable: bool) -> None:
    with contextlib.suppress(OSError):
        descriptor = open_private(lock, os.O_WRONLY)
        try:
            os.write(descriptor, _packed(end))
            if is_durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)


def kept(lock: Path, attempt: int) -> AttemptEnd | None:
    """How an attempt ended, where the store may not know it yet; None where nobody said so."""
    end = _KEPT.get(lock) or _read(lock)
    return end if end is not None and end.attempt == attempt else None


def believed(record: RunRecord) -> RunRecord:
    """The record, with how it ended where its owner has said that somewhere else than in the store."""
    end = kept(Path(record.folder, "owner.lock"), record.attempt) if record.status.is_live else None
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


def _packed(end: AttemptEnd) -> bytes:
    """As JSON in exactly the room there is."""
    short = dataclasses.replace(end, message=end.message[:_MAX_LETTERS], problem=end.problem[:_MAX_LETTERS])
    content = json.dumps(dataclasses.asdict(short)).encode()
    if len(content) > _ROOM_BYTES:  # letters that take six bytes each
        content = json.dumps(dataclasses.asdict(dataclasses.replace(short, message="", problem=""))).encode()
    return content.ljust(_ROOM_BYTES)


def _read(lock: Path) -> AttemptEnd | None:
    try:
        with open_to_read(lock) as file:
            found = parsed(file.read(_ROOM_BYTES))
        end = AttemptEnd(
            int(found["attempt"]),
            RunStatus(found["status"]),
            float(found["ended_at"]),
            str(found["message"]),
            str(found["problem"]),
            _of_end(dict(found["summary"])),
        )
    except (OSError, ValueError, TypeError, KeyError, OverflowError):
        return None
    return end if is_time(end.ended_at) and not end.status.is_live else None


def _of_end(summary: dict[str, Any]) -> dict[str, Any]:
    """What says how a run ended, as far as it is of the right kind: the file may be anybody's."""
    return {name: summary[name] for name, is_sound in _SAID.items() if name in summary and is_sound(summary[name])}
