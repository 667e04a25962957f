"""Trains a run in a process of its own, which outlives this one; or waits for it and brings the weights back."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jupyter_train.config.commands import command
from jupyter_train.events import CheckpointKind
from jupyter_train.exceptions import ProcessFailedError, RunStateError, StoreError, TrainingInterrupted
from jupyter_train.execution import oom_kills
from jupyter_train.execution.notify import notify
from jupyter_train.execution.preparation import PreparedRun
from jupyter_train.execution.run_spec import RunSpec, create
from jupyter_train.execution.workers import crash_report, payload
from jupyter_train.execution.workers.pickling import Pickled, pickled
from jupyter_train.execution.workers.spawn import CHANGES_VARIABLE, QUEUED_VARIABLE, WARM_WORKER, start
from jupyter_train.run import RunRecord, RunStatus
from jupyter_train.store import MetricReader, RunFolder, Store, commands, shared_arrays, trust
from jupyter_train.store.paths import STORE_VARIABLE, runs_home
from jupyter_train.store.takeover import check_can_resume
from jupyter_train.training.interrupt import AbortTraining, InterruptWatch
from jupyter_train.training.result import RunResult
from jupyter_train.training.run_observer import RunObserver

_POLL_INTERVAL_S = 0.05
_START_POLL_INTERVAL_S = 0.5
#: By signal: the message of a run whose process had not yet set its signal handlers.
_BEFORE = {
    int(signal.SIGTERM): "ended by SIGTERM before it began",
    int(signal.SIGINT): "interrupted before it began",
}
_ABORTED = "interrupted twice; what was recorded until then is kept, the last checkpoint may be missing"


class LaunchedRun:
    """A run that trains in another process; records why that process died, as long as this one lives.

    Args:
        store: Where the run is recorded.
        record: Its row as it was when the process started.
        prepared: The model and data of this process, untouched; None where it has none.
        process: Its process, the first of a session of its own.
        target: Who is notified when it died without notifying them itself.
    """

    def __init__(
        self,
        store: Store,
        record: RunRecord,
        prepared: PreparedRun | None,
        process: subprocess.Popen[bytes],
        target: str | None,
    ) -> None:
        self.record = record
        self._store = store
        self._prepared = prepared
        self._process = process
        self._notify = target
        self._is_aborted = False
        self._watcher = threading.Thread(target=self._record_end, daemon=True)
        self._watcher.start()
        threading.Thread(target=WARM_WORKER.prepare, args=(self._has_begun,), daemon=True).start()

    def result(self, error: BaseException | None = None) -> RunResult:
        """The run as it stands, with the model and data of this process."""
        record = self._store.get(self.record.key)
        result = RunResult(status=record.status, message=record.message, error=error, record=record)
        if self._prepared is not None:
            result.module, result.source = self._prepared.module, self._prepared.source
        return result

    def is_ended(self) -> bool:
        """True once its process is gone and its last status is in the store."""
        return not self._watcher.is_alive()

    def _has_begun(self) -> bool:
        """Waits until it trains; False when it ended before."""
        while not self.is_ended():
            with contextlib.suppress(StoreError):
                if self._store.get(self.record.key).summary.get("progress", {}).get("step"):
                    return True
            time.sleep(_START_POLL_INTERVAL_S)
        return False

    def ask_to_stop(self, source: str) -> bool:
        """Requests that it stops, naming the source; False while it takes no commands."""
        try:
            commands.add(self._store, self.record.key, command("stop", {}, source))
        except (RunStateError, StoreError):
            return False
        return True

    def abort(self) -> None:
        """Ends its processes at once."""
        self._is_aborted = True
        with contextlib.suppress(ProcessLookupError):
            if self._process.poll() is None:  # not reaped, so that its number is still its own
                os.killpg(self._process.pid, signal.SIGKILL)
        self._watcher.join()

    def _record_end(self) -> None:
        code, for_memory = oom_kills.wait(self._process)
        with contextlib.suppress(StoreError, RunStateError):
            record = self._store.get(self.record.key)
            if code and (record.status.is_live or record.status is RunStatus.QUEUED):
                status, message = RunStatus.FAILED, crash_report.exit_message(code, Path(record.folder), for_memory)
                if self._is_aborted:
                    status, message = RunStatus.STOPPED, _ABORTED
                elif (
                    record.status is RunStatus.QUEUED
                    and (by := crash_report.signal_of(code, Path(record.folder))) in _BEFORE
                ):
                    status, message = RunStatus.STOPPED, _BEFORE[by]
                self._store.end_run(record, status, self.record.attempt, message)
                notify(self._store, record.key, self._notify)
            elif record.status is RunStatus.STOPPED and record.started_at is None:
                notify(self._store, record.key, self._notify)  # its process never read whom


def launch_detached(store: Store, spec: RunSpec, prepared: PreparedRun, observer: RunObserver) -> LaunchedRun:
    """Starts a worker and gives the run at once.

    Raises:
        UsageError: Something cannot be taken to another process; no run was made.
        StoreError: The process could not be started.
    """
    content = pickled(
        {
            "model": prepared.model,
            "data": prepared.data,
            "spec": spec,
            "findings": prepared.findings,
        },
        spec.config.yes,
    )
    shared_arrays.check_room(runs_home(), content.size)
    if spec.config.resume is not None:
        record = store.find(spec.config.resume)
        check_can_resume(store, record)
    else:
        record = create(store, spec, prepared.model, goes_elsewhere=True)
    sha256 = keep_payload(store, record, content)
    return start_process(store, record, sha256, spec.config.notify, observer.on_start, prepared)


def keep_payload(store: Store, record: RunRecord, content: Pickled, entry_point: str = "") -> str:
    """Writes what a run's process is given, and says so in its row; gives the hash of it. See `payload.write`.

    Raises:
        StoreError: It cannot be written; a run that waited for it has failed.
    """
    try:
        sha256 = payload.write(RunFolder(record.folder), content, entry_point)
        store.update(record.key, payload=sha256)
    except OSError as err:
        raise _not_started(store, record, err) from err
    except KeyboardInterrupt:
        commands.end_queued(store, record.key, "interrupted before it began")
        raise
    return sha256


def relaunch(store: Store, record: RunRecord, changes: dict[str, Any]) -> LaunchedRun:
    """Starts another attempt at a run whose payload was kept, with some options changed.

    Raises:
        RunStateError: It is being trained, or its payload is gone.
        StoreError: The process could not be started, or could not resume the run.
    """
    check_can_resume(store, record)
    trust.verify(store, record)
    if not record.payload or not payload.is_kept(RunFolder(record.folder)):
        raise RunStateError(f"what `{record.ref}` was started with is not kept")
    changes = {**changes, "resume": record.key}
    return start_process(store, record, record.payload, None, lambda _record, _writer: None, None, changes)


def start_process(
    store: Store,
    record: RunRecord,
    sha256: str,
    target: str | None,
    on_start: Callable[[RunRecord, Any], None],
    prepared: PreparedRun | None = None,
    changes: dict[str, Any] | None = None,
) -> LaunchedRun:
    """Starts the process of a run whose payload is written.

    Args:
        store: Where the run is recorded.
        record: Its row: QUEUED, or ended and to be resumed.
        sha256: Hash of its payload.
        target: Who is notified when it is over.
        on_start: Called once it has begun, or waits to.
        prepared: The model and data of this process, where it has some.
        changes: Options that are others than those of the payload.

    Raises:
        RunStateError: The next attempt was refused.
        StoreError: The process could not be started.
    """
    if record.status is RunStatus.QUEUED:
        store.update(record.key, heartbeat_at=time.time(), summary={"waits_for": "its process, which imports torch"})
    # the store's address is not in the arguments: everybody on the machine can read those
    extra = {STORE_VARIABLE: store.url} | ({CHANGES_VARIABLE: json.dumps(changes)} if changes is not None else {})
    extra |= {QUEUED_VARIABLE: "1"} if record.status is RunStatus.QUEUED else {}
    try:
        process = start(record.key, sha256, Path(record.folder), extra)
    except OSError as err:
        raise _not_started(store, record, err) from err
    try:
        if record.status is RunStatus.QUEUED and changes is None:
            store.update(record.key, pid=process.pid)  # who it waits for
        else:
            _wait_until_taken_over(store, record, process)
            record = store.get(record.key)
        on_start(record, None)
    except KeyboardInterrupt:  # the caller would have no handle of what trains
        process.kill()
        process.wait()
        commands.end_queued(store, record.key, "interrupted before it began")
        raise
    return LaunchedRun(store, record, prepared, process, target)


def _not_started(store: Store, record: RunRecord, err: OSError) -> StoreError:
    message = f"its process could not be started: {err.strerror or err}"
    if record.status is RunStatus.QUEUED:
        store.set_status(record.key, RunStatus.FAILED, ended_at=time.time(), message=message)
    return StoreError(f"`{record.ref}`: {message}")


def _wait_until_taken_over(store: Store, record: RunRecord, process: subprocess.Popen[bytes]) -> None:
    """Waits until the next attempt has begun.

    Raises:
        RunStateError: Its process ended before: the run cannot be resumed.
    """
    while store.get(record.key).attempt == record.attempt:
        if process.poll() is not None and store.get(record.key).attempt == record.attempt:
            raise RunStateError(crash_report.refusal(process.returncode, Path(record.folder)))
        time.sleep(_POLL_INTERVAL_S)


def run_detached(store: Store, spec: RunSpec, prepared: PreparedRun, observer: RunObserver) -> RunResult:
    """Launches the run, waits until it has ended, and loads its last weights into the model of this process.

    Raises:
        TrainingInterrupted: The user pressed Interrupt twice.
    """
    launched = launch_detached(store, spec, prepared, observer)
    with InterruptWatch() as interrupt:
        try:
            is_stop_sent = False
            while not launched.is_ended():
                if interrupt.is_requested and not is_stop_sent:
                    is_stop_sent = launched.ask_to_stop("SIGTERM" if interrupt.is_terminated else "interrupt")
                time.sleep(_POLL_INTERVAL_S)
        except AbortTraining:
            launched.abort()
            raise TrainingInterrupted(_ABORTED) from None
        record = store.get(launched.record.key)
        _bring_back(store, record, prepared)
        is_raising = interrupt.is_requested and spec.config.on_interrupt == "raise"
        result = launched.result(_error_of(record, is_raising))
    interrupt.pass_on()
    return result


def _bring_back(store: Store, record: RunRecord, prepared: PreparedRun) -> None:
    """The last weights, and the note which run they are from, in the model that was given."""
    from jupyter_train.training.checkpoints import initial_weights
    from jupyter_train.training.checkpoints.weights import load_weights, read_weights

    folder = RunFolder(record.folder)
    with MetricReader(folder.metrics) as reader:
        checkpoints = [checkpoint for checkpoint in reader.checkpoints() if checkpoint.kind == CheckpointKind.LAST]
    if not checkpoints:
        return
    weights = read_weights(trust.checkpoint(store, record, checkpoints[-1]), checkpoints[-1].sha256)
    load_weights(prepared.module, weights, record.ref)
    prepared.module.train()
    origin: Any = initial_weights.origin_of(prepared.model)
    if origin is None:
        origin = initial_weights.Origin(
            "", "", 0, record.folder, record.summary.get("initial_state", {}).get("sha256", "")
        )
    steps = origin.step + checkpoints[-1].step
    initial_weights.set_origin(
        prepared.model,
        initial_weights.Origin(record.key, record.ref, steps, origin.initial_folder, origin.initial_sha256),
    )


def _error_of(record: RunRecord, is_interrupted: bool) -> BaseException | None:
    if is_interrupted:
        return TrainingInterrupted(f"interrupted; `{record.ref}` is {record.status}, what it recorded is kept")
    if record.status is RunStatus.FAILED:
        return ProcessFailedError(f"{record.message}; `get_run('{record.ref}').log` has the traceback")
    return None
