"""Files and folders of mode 0600 and 0700, whatever the umask; opened without following a symbolic link."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
#: Opening a pipe in place of a file would block.
_NON_BLOCKING = getattr(os, "O_NONBLOCK", 0)
_MODE = 0o600


def open_private(path: str | Path, flags: int, dir_fd: int | None = None) -> int:
    """A descriptor of a file, created with mode 0600 where `flags` allow it; also an `opener` for `open`.

    A symbolic link is never followed: with `O_CREAT` a new file replaces it.

    Raises:
        OSError: It cannot be opened, is no regular file, or is a link and `O_CREAT` is not set.
    """
    flags |= _NO_FOLLOW | _NON_BLOCKING | getattr(os, "O_CLOEXEC", 0)
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
    """Removes the permissions of other users, which an earlier release or a copy may have left."""
    if hasattr(os, "fchmod"):
        with contextlib.suppress(OSError):
            mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
            if mode & 0o077:
                os.fchmod(descriptor, mode & 0o700)


def make_all_private(folder: Path) -> None:
    """Removes the permissions of other users from every file in a folder: profilers and mirrors leave them."""
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


def create_new_file(path: Path) -> int:
    """A descriptor of a new file; a file that a killed process left under this name is removed first.

    Raises:
        OSError: It cannot be created.
    """
    path.unlink(missing_ok=True)
    return open_private(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)


def stays_inside(path: str) -> bool:
    """Whether a relative path from a table stays inside the run's folder."""
    return bool(path) and not os.path.isabs(path) and ".." not in Path(path).parts


def is_foreign(folder: Path) -> bool:
    """Whether a folder belongs to another user, who could replace anything in it.

    On a file system where one user owns every file (a mounted share, say) a temporary file there shows the owner.
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
    """Whether a file belongs to another user; see `is_foreign`."""
    if not hasattr(os, "geteuid") or not path.exists() or path.stat().st_uid in (os.geteuid(), 0):
        return False
    return path.stat().st_uid != path.parent.stat().st_uid or is_foreign(path.parent)


def other_writers(path: Path) -> str:
    """`its group` or `everybody` where they could write to a file or a folder; empty where only the user can."""
    status = path.stat()
    mode = status.st_mode
    if not hasattr(os, "geteuid") or mode & stat.S_ISVTX:
        return ""
    return "everybody" if mode & 0o002 else "its group" if mode & 0o020 and _has_other_members(status.st_gid) else ""


def _has_other_members(group: int) -> bool:
    """Whether a group may have other members; many systems create a group for each user alone."""
    import grp
    import pwd

    try:
        user, entry = pwd.getpwuid(os.geteuid()), grp.getgrgid(group)
    except KeyError:
        return True
    return group != user.pw_gid or entry.gr_name != user.pw_name or not set(entry.gr_mem) <= {user.pw_name}


def empty_and_remove(folder: Path, descriptor: int | None) -> None:
    """Removes a folder and its content, without following links in it.

    Args:
        folder: Its path.
        descriptor: The folder, opened before it was verified: a folder put at the path since then is not emptied.
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
def opened_folder(folder: Path) -> Iterator[int | None]:
    """A descriptor of a folder, links not followed; None where the system has no `dir_fd`.

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
