"""A detached run's process: `python -m jupyter_train.execution.worker_main RUN SHA256`.

The environment names the store.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jupyter_train.exceptions import RunStateError, StoreError, TrainingInterrupted
from jupyter_train.execution.inline import begin
from jupyter_train.execution.preparation import prepare
from jupyter_train.execution.run_attempt import ABORTED, attempt
from jupyter_train.execution.run_spec import RunSpec, changed, spec_in
from jupyter_train.execution.start_point import start_point_of
from jupyter_train.execution.workers import crash_report
from jupyter_train.execution.workers.parent_watch import end_with_parent
from jupyter_train.execution.workers.payload import Payload, discard
from jupyter_train.execution.workers.spawn import CHANGES_VARIABLE, OWNED_VARIABLE, QUEUED_VARIABLE, STAND_BY
from jupyter_train.execution.workers.start_watch import StartWatch
from jupyter_train.execution.workers.warm_worker import wait_for_job
from jupyter_train.run import RunRecord, RunStatus
from jupyter_train.store import RunFolder, RunWriter, Store, open_store
from jupyter_train.store.redacted_output import mask_own_output
from jupyter_train.store.redaction import error_summary, mask
from jupyter_train.store.run_lock import RunLock
from jupyter_train.store.takeover import own_queued
from jupyter_train.training.interrupt import AbortTraining, InterruptWatch
from jupyter_train.training.result import RunResult
from jupyter_train.training.run_observer import RunObserver

_MAX_LINE = 4000
_POLL_INTERVAL_S = 0.5


def main(run: str, sha256: str) -> int:
    """Trains one run; gives the exit code: 0 however training ended, as long as it is recorded."""
    mask_own_output()
    store = open_store()
    folder = RunFolder(store.get(run).folder)
    if os.environ.get(OWNED_VARIABLE) == run:
        return _share(store, run, sha256)
    record = store.get(run)
    if QUEUED_VARIABLE in os.environ and record.status is not RunStatus.QUEUED:
        return 0  # it has been stopped already
    watch = StartWatch(store, record)
    try:
        payload = Payload(store, record, sha256)
        module = payload.module
    except StoreError as err:
        _refuse(store, record, err)
        return 1
    if module:
        payload.enter()
        changes = json.loads(os.environ.get(CHANGES_VARIABLE, "{}"))
        return int(importlib.import_module(module).main(store, record, payload, changes))
    lock = None
    is_first = record.status is RunStatus.QUEUED and CHANGES_VARIABLE not in os.environ
    if is_first:  # else another attempt, which is taken over once it is possible
        lock = own_queued(store, record)
    return _train(store, store.get(run), folder, payload, lock, watch)


def _refuse(store: Store, record: RunRecord, err: StoreError) -> None:
    """Records why the payload of this process was not read."""
    if record.status is RunStatus.QUEUED:
        store.set_status(record.key, RunStatus.FAILED, record.attempt, ended_at=time.time(), message=str(err))
    else:
        crash_report.keep_refusal(Path(record.folder), str(err))


def _train(
    store: Store, record: RunRecord, folder: RunFolder, payload: Payload, lock: RunLock | None, watch: StartWatch
) -> int:
    """Trains a run; its lock is given back at its end, or by that of this process."""
    watch.expect_writer()
    spec, content, remarks = _requested(payload)

    os.environ[OWNED_VARIABLE] = record.key  # for the processes that Lightning starts to share the work
    try:
        prepared = prepare(spec, lambda _options: (content["model"], content["data"]), store)
        prepared.remarks = [*remarks, *prepared.remarks]
        prepared.findings = content["findings"]
        record, owned, start = begin(store, spec, prepared, (record, lock) if lock is not None else None)
    except Exception as err:
        if lock is not None:
            store.end_run(record, RunStatus.FAILED, record.attempt, error_summary(err))
        else:
            crash_report.keep_refusal(folder.path, str(err))
        raise
    started_with = os.dup(2)  # once the output is taken, this still is the file we were started with
    faulthandler.enable(file=started_with)
    with InterruptWatch() as interrupt:
        try:
            result = attempt(store, spec, prepared, record, interrupt, start, OutputCapture(watch, interrupt))
        except (TrainingInterrupted, AbortTraining):
            interrupt.rest()
            result = RunResult(status=RunStatus.STOPPED, message=ABORTED)
        except BaseException as err:
            os.write(started_with, mask(traceback.format_exc()).encode("utf-8", "backslashreplace"))
            store.end_run(record, RunStatus.FAILED, record.attempt, error_summary(err))
            raise
        while not owned.wait(_POLL_INTERVAL_S) and not interrupt.is_terminated:
            pass  # the disk is full: what this process still has to write is nowhere else
        _record_stop(store, record, result)
    interrupt.pass_on()
    if result.status is RunStatus.FINISHED:
        discard(folder)
        store.update(record.key, payload="")
    owned.release()
    return 0


def _record_stop(store: Store, record: RunRecord, result: RunResult) -> None:
    """Records that a run was stopped where an Interrupt came before that was recorded."""
    if result.status is RunStatus.STOPPED and store.get(record.key).status.is_live:
        with contextlib.suppress(RunStateError):
            store.end_run(record, RunStatus.STOPPED, record.attempt, result.message)


def _requested(payload: Payload) -> tuple[RunSpec, dict[str, Any], list[str]]:
    """What was requested, with changes; the payload's content; and what the user is warned of."""
    remarks = payload.enter()
    content = payload.content()
    spec = spec_in(content)
    if changes := os.environ.get(CHANGES_VARIABLE):
        spec.config = changed(spec.config, json.loads(changes))
    return spec, content, remarks


