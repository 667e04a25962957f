"""What differs between two attempts at a run so that values recorded by the one need not come again in the other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from jupyter_train.config import TrainConfig
from jupyter_train.run import RunRecord, RunStatus
from jupyter_train.store.replay_check import ReplayCheck

_CLASS = re.compile(r"<?([\w.]+)")


def explain_absences(verification: ReplayCheck, before: RunRecord, config: TrainConfig) -> list[str]:
    """Notes what differs in this attempt; gives the classes of all callbacks that the run has ever had."""
    current = callback_classes(config.to_json())
    known = callback_classes(before.config) | set(before.summary.get("callbacks", []))
    verification.changes.removed_callbacks = frozenset(known - current)
    if before.status in (RunStatus.FINISHED, RunStatus.STOPPED):
        verification.changes.ended_at = verification.to_step
    return sorted(known | current)


def callback_classes(recorded: Mapping[str, Any]) -> set[str]:
    """The classes of the callbacks in a run's options, as they are recorded."""
    listed: list[Any] = []
    for name in ("callback", "callbacks"):
        value = recorded.get(name) or []
        listed += value if isinstance(value, list) else [value]
    return {match[1] for text in listed if (match := _CLASS.match(str(text)))}
