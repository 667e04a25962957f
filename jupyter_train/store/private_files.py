"""Files and folders that are the user's alone: opened without following a link, whatever the umask mode 0600."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import IO, Any

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
#: A pipe in the place of a file would keep whoever opens it waiting.
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)
_MODE = 0o600


def open_private(path: str | Path, flags: int, dir_fd: int | None = None) -> int:
    """A descriptor of a file, made with mode 0600 where it is missing; also an `opener` for `open`.

    A symbolic link is not followed: a file that may be made takes its place.

    Raises:
        OSError: It cannot be opened, is no regular file, or is a link where a file was to be read.
    """
    flags |= _NO_FOLLOW | _NO_WAIT | getattr(os, "O_CLOEXEC", 0)
    try:
        descriptor = os.open(path, flags, _MODE, dir_fd=dir_fd)
    except OSError as err:
        if err.errno != errno.ELOOP:
            raise
        if not flags & os.O_CREAT:
            raise OSError(errno.ELOOP, "it is a symbolic link, which is not followed", str(path)) from err
        os.unlink(path, dir_fd=dir_fd)
        descriptor = os.open(path, flags, _MODE, dir_fd=dir_fd)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    if flags & (os.O_WRONLY | os.O_RDWR):
        _make_private(descriptor)
    return descriptor


def _make_private(descriptor: int) -> None:
    """Takes from others what an earlier release, or a copy, let them have."""
    if hasattr(os, "fchmod"):
        with contextlib.suppress(OSError):
            mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
            if mode & 0o077:
                os.fchmod(descriptor, mode & 0o700)


def make_all_private(folder: Path) -> None:
    """Takes from others what profilers, mirrors and users have written into a folder without thinking of them."""
    for root, _, names in os.walk(folder):
        for path in (os.path.join(root, name) for name in names):
            with contextlib.suppress(OSError):
                mode = os.lstat(path).st_mode
                if stat.S_ISREG(mode) and mode & 0o077:
                    descriptor = open_private(path, os.O_RDONLY)
                    _make_private(descriptor)
                    os.close(descriptor)


def open_to_append(path: Path, buffering: int = -1) -> IO[bytes]:
    """A file to append bytes to.

    Args:
        path: The file.
        buffering: As for `open`; 0 for none.

    Raises:
        OSError: It cannot be opened.
    """
    return open(path, "ab", buffering, opener=open_private)


def open_to_read(path: Path) -> io.BufferedReader:
    """A file to read bytes from.

    Raises:
        OSError: It cannot be opened, or its name is a symbolic link.
    """
    return open(path, "rb", opener=open_private)


def create_anew(path: Path) -> int:
    """A descriptor of a new file; one that a killed process with the same number left there goes first.

    Raises:
        OSError: It cannot be made.
    """
    path.unlink(missing_ok=True)
    return open_private(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)


def stays_inside(path: str) -> bool:
    """Whether a path, relative to a run's folder, leads to a file in it; a table may say anything."""
    return bool(path) and not os.path.isabs(path) and ".." not in Path(path).parts


def is_foreign(folder: Path) -> bool:
    """Whether a folder belongs to somebody else, who could put anything in the place of what lies in it.

    A file system that gives every file to one user (a mounted share, say) is told by a file made there.
    """
    if not hasattr(os, "geteuid") or not folder.exists():
        return False
    owners = {os.lstat(folder).st_uid, folder.stat().st_uid} - {os.geteuid(), 0}
    if not owners:
        return False
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            return owners != {os.fstat(file.fileno()).st_uid}
    except OSError:
        return True


def is_foreign_file(path: Path) -> bool:
    """The same of a file: whether it is another user's."""
    if not hasattr(os, "geteuid") or not path.exists() or path.stat().st_uid in (os.geteuid(), 0):
        return False
    return path.stat().st_uid != path.parent.stat().st_uid or is_foreign(path.parent)


def who_else_writes(path: Path) -> str:
    """`its group` or `everybody` where they could write a file, or rename what lies in a folder; else empty."""
    found = path.stat()
    mode = found.st_mode
    if not hasattr(os, "geteuid") or mode & stat.S_ISVTX:
        return ""
    return "everybody" if mode & 0o002 else "its group" if mode & 0o020 and _has_others(found.st_gid) else ""


def _has_others(group: int) -> bool:
    """Whether anybody else may be in a group: not in one of a user's own, which many systems make for each."""
    import grp
    import pwd

    try:
        me, found = pwd.getpwuid(os.geteuid()), grp.getgrgid(group)
    except KeyError:
        return True
    return group != me.pw_gid or found.gr_name != me.pw_name or not set(found.gr_mem) <= {me.pw_name}


def empty_and_remove(folder: Path, descriptor: int | None) -> None:
    """Removes a folder and all that is in it, and nothing that links in it lead to.

    Args:
        folder: Its path.
        descriptor: The folder, opened before it was looked at; what lies at the path by now is not emptied.
    """
    if descriptor is None:
        shutil.rmtree(folder, ignore_errors=True)
        return
    for entry in os.listdir(descriptor):
        with contextlib.suppress(OSError):
            if stat.S_ISDIR(os.stat(entry, dir_fd=descriptor, follow_symlinks=False).st_mode):
                shutil.rmtree(entry, dir_fd=descriptor, ignore_errors=True)
            else:
                os.unlink(entry, dir_fd=descriptor)
    with contextlib.suppress(OSError):
        folder.rmdir()


@contextlib.contextmanager
def opened_folder(folder: Path) -> Any:
    """A descriptor of a folder, not of what a link leads to; None where the system has no such thing.

    Raises:
        OSError: It is no folder, or cannot be opened.
    """
    if os.open not in os.supports_dir_fd:
        yield None
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | _NO_FOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
