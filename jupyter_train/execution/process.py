"""Carries a run out in a process of its own, which survives this one."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from jupyter_train.exceptions import RunStateError, StoreError
from jupyter_train.execution import payload
from jupyter_train.execution.job import Job, Prepared, create, prepare
from jupyter_train.run import RunRecord, RunStatus
from jupyter_train.store import RunFolder, Store
from jupyter_train.store.locations import STORE_VARIABLE

CRASH_FILE = "crash.txt"


@dataclass
class Launched:
    """A run that trains elsewhere by now.

    Attributes:
        record: Its row as it was when the process started.
        prepared: The model and data of this process, untouched.
    """

    record: RunRecord
    prepared: Prepared


def launch(store: Store, job: Job) -> Launched:
    """Starts a worker for the job and gives the run at once.

    Raises:
        JupyterTrainError: Model, data or options do not fit, or cannot be taken to another process; no run was made.
    """
    from jupyter_train.training import seeds

    kernel_state = seeds.KernelRandomState()
    try:
        prepared = prepare(job)
    finally:
        kernel_state.restore()
    content = payload.pickled(
        {
            "model": prepared.model,
            "data": prepared.data,
            "options": job.config,
            "provenance": job.provenance,
            "notebook": job.notebook,
            "parent": job.parent,
            "ckpt_path": job.ckpt_path,
        }
    )
    record = create(store, job, prepared.model)
    folder = RunFolder(record.folder)
    try:
        process = _start(store, record, folder, payload.write(folder, content))
    except OSError as err:
        message = f"its process could not be started: {err.strerror or err}"
        store.set_status(record.key, RunStatus.FAILED, ended_at=time.time(), message=message)
        raise StoreError(f"`{record.ref}`: {message}") from err
    watcher = threading.Thread(target=_tell_how_it_ended, args=(process, store, record.key), daemon=True)
    watcher.start()
    return Launched(record, prepared)


def _start(store: Store, record: RunRecord, folder: RunFolder, sha256: str) -> subprocess.Popen[bytes]:
    paths = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    environment[STORE_VARIABLE] = store.url  # not in the arguments: everybody on the machine can read those
    command = [sys.executable, "-m", "jupyter_train.execution.worker", record.key, sha256]
    descriptor = os.open(folder.path / CRASH_FILE, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=descriptor, stderr=descriptor, env=environment,
            start_new_session=True,  # else a restart of the kernel would take it along
        )  # fmt: skip
    finally:
        os.close(descriptor)


def _tell_how_it_ended(process: subprocess.Popen[bytes], store: Store, run: str) -> None:
    """Says why a worker died without a word, as long as somebody is here who knows its exit status."""
    code = process.wait()
    with contextlib.suppress(StoreError, RunStateError):
        record = store.get(run)
        if code and (record.status.is_live or record.status is RunStatus.QUEUED):
            store.set_status(run, RunStatus.FAILED, ended_at=time.time(), message=_words(code, record))


def _words(code: int, record: RunRecord) -> str:
    crash = Path(record.folder, CRASH_FILE)
    lines = crash.read_text(encoding="utf-8", errors="replace").strip().splitlines() if crash.exists() else []
    if code == -signal.SIGKILL:
        return (
            "its process was killed (SIGKILL); the system does that when memory runs out. Everything until then is kept"
        )
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        return f"its process was ended by {name}"
    return f"its process ended with exit code {code}" + (f": {lines[-1][:300]}" if lines else "")
