"""The Run as data: its record, its statuses and the transitions between them. No behaviour."""

from __future__ import annotations

import enum
import os
import re
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from jupyter_train.events import RunKind
from jupyter_train.exceptions import RunStateError


class RunStatus(enum.StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"
    LOST = "lost"

    @property
    def is_live(self) -> bool:
        """True while an owner should hold the run's lock."""
        return self in _LIVE

    @property
    def has_ended(self) -> bool:
        """True once no process trains the run any more."""
        return self in _ENDED


class RunRole(enum.Enum):
    """What a run of one fit is to the run above it; its value is the kind of run that it is recorded as."""

    TRAIN = RunKind.TRAIN  #: on its own
    FOLD = RunKind.FOLD  #: one fit of a cross-validation, or of several seeds
    TRIAL = RunKind.TRIAL  #: one trial of a search


#: What a run's `config` holds beside its options.
NOT_OPTIONS = ("expressions", "searched_options")

_LIVE = frozenset({RunStatus.RUNNING, RunStatus.PAUSED})
_ENDED = frozenset({RunStatus.FINISHED, RunStatus.STOPPED, RunStatus.FAILED, RunStatus.LOST})

TRANSITIONS: dict[RunStatus, frozenset[RunStatus]] = {
    RunStatus.QUEUED: frozenset({RunStatus.RUNNING, RunStatus.STOPPED, RunStatus.FAILED, RunStatus.LOST}),
    RunStatus.RUNNING: _ENDED | {RunStatus.PAUSED},
    RunStatus.PAUSED: _ENDED | {RunStatus.RUNNING},
    RunStatus.FINISHED: frozenset({RunStatus.RUNNING}),
    RunStatus.STOPPED: frozenset({RunStatus.RUNNING}),
    RunStatus.FAILED: frozenset({RunStatus.RUNNING}),
    RunStatus.LOST: frozenset({RunStatus.RUNNING}),
}


def check_transition(old: RunStatus, new: RunStatus) -> None:
    """Raises unless `TRANSITIONS` allows going from one status to another.

    Raises:
        RunStateError: It does not.
    """
    if new not in TRANSITIONS[old]:
        allowed = ", ".join(sorted(TRANSITIONS[old]))
        raise RunStateError(f"a run cannot go from `{old}` to `{new}`; from `{old}` it can go to: {allowed}")


@dataclass
class RunRecord:
    """One row of the store: everything about a run but its curves and files.

    Attributes:
        key: UUIDv7, sortable by creation time.
        kind: One of `RunKind`; another text where a later release wrote it.
        config: Option values as plain JSON; `expressions` in it keeps what was typed, `searched_options` which of a
            search's names are options of `%train`.
        summary: Progress, best and last values as of `heartbeat_at`.
        degraded: Why recording is behind, or an empty string.
        payload: SHA-256 of the payload its own process unpickles; empty where there is none, or it is gone.
    """

    key: str
    name: str
    code: str
    kind: str = RunKind.TRAIN
    status: RunStatus = RunStatus.QUEUED
    attempt: int = 1
    parent: str | None = None
    user: str = ""
    host: str = ""
    pid: int = 0
    created_at: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None
    heartbeat_at: float | None = None
    folder: str = ""
    notebook: str = ""
    note: str = ""
    message: str = ""
    degraded: str = ""
    size_bytes: int = 0
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    payload: str = ""

    @property
    def ref(self) -> str:
        """The short name people type, such as `digits-k3f9`."""
        return f"{self.name}-{self.code}"

    @property
    def waits_for(self) -> str:
        """What a QUEUED run waits for, as a message; empty for any other."""
        return str(self.summary.get("waits_for", "")) if self.status is RunStatus.QUEUED else ""

    @property
    def ended_with(self) -> str:
        """`NaN` or `inf` where the run ended with no finite loss, though it did not fail; else empty."""
        return ended_with(self.status, self.summary)

    @property
    def duration_s(self) -> float | None:
        """Seconds from start to end (or to the last heartbeat while it runs)."""
        return duration_s(self.summary, self.started_at, self.ended_at or self.heartbeat_at)


def ended_with(status: RunStatus, summary: dict[str, Any]) -> str:
    """`NaN` or `inf` where a run that finished or was stopped ended with no finite loss; else empty."""
    has_ended_well = status in (RunStatus.FINISHED, RunStatus.STOPPED)
    return str(summary.get("ended_with", "")) if has_ended_well else ""


def duration_s(summary: dict[str, Any], started_at: float | None, until: float | None) -> float | None:
    """Seconds an attempt has taken: on its owner's monotonic clock, else between two Unix times."""
    if started_at is None:
        return None
    elapsed_s = summary.get("elapsed_s")
    if isinstance(elapsed_s, int | float):
        return float(elapsed_s)
    return max(0.0, (until or started_at) - started_at)


def new_key() -> str:
    """A fresh UUIDv7 (RFC 9562): 48 bits of milliseconds, then random bits."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds << 80) | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | (0x7 << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    return str(uuid.UUID(int=value))


_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def code_of(key: str, length: int = 4) -> str:
    """The last `length` letters of the key's random part, in Crockford's base 32."""
    value = uuid.UUID(key).int & ((1 << 62) - 1)
    letters = []
    for _ in range(length):
        value, index = divmod(value, 32)
        letters.append(_ALPHABET[index])
    return "".join(letters)


def slug(name: str) -> str:
    """A run name safe in a shell, a path and a URL: `LitDigits` becomes `lit-digits`."""
    slugged = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name)
    slugged = re.sub(r"[^A-Za-z0-9]+", "-", slugged).strip("-").lower()
    return slugged[:40].rstrip("-") or "run"
