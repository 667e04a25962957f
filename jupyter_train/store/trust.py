"""What may be believed of a run's folder: what the user's own store vouches for.

Whoever can write to a run folder could put a pickle, a table of checkpoints or a link there. So the store keeps
anchors of what training wrote: a random identity that lies in the folder too, who owned the folder, and the SHA-256 of
every checkpoint. Nothing is unpickled, run, deleted or followed unless they agree. Training never asks.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_train.exceptions import StoreError, UntrustedError
from jupyter_train.store.metrics.reader import Checkpoint, MetricReader
from jupyter_train.store.paths import user_name
from jupyter_train.store.private_files import create_anew, is_foreign, open_private, opened_folder, who_else_writes
from jupyter_train.store.run_folder import RunFolder, folder_name

if TYPE_CHECKING:
    from jupyter_train.run import RunRecord
    from jupyter_train.store.runs import Store

#: Anchors that are no files: the folder's random identity, and the user's number its file system gives for it.
IDENTITY = "identity"
OWNER = "owner"
#: Files that a release without anchors hashed nowhere, which are run by: believed as they lie at first use.
_UNHASHED = ("payload.json",)
_MAX_IDENTITY_BYTES = 200


def mark(folder: RunFolder) -> dict[str, str]:
    """Gives a new folder its identity; gives the anchors of it.

    Raises:
        OSError: It cannot be written.
    """
    identity = secrets.token_hex(16).encode()
    with os.fdopen(create_anew(folder.identity), "wb") as file:
        file.write(identity)
    return {IDENTITY: _sha256(identity), OWNER: str(os.lstat(folder.path).st_uid)}


def verify(store: Store, record: RunRecord) -> None:
    """Raises unless a run's folder is the one the store knows.

    Raises:
        UntrustedError: It is another, another user's, or the store itself is.
    """
    with _verified(store, record):
        pass


def checkpoint(store: Store, record: RunRecord, found: Checkpoint) -> Path:
    """The path of a checkpoint that may be read whole: the store has its hash, and knows the folder.

    Raises:
        UntrustedError: They do not agree.
    """
    verify(store, record)
    path = RunFolder(record.folder).inside(found.path)
    if store.anchors_of(record.key).get(found.path) != found.sha256:
        raise UntrustedError(
            f"`{found.path}` of `{record.ref}` is not a checkpoint that this run wrote, as the run store knows it; "
            f"it was not read. Another one: `%runs show {record.ref}`"
        )
    return path


def remark(store: Store, record: RunRecord) -> str:
    """Who else could change the folder of runs, in words, for the first run there; empty where nobody could."""
    home = Path(record.folder).parent
    who = "the other user it belongs to" if is_foreign(home) else who_else_writes(home) or who_else_writes(home.parent)
    if not who or store.has_others_in(home, record.key):
        return ""
    return (
        f"`{home}` can be changed by {who}: what they would put in the place of a run's files is not unpickled or "
        "run, but the files could be lost. `chmod go-w`, or another `JUPYTER_TRAIN_HOME`, puts an end to that"
    )


def is_own(record: RunRecord) -> bool:
    """Whether a run is this user's, so that what it pickled may be unpickled once it is verified."""
    return record.user == user_name()


@contextlib.contextmanager
def _verified(store: Store, record: RunRecord) -> Iterator[int | None]:
    """A descriptor of the run's folder, which is the one the store knows; see `opened_folder`.

    Raises:
        UntrustedError: It is not.
    """
    folder = RunFolder(record.folder)
    if not is_own(record):
        raise UntrustedError(
            f"`{record.ref}` belongs to {record.user}: nothing of it is unpickled, run or deleted here"
        )
    if store.is_foreign:
        raise UntrustedError(
            f"the run store `{store.place}` belongs to another user: nothing of a run in it is unpickled, run or "
            "deleted. Name your own with `JUPYTER_TRAIN_STORE`"
        )
    if who := store.who_else_writes:
        raise UntrustedError(
            f"the run store `{store.place}` can be changed by {who}: nothing of a run in it is unpickled, run or "
            f"deleted. `chmod go-w {store.place}` puts an end to that"
        )
    with contextlib.ExitStack() as stack:
        try:
            descriptor = stack.enter_context(opened_folder(folder.path))
            _check(store, record, folder, descriptor)
        except OSError as err:
            raise _untrusted(record, err.strerror or str(err)) from err
        yield descriptor


