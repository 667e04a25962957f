"""Makes this process the owner of a run whose owner is dead, or has hung for longer than its lease."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from jupyter_train.events import RunKind, magic_of
from jupyter_train.exceptions import RunStateError, UntrustedError
from jupyter_train.run import RunRecord, RunStatus
from jupyter_train.store import trust
from jupyter_train.store.metrics.reader import Checkpoint
from jupyter_train.store.metrics.rewind import begin_attempt
from jupyter_train.store.paths import host_name
from jupyter_train.store.run_folder import RunFolder
from jupyter_train.store.run_lock import LEASE_S, RunLock, is_held, silence_s
from jupyter_train.store.runs import Store

#: How long a process may take to exit once its run has ended.
_EXIT_TIMEOUT_S = 30.0

#: Returns the checkpoint from which the next attempt resumes; None where it has to begin at step 0.
Choose = Callable[[RunRecord], Checkpoint | None]


def own(record: RunRecord) -> RunLock:
    """Makes this process the owner of a run that it has just recorded; returns the run's lock, held.

    Raises:
        RunStateError: Another process holds it.
    """
    lock = RunLock(RunFolder(record.folder).lock)
    lock.acquire()
    return lock


def own_queued(store: Store, record: RunRecord) -> RunLock:
    """Makes this process the owner of a QUEUED run that another one has recorded for it; returns its lock, held.

    Raises:
        RunStateError: Another process holds it.
    """
    lock = own(record)
    store.update(record.key, pid=os.getpid(), summary={"waits_for": "model and data, which its process reads"})
    return lock


def take_over(
    store: Store, key: str, lease_s: float = LEASE_S, choose: Choose | None = None, is_part: bool = False
) -> tuple[RunRecord, RunLock]:
    """Begins the next attempt of a run that no process trains.

    An earlier owner that wakes up cannot write any more: each of its transactions checks the attempt's number.

    Args:
        store: The store.
        key: The run.
        lease_s: Seconds without a heartbeat after which a living owner may be replaced.
        choose: Chooses the checkpoint to rewind the history to; without it the history stays.
        is_part: Whether the caller also resumes the run that this one is a part of.

    Returns:
        The run, RUNNING, and its lock, held.

    Raises:
        UntrustedError: Its folder is not the one it was recorded in.
        RunStateError: Another process trains it or is about to, or it is another user's.
        RunNotFoundError: The store has no such run.
    """
    record = store.get(key)
    folder = RunFolder(record.folder)
    is_hung = check_can_resume(store, record, lease_s, is_part)
    trust.verify(store, record)
    if is_hung:
        folder.lock.unlink(missing_ok=True)  # the hung process keeps its lock on the unlinked file
    lock = RunLock(folder.lock)
    _acquire(lock, store, key)
    try:
        if store.settle(key):
            record = store.get(key)
        checkpoint = choose(record) if choose is not None else None
        record = store.begin_attempt(record)
        is_restart = choose is not None and checkpoint is None
        for path in begin_attempt(folder.metrics, record.attempt, checkpoint, is_restart):
            with contextlib.suppress(OSError, UntrustedError):
                folder.inside(path).unlink()
    except BaseException:
        lock.release()
        raise
    return record, lock


def _acquire(lock: RunLock, store: Store, key: str) -> None:
    """Takes the lock; where the run has ended, waits for the process that trained it to exit.

    Raises:
        RunStateError: Another live process holds it.
        StoreError: The folder cannot be written.
    """
    deadline = time.monotonic() + _EXIT_TIMEOUT_S
    while True:
        try:
            return lock.acquire()
        except RunStateError:
            if time.monotonic() > deadline or not store.get(key).status.has_ended:
                raise


def check_can_resume(store: Store, record: RunRecord, lease_s: float = LEASE_S, is_part: bool = False) -> bool:
    """Raises unless another attempt may begin; returns whether a hung process still holds the lock.

    Raises:
        RunStateError: Another process trains it or is about to, or it is another user's.
    """
    store.check_owner(record)
    if record.kind == RunKind.FOLD and not is_part:
        parent = store.get(record.parent).ref if record.parent else "the run that it is a part of"
        raise RunStateError(f"`{record.ref}` is one of several fits, which resume together: resume `{parent}`")
    if record.status is RunStatus.QUEUED and store.status_of(record) is RunStatus.QUEUED:
        raise RunStateError(f"`{record.ref}` is queued: it waits for {record.waits_for or 'its process'}")
    return record.status.is_live and _is_hung(record, RunFolder(record.folder).lock, lease_s)


def never_began_message(record: RunRecord) -> str:
    """Message about a QUEUED run whose process is gone, and what to type."""
    if record.payload:
        advice = f"`%runs resume {record.ref}` starts it again"
    else:
        typed = record.config.get("expressions", {})
        line = (
            f"{magic_of(record.kind)} {typed.get('model', 'MODEL')} {typed.get('data', 'DATA')} --resume {record.ref}"
        )
        advice = f"`{line}` begins it, `%runs rm {record.ref}` removes it"
    return f"its process is gone, and it had not begun; {advice}"


def _is_hung(record: RunRecord, lock: Path, lease_s: float) -> bool:
    silence = silence_s(record)
    if record.host != host_name():
        if silence <= lease_s:
            raise RunStateError(f"`{record.ref}` is being trained on {record.host}")
    elif is_held(lock):
        if silence <= lease_s:
            raise RunStateError(f"`{record.ref}` is being trained by process {record.pid}; stop it first")
        return True
    return False
