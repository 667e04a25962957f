"""The row of a live run in the store: its summary and heartbeat, the `degraded` mark, and its end."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from jupyter_train.run import RunStatus
from jupyter_train.store import pending_end
from jupyter_train.store.non_finite import NonFinite
from jupyter_train.store.redaction import mask
from jupyter_train.store.run_folder import RunFolder
from jupyter_train.store.runs import Store


class RunRow:
    """Writes an attempt's part of the run's row; every write raises what the store raises.

    Attributes:
        progress: The newest progress.
        summary: What was added to the summary, such as the best value.
        degraded: Why recording is behind; empty where it is not.

    Args:
        store: The store.
        key: The run.
        attempt: The attempt that writes.
        folder: The run's folder.
        last: The newest value of every visible series; the caller updates it.
        non_finite: Says which losses are not finite.
    """

    def __init__(
        self,
        store: Store,
        key: str,
        attempt: int,
        folder: RunFolder,
        last: Mapping[str, float],
        non_finite: NonFinite,
    ) -> None:
        self.progress: dict[str, Any] = {}
        self.summary: dict[str, Any] = {}
        self.degraded = ""
        self._store = store
        self._key = key
        self._attempt = attempt
        self._folder = folder
        self._last = last
        self._non_finite = non_finite
        self._began = time.monotonic()
        self._ended: tuple[float, float] | None = None

    def current_summary(self) -> dict[str, Any]:
        """The whole summary; values that are not finite become None."""
        last = {name: value if math.isfinite(value) else None for name, value in dict(self._last).items()}
        return {"progress": self.progress, "last": last, "elapsed_s": self._end_time()[1], **self.summary}

    def write_summary(self) -> None:
        """Writes summary, heartbeat and size."""
        self._store.update(
            self._key,
            self._attempt,
            summary=self.current_summary(),
            heartbeat_at=time.time(),
            size_bytes=self._folder.size_bytes(),
        )

    def mark_degraded(self, reason: str) -> None:
        """Says why recording is behind; writes it where it is another reason than before."""
        if self.degraded != reason:
            self.degraded = reason
            self._store.update(self._key, self._attempt, degraded=reason)

    def clear_degraded(self) -> None:
        """Says that recording has caught up."""
        self._store.update(self._key, self._attempt, degraded="")
        self.degraded = ""

    def stop_clock(self) -> None:
        """Fixes the time at which the run ended, however long its end takes to write."""
        self._ended = self._end_time()

    def _end_time(self) -> tuple[float, float]:
        """Unix time now, or when the run ended, and the seconds since it began on a monotonic clock."""
        return self._ended or (time.time(), round(time.monotonic() - self._began, 3))

    def write_end(self, status: RunStatus, message: str) -> None:
        """Writes status, message, summary and size."""
        message = self._final_message(status, message)
        self._store.set_status(
            self._key,
            status,
            self._attempt,
            ended_at=self._end_time()[0],
            heartbeat_at=time.time(),
            message=message,
            summary=self.current_summary(),
            size_bytes=self._folder.size_bytes(),
        )

    def save_recorded_end(self, status: RunStatus, message: str) -> None:
        """Copies the end, which the store has accepted, to the run's lock file."""
        pending_end.save_recorded(self._folder.lock, self._attempt_end(status, message))

    def save_pending_end(self, status: RunStatus, message: str) -> None:
        """Keeps the end in the run's lock file: the store does not accept it yet."""
        problem = f"{self.degraded}; how it ended is kept in its folder until the store accepts it"
        pending_end.save_pending(self._folder.lock, self._attempt_end(status, message, problem))

    def _final_message(self, status: RunStatus, message: str) -> str:
        """The message of the run's end; where its loss was not finite, a message about that."""
        if status not in (RunStatus.FINISHED, RunStatus.STOPPED) or not self._non_finite.ended_with:
            return message
        self.summary["ended_with"] = self._non_finite.ended_with
        return message or self._non_finite.message

    def _attempt_end(self, status: RunStatus, message: str, problem: str = "") -> pending_end.AttemptEnd:
        message = mask(self._final_message(status, message))
        summary = {name: value for name, value in self.current_summary().items() if name in ("elapsed_s", "ended_with")}
        return pending_end.AttemptEnd(self._attempt, status, self._end_time()[0], message, problem, summary)