def _check(store: Store, record: RunRecord, folder: RunFolder, descriptor: int | None) -> None:
    anchors = store.anchors_of(record.key)
    if anchors.get(IDENTITY) == "":
        anchors = _adopt(store, record, folder)
    if not _agrees(folder, descriptor, anchors):
        raise _untrusted(record, "it is not the one this run was recorded in")
    if is_foreign(folder.path):
        raise _untrusted(record, "it belongs to another user")
    for inner in (folder.checkpoints, folder.media, folder.notebook):
        if inner.is_symlink():
            raise _untrusted(record, f"`{inner.name}` in it is a symbolic link")


def _untrusted(record: RunRecord, reason: str) -> UntrustedError:
    return UntrustedError(
        f"the folder of `{record.ref}` cannot be trusted ({reason}): nothing in `{record.folder}` is unpickled, run or "
        f"deleted. If you put it there yourself: `jupyter train doctor --adopt {record.folder} --trust`"
    )


def _agrees(folder: RunFolder, descriptor: int | None, anchors: dict[str, str]) -> bool:
    status = os.fstat(descriptor) if descriptor is not None else os.lstat(folder.path)
    where = {"dir_fd": descriptor} if descriptor is not None else {}
    name = folder.identity.name if where else str(folder.identity)
    with os.fdopen(open_private(name, os.O_RDONLY, **where), "rb") as file:
        identity = file.read(_MAX_IDENTITY_BYTES)
    return anchors.get(IDENTITY) == _sha256(identity) and anchors.get(OWNER) == str(status.st_uid)


def _adopt(store: Store, record: RunRecord, folder: RunFolder) -> dict[str, str]:
    """The anchors of a run that was recorded before there were any, taken from its folder as it lies now.

    Raises:
        UntrustedError: The folder is another user's.
        OSError: It cannot be written.
    """
    if folder.path.name != folder_name(record.name, record.code, record.key):
        raise _untrusted(record, "it is not called as a run's folder is")
    if folder.path.is_symlink() or is_foreign(folder.path):
        raise _untrusted(record, "it belongs to another user")
    return adopt(store, record, "trusted at first use: it was recorded before the store kept hashes of its files")


def believe(store: Store, record: RunRecord) -> None:
    """Believes a run's folder because its user says so.

    Raises:
        UntrustedError: The folder is a link, or another user's.
        StoreError: It cannot be written.
    """
    store.check_owner(record)
    if os.path.islink(record.folder) or is_foreign(Path(record.folder)):
        raise UntrustedError(f"`{record.folder}` is a link, or another user's; copy it to a folder of your own first")
    try:
        adopt(store, record, "trusted as its folder lies, by its user")
    except OSError as err:
        raise StoreError(f"`{record.folder}` cannot be read or written ({err.strerror or err})") from err


def adopt(store: Store, record: RunRecord, words: str) -> dict[str, str]:
    """Believes a run's folder as it lies now, and says so on the run; gives its anchors.

    Raises:
        OSError: It cannot be written.
    """
    folder = RunFolder(record.folder)
    anchors = mark(folder)
    with contextlib.suppress(sqlite3.Error), MetricReader(folder.metrics) as reader:
        anchors |= {one.path: one.sha256 for one in reader.checkpoints()}
    for name in _UNHASHED:
        with contextlib.suppress(OSError):
            anchors[name] = file_hash(folder.path / name)
    store.adopt(record.key, anchors, words)
    return anchors


@contextlib.contextmanager
def deleting(store: Store, record: RunRecord) -> Iterator[str]:
    """Deletes a run's folder at the end, once its rows are gone; gives why it will be left alone, in words, if it will.

    A folder that is gone is as good as deleted.
    """
    why_not = ""
    with contextlib.ExitStack() as stack:
        is_there = os.path.lexists(record.folder)
        try:
            descriptor = stack.enter_context(_verified(store, record)) if is_there else None
        except UntrustedError as err:
            why_not = f"the folder of `{record.ref}` was left where it is: {err}"
        yield why_not
        if is_there and not why_not:
            RunFolder(record.folder).delete(descriptor)


def remove_leftovers(store: Store, record: RunRecord) -> list[int]:
    """Removes what a killed process left half written in a run's folder; gives the sizes in bytes.

    Raises:
        UntrustedError: The folder is not the one the run was recorded in.
    """
    found = RunFolder(record.folder).leftovers()
    if found:
        verify(store, record)
    sizes = [path.lstat().st_size for path in found]
    for path in found:
        path.unlink(missing_ok=True)
    return sizes


def file_hash(path: Path) -> str:
    """SHA-256 of a file, which is no link.

    Raises:
        OSError: It cannot be read.
    """
    with open(path, "rb", opener=open_private) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
