"""A detached run's process: `python -m jupyter_train.execution.worker RUN SHA256`; the environment names the store."""

from __future__ import annotations

import faulthandler
import importlib
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable

from jupyter_train.execution import crash, payload
from jupyter_train.execution.job import Job, changed, prepare
from jupyter_train.execution.standing_by import wait_for_job
from jupyter_train.execution.starting import CHANGES_VARIABLE, OWNED_VARIABLE, STAND_BY
from jupyter_train.run import RunRecord, RunStatus
from jupyter_train.store import RunFolder, RunWriter, Store, open_store
from jupyter_train.store.masked_output import mask_own_output
from jupyter_train.store.masking import mask
from jupyter_train.store.owner import OwnerLock

_MOST_LINE = 4000
_LOOK_S = 0.5


def main(run: str, sha256: str) -> int:
    """Trains one run; gives the exit code: 0 however training ended, as long as it is recorded."""
    mask_own_output()
    store = open_store()
    folder = RunFolder(store.get(run).folder)
    if os.environ.get(OWNED_VARIABLE) == run:
        return _share(folder, sha256)
    carrier = payload.carrier_of(folder)
    if carrier:
        payload.enter(folder)
        changes = json.loads(os.environ.get(CHANGES_VARIABLE, "{}"))
        return int(importlib.import_module(carrier).main(store, store.get(run), sha256, changes))
    lock = None
    if store.get(run).status is RunStatus.QUEUED:  # else another attempt, which is taken over once it is possible
        lock = OwnerLock(folder.lock)
        lock.acquire()
        store.update(run, pid=os.getpid())
    return _train(store, store.get(run), folder, sha256, lock)


def _train(store: Store, record: RunRecord, folder: RunFolder, sha256: str, lock: OwnerLock | None) -> int:
    """Trains a run; its lock is given back by the end of this process."""
    job = _job(folder, sha256)
    from jupyter_train.execution.attempt import attempt
    from jupyter_train.execution.inline import begin
    from jupyter_train.training.fit import last_line
    from jupyter_train.training.interrupt import InterruptWatch

    os.environ[OWNED_VARIABLE] = record.key  # for the processes that Lightning starts to share the work
    try:
        prepared = prepare(job)
        record, _lock, again = begin(store, job, prepared, (record, lock) if lock is not None else None)
    except Exception as err:
        if lock is not None:
            store.set_status(record.key, RunStatus.FAILED, record.attempt, message=last_line(err))
        else:
            crash.keep_refusal(folder.path, str(err))
        raise
    started_with = os.dup(2)  # once the output is taken, this still is the file we were started with
    faulthandler.enable(file=started_with)
    try:
        with InterruptWatch() as interrupt:
            outcome = attempt(store, job, prepared, record, interrupt, again)
    except BaseException as err:
        os.write(started_with, mask(traceback.format_exc()).encode("utf-8", "backslashreplace"))
        store.set_status(record.key, RunStatus.FAILED, record.attempt, ended_at=time.time(), message=last_line(err))
        raise
    interrupt.pass_on()
    if outcome.status is RunStatus.FINISHED:
        payload.discard(folder)
        store.update(record.key, payload="")
    return 0


def _job(folder: RunFolder, sha256: str) -> Job:
    remarks = payload.enter(folder)
    content = payload.read(folder, sha256)
    options = content["options"]
    if changes := os.environ.get(CHANGES_VARIABLE):
        options = changed(options, json.loads(changes))
    return Job(
        options, lambda _options: (content["model"], content["data"]), content["notebook"],
        content["parent"], content["provenance"], take_output, content["ckpt_path"],
        remarks, content["findings"],
    )  # fmt: skip


def _share(folder: RunFolder, sha256: str) -> int:
    """Trains along with the process that owns the run; what goes wrong here is written where that one's end is told."""
    threading.Thread(target=_leave_with, args=(os.getppid(),), daemon=True).start()
    job = _job(folder, sha256)
    from jupyter_train.execution.again import resumption_of
    from jupyter_train.training.fit import Surroundings, fit, last_line
    from jupyter_train.training.interrupt import InterruptWatch
    from jupyter_train.training.ranks import NoMailbox, NoWriter, SharedInbox

    prepared = prepare(job)
    around = Surroundings(
        job.config, folder, NoWriter(), SharedInbox(None), NoMailbox(), "", InterruptWatch(), job.ckpt_path,
        resumption_of(folder) if job.config.resume is not None else None,
        world_size=prepared.world_size, is_owner=False,
    )  # fmt: skip
    outcome = fit(prepared.module, prepared.source, around)
    if outcome.error is None:
        return 0
    text = "".join(traceback.format_exception(outcome.error))
    sys.stderr.write(text)
    crash.keep_rank(folder.path, os.environ.get("LOCAL_RANK", "?"), text, last_line(outcome.error))
    return 1


def _leave_with(parent: int) -> None:
    """Ends this process when the one that owns the run has died: nobody records what it does any more."""
    while os.getppid() == parent:
        time.sleep(_LOOK_S)
    os._exit(1)


def take_output(_record: RunRecord, writer: RunWriter | None) -> None:
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
        while line := stream.readline(_MOST_LINE):
            line, rest = rest + line, b""
            if not line.endswith(b"\n") and b" " in line:  # cut between words: half a secret is not masked
                line, _, rest = line.rpartition(b" ")
            log(line.decode("utf-8", "replace"))
        if rest:
            log(rest.decode("utf-8", "replace"))


def _arguments() -> tuple[str, str]:
    """The run and its payload's hash, as typed or, for a process that stands by, as told."""
    if sys.argv[1] != STAND_BY:
        return sys.argv[1], sys.argv[2]
    job = wait_for_job(sys.argv[2:])
    if job is None:
        sys.exit(0)
    sys.argv[1:] = job  # Lightning starts further processes with the same
    return job


if __name__ == "__main__":
    sys.exit(main(*_arguments()))
