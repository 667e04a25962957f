"""The lock of a run: the process that trains it holds it, and the system frees it when that process dies."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
import weakref
from pathlib import Path

from jupyter_train.exceptions import RunStateError, StoreError
from jupyter_train.run import RunRecord
from jupyter_train.store import pending_end
from jupyter_train.store.private_files import open_private

#: An owner without a heartbeat for this long may be replaced, even where its process seems to live.
LEASE_S = 30.0
_IS_WINDOWS = sys.platform == "win32"
_held: weakref.WeakSet[RunLock]


def silence_s(record: RunRecord) -> float:
    """Seconds since the last heartbeat of a live run's owner."""
    return max(0.0, time.time() - (record.heartbeat_at or record.started_at or record.created_at))


class RunLock:
    """An exclusive OS lock on `owner.lock` in a run folder.

    `flock` belongs to the open file, so a forked child (a DataLoader worker) would keep it alive after
    its parent's death; children therefore close it as soon as they exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        self._is_release_requested = False
        self._may_release = threading.Event()
        self._may_release.set()

    def acquire(self, timeout_s: float = 2.0) -> None:
        """Takes the lock, waiting up to `timeout_s` seconds.

        Raises:
            RunStateError: Another live process holds it.
            StoreError: The folder cannot be written.
        """
        try:
            descriptor = open_private(self.path, os.O_RDWR | os.O_CREAT)
        except OSError as err:
            raise StoreError(f"cannot write to `{self.path.parent}` ({err.strerror}); nothing was begun") from err
        deadline = time.monotonic() + timeout_s
        while not _try_lock(descriptor):
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise RunStateError(f"`{self.path.parent.name}` is being trained by another live process")
            time.sleep(0.02)
        pending_end.reserve(descriptor)
        self._descriptor = descriptor
        _held.add(self)

    def defer_release(self) -> None:
        """Defers `release` until `allow_release`: something of the run is still to be written."""
        self._may_release.clear()

    def allow_release(self) -> None:
        """Allows `release`, and releases the lock where that was requested meanwhile."""
        self._may_release.set()
        if self._is_release_requested:
            self.release()

    def wait(self, timeout_s: float) -> bool:
        """Waits until `release` is allowed; False where it is not after `timeout_s` seconds."""
        return self._may_release.wait(timeout_s)

    def release(self) -> None:
        """Releases the lock, or does so once it is allowed; harmless when not held."""
        self._is_release_requested = True
        if not self._may_release.is_set():
            return
        self.close()

    def close(self) -> None:
        """Closes the file at once; also called in a forked child, which owns no run."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        _held.discard(self)


_held = weakref.WeakSet()


def _close_in_child() -> None:
    for lock in list(_held):
        lock.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)


def lock_of(path: Path) -> RunLock | None:
    """The lock at `path`, where this process holds it."""
    return next((lock for lock in list(_held) if lock.path == path), None)


def is_held(path: Path) -> bool:
    """True while a live process on this host holds the lock at `path`."""
    if lock_of(path) is not None:
        return True
    try:
        descriptor = open_private(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return not _try_lock(descriptor, shared=True)
    finally:
        os.close(descriptor)


def is_alive(pid: int) -> bool:
    """Whether a process with this id runs on this host."""
    if _IS_WINDOWS:
        import psutil

        return bool(psutil.pid_exists(pid))
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # another user's process
    return True


def _try_lock(descriptor: int, shared: bool = False) -> bool:
    if _IS_WINDOWS:
        import msvcrt

        with contextlib.suppress(OSError):
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
            return True
        return False
    import fcntl

    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
