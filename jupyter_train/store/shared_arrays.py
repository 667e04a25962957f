"""Large arrays shared by several runs: stored once by their hash, and memory-mapped where they are read.

The bytes of an array lie in `.arrays/SHA256` beside the run folders. Every run that uses them has a hard link
of its own: the file system counts the users, and deleting a run stays deleting its folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from jupyter_train.exceptions import StoreError
from jupyter_train.store import paths
from jupyter_train.store.paths import make_private_folder
from jupyter_train.store.private_files import is_foreign, open_to_read
from jupyter_train.store.run_folder import RunFolder, write_atomically

_SHARED = ".arrays"
_OWN = "arrays"
_SPARE_BYTES = 64 * 1024**2


def check_room(home: Path, size: int) -> None:
    """Raises where writing `size` bytes would fill the disk.

    Args:
        home: The folder of the run folders; it may not exist yet.
        size: Bytes to write.

    Raises:
        StoreError: There is no space for them, or the folder cannot be written.
    """
    paths.check_room(home, size + _SPARE_BYTES)


def store_bytes(folder: RunFolder, content: memoryview) -> str:
    """Stores the bytes for a run, or links those another run has stored; returns their SHA-256.

    Raises:
        OSError: They cannot be written.
    """
    name = hashlib.sha256(content).hexdigest()
    shared = make_private_folder(folder.path.parent / _SHARED) / name
    own = make_private_folder(folder.path / _OWN) / name
    for _ in range(3):  # another process may sweep between the check and the link
        if not shared.exists():
            write_atomically(shared, content)
        with contextlib.suppress(FileNotFoundError, FileExistsError):
            os.link(shared, own)
        if own.exists():
            return name
    write_atomically(own, content)
    return name


def mapped(folder: RunFolder, name: str) -> mmap.mmap:
    """The memory-mapped bytes of an array; writing to them does not change the file.

    Raises:
        StoreError: Their hash is another.
    """
    path = folder.path / _OWN / name
    with open_to_read(path) as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    if hashlib.sha256(content).hexdigest() != name:
        raise StoreError(f"`{path}` is not what was written there; it was not read")
    return content


def release(folder: RunFolder) -> None:
    """Removes a run's links, and the arrays that no run uses any more."""
    shutil.rmtree(folder.path / _OWN, ignore_errors=True)
    sweep(folder.path.parent)


def sweep(home: Path) -> None:
    """Deletes the arrays beside the run folders of `home` that no run uses any more."""
    with contextlib.suppress(OSError):
        shared = home / _SHARED
        if shared.is_symlink() or is_foreign(shared):
            return
        for path in _array_files(shared):
            if path.stat().st_nlink == 1:
                path.unlink(missing_ok=True)


def _array_files(folder: Path) -> Iterable[Path]:
    return [path for path in folder.iterdir() if len(path.name) == hashlib.sha256().digest_size * 2]