def _share(store: Store, run: str, sha256: str) -> int:
    """Trains along with the process that owns the run (DDP); an error is kept where that one reports how it ended."""
    end_with_parent()
    record = store.get(run)
    folder = RunFolder(record.folder)
    spec, content, _ = _requested(Payload(store, record, sha256))
    from jupyter_train.training.fit import fit
    from jupyter_train.training.fit_context import FitContext
    from jupyter_train.training.lightning.ddp import NoCommandChannel, NoWriter, SharedCommandQueue

    prepared = prepare(spec, lambda _options: (content["model"], content["data"]), store)
    context = FitContext(
        config=spec.config,
        record=record,
        folder=folder,
        writer=NoWriter(),
        queue=SharedCommandQueue(None),
        channel=NoCommandChannel(),
        interrupt=InterruptWatch(),
        start=start_point_of(store, record) if spec.config.resume is not None else None,
        ckpt_path=spec.ckpt_path,
        world_size=prepared.world_size,
        is_owner=False,
    )
    result = fit(prepared.module, prepared.source, context)
    if result.error is None:
        return 0
    text = "".join(traceback.format_exception(result.error))
    sys.stderr.write(text)
    crash_report.keep_rank(folder.path, os.environ.get("LOCAL_RANK", "?"), text, error_summary(result.error))
    return 1


class OutputCapture(RunObserver):
    """Sends what this process and its children print to the run's log, from its start on.

    Args:
        watch: Ends this process until the first batch; None where nothing does.
        interrupt: What ends it from then on.
    """

    def __init__(self, watch: StartWatch | None = None, interrupt: InterruptWatch | None = None) -> None:
        self._watch = watch
        self._interrupt = interrupt

    def on_start(self, record: RunRecord, writer: RunWriter | None) -> None:
        """See `RunObserver`."""
        assert writer is not None
        capture_output(record, writer)
        if self._watch is not None and self._interrupt is not None:
            self._watch.follow(writer, self._interrupt)


def capture_output(_record: RunRecord, writer: RunWriter | None) -> None:
    """From now on everything printed, by this process and its children, goes to the run's log."""
    assert writer is not None
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(writing, 1)
    os.dup2(writing, 2)
    os.close(writing)
    sys.stdout, sys.stderr = (
        os.fdopen(number, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)
        for number in (1, 2)
    )
    threading.Thread(target=_log_lines, args=(reading, writer.log), name="jupyter_train output", daemon=True).start()


def _log_lines(reading: int, log: Callable[[str], None]) -> None:
    """Lines as they are printed; the log keeps the newest of them."""
    with os.fdopen(reading, "rb", buffering=1 << 16) as stream:
        rest = b""
        while line := stream.readline(_MAX_LINE):
            line, rest = rest + line, b""
            if not line.endswith(b"\n") and b" " in line:  # cut between two words: half a secret is not masked
                line, _, rest = line.rpartition(b" ")
            log(line.decode("utf-8", "replace"))
        if rest:
            log(rest.decode("utf-8", "replace"))


def _arguments() -> tuple[str, str]:
    """The run and its payload's hash: from the command line or, of a warm worker, from its job."""
    if sys.argv[1] != STAND_BY:
        return sys.argv[1], sys.argv[2]
    job = wait_for_job(sys.argv[2:])
    if job is None:
        sys.exit(0)
    sys.argv[1:] = job  # Lightning starts further processes with the same
    return job


if __name__ == "__main__":
    sys.exit(main(*_arguments()))
