"""Large arrays that several runs were given: kept once, by their content, and mapped into memory where they are read.

The bytes of an array lie in `.arrays/SHA256` beside the run folders; every run that needs them has a hard link of its
own, so that the file system counts who needs them and deleting a run deletes its folder, as always.
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
    """Refuses to write what would fill the disk.

    Args:
        home: Where run folders lie; it may not exist yet.
        size: Bytes to be written.

    Raises:
        StoreError: There is no room for them, or the folder cannot be written.
    """
    paths.check_room(home, size + _SPARE_BYTES)


def keep(folder: RunFolder, content: memoryview) -> str:
    """Keeps the bytes for a run, unless another one keeps the same; gives their SHA-256.

    Raises:
        OSError: They cannot be written.
    """
    name = hashlib.sha256(content).hexdigest()
    shared = make_private_folder(folder.path.parent / _SHARED) / name
    own = make_private_folder(folder.path / _OWN) / name
    for _ in range(3):  # another process may sweep between the look and the link
        if not shared.exists():
            write_atomically(shared, content)
        with contextlib.suppress(FileNotFoundError, FileExistsError):
            os.link(shared, own)
        if own.exists():
            return name
    write_atomically(own, content)
    return name


def mapped(folder: RunFolder, name: str) -> mmap.mmap:
    """The bytes of an array, writable in memory and never in the file.

    Raises:
        StoreError: They are not what was written.
    """
    path = folder.path / _OWN / name
    with open_to_read(path) as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    if hashlib.sha256(content).hexdigest() != name:
        raise StoreError(f"`{path}` is not what was written there; it was not read")
    return content


def let_go(folder: RunFolder) -> None:
    """Gives up what a run kept, and deletes what no run keeps any more."""
    shutil.rmtree(folder.path / _OWN, ignore_errors=True)
    sweep(folder.path.parent)


def sweep(home: Path) -> None:
    """Deletes the arrays beside the run folders of `home` that no run keeps any more."""
    with contextlib.suppress(OSError):
        shared = home / _SHARED
        if shared.is_symlink() or is_foreign(shared):
            return
        for path in _files(shared):
            if path.stat().st_nlink == 1:
                path.unlink(missing_ok=True)


def _files(folder: Path) -> Iterable[Path]:
    return [path for path in folder.iterdir() if len(path.name) == hashlib.sha256().digest_size * 2]
