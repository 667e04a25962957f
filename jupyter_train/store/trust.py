"""Verifies a run's folder against the hashes in the user's own store.

Another user who can write to a run folder could put a pickle, a table of checkpoints or a link there. So the store
keeps anchors: a random identity that lies in the folder too, the folder's owner, and the SHA-256 of every checkpoint.
Nothing is unpickled, executed, deleted or followed unless they agree. Training itself never checks.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from jupyter_train.exceptions import StoreError, UntrustedError
from jupyter_train.store.metrics.reader import Checkpoint, MetricReader
from jupyter_train.store.paths import user_name
from jupyter_train.store.private_files import create_new_file, is_foreign, open_private, opened_folder, other_writers
from jupyter_train.store.run_folder import RunFolder, folder_name

if TYPE_CHECKING:
    from jupyter_train.run import RunRecord

#: Anchors that are no files: the folder's random identity, and the user id of its owner.
IDENTITY = "identity"
OWNER = "owner"
#: Executed files that a release without anchors did not hash: trusted at first use.
_UNHASHED = ("payload.json",)
_MAX_IDENTITY_BYTES = 200


class AnchorStore(Protocol):
    """What of a `Store` verifies folders: its anchors, and whether its own file can be relied on."""

    @property
    def place(self) -> str:
        """The path or name of the database."""

    @property
    def is_foreign(self) -> bool:
        """Whether its file is another user's."""

    @property
    def other_writers(self) -> str:
        """Who else could write to its file; empty if only its user can."""

    def anchors_of(self, key: str) -> dict[str, str]:
        """The recorded hashes of a run's folder by name."""

    def has_other_runs_in(self, home: Path, key: str) -> bool:
        """Whether a folder holds other runs."""

    def check_owner(self, record: RunRecord) -> None:
        """Raises unless the run is this user's."""

    def adopt(self, key: str, hashes: Mapping[str, str], text: str) -> None:
        """Replaces all hashes of a run's folder."""


def create_identity(folder: RunFolder) -> dict[str, str]:
    """Writes a new folder's identity and returns its anchors.

    Raises:
        OSError: The identity cannot be written.
    """
    identity = secrets.token_hex(16).encode()
    with os.fdopen(create_new_file(folder.identity), "wb") as file:
        file.write(identity)
    return {IDENTITY: _sha256(identity), OWNER: str(os.lstat(folder.path).st_uid)}


def verify(store: AnchorStore, record: RunRecord) -> None:
    """Raises unless a run's folder is the one that the store has recorded.

    Raises:
        UntrustedError: It is another folder, or the folder or the store is another user's.
    """
    with _verified(store, record):
        pass


def checkpoint(store: AnchorStore, record: RunRecord, wanted: Checkpoint) -> Path:
    """The path of a checkpoint whose hash and folder the store has recorded.

    Raises:
        UntrustedError: The store has others.
    """
    verify(store, record)
    path = RunFolder(record.folder).inside(wanted.path)
    if store.anchors_of(record.key).get(wanted.path) != wanted.sha256:
        raise UntrustedError(
            f"`{wanted.path}` of `{record.ref}` is not a checkpoint that this run wrote, as the run store knows it; "
            f"it was not read. Another one: `%runs show {record.ref}`"
        )
    return path


def sharing_warning(store: AnchorStore, record: RunRecord) -> str:
    """A warning that other users can change the folder of runs, for the first run in it; empty where none can."""
    home = Path(record.folder).parent
    writers = "the other user it belongs to" if is_foreign(home) else other_writers(home) or other_writers(home.parent)
    if not writers or store.has_other_runs_in(home, record.key):
        return ""
    return (
        f"`{home}` can be changed by {writers}: files they put in place of a run's are not unpickled or executed, "
        "but the run's could be lost. `chmod go-w`, or another `JUPYTER_TRAIN_HOME`, prevents that"
    )


def is_own(record: RunRecord) -> bool:
    """Whether a run is this user's, so that its pickles may be loaded once they are verified."""
    return record.user == user_name()


@contextlib.contextmanager
def _verified(store: AnchorStore, record: RunRecord) -> Iterator[int | None]:
    """A descriptor of the run's verified folder; see `opened_folder`.

    Raises:
        UntrustedError: The folder is not the one the store has recorded.
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
    if writers := store.other_writers:
        raise UntrustedError(
            f"the run store `{store.place}` can be changed by {writers}: nothing of a run in it is unpickled, run or "
            f"deleted. `chmod go-w {store.place}` prevents that"
        )
    with contextlib.ExitStack() as stack:
        try:
            descriptor = stack.enter_context(opened_folder(folder.path))
            _check_folder(store, record, folder, descriptor)
        except OSError as err:
            raise _untrusted(record, err.strerror or str(err)) from err
        yield descriptor


def _check_folder(store: AnchorStore, record: RunRecord, folder: RunFolder, descriptor: int | None) -> None:
    anchors = store.anchors_of(record.key)
    if anchors.get(IDENTITY) == "":
        anchors = _adopt_at_first_use(store, record, folder)
    if not _matches(folder, descriptor, anchors):
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


def _matches(folder: RunFolder, descriptor: int | None, anchors: dict[str, str]) -> bool:
    status = os.fstat(descriptor) if descriptor is not None else os.lstat(folder.path)
    open_arguments = {"dir_fd": descriptor} if descriptor is not None else {}
    name = folder.identity.name if open_arguments else str(folder.identity)
    with os.fdopen(open_private(name, os.O_RDONLY, **open_arguments), "rb") as file:
        identity = file.read(_MAX_IDENTITY_BYTES)
    return anchors.get(IDENTITY) == _sha256(identity) and anchors.get(OWNER) == str(status.st_uid)


def _adopt_at_first_use(store: AnchorStore, record: RunRecord, folder: RunFolder) -> dict[str, str]:
    """The anchors of a run recorded before the store kept any, computed from its folder as it is now.

    Raises:
        UntrustedError: The folder is another user's.
        OSError: It cannot be written.
    """
    if folder.path.name != folder_name(record.name, record.code, record.key):
        raise _untrusted(record, "its name is not that of the run's folder")
    if folder.path.is_symlink() or is_foreign(folder.path):
        raise _untrusted(record, "it belongs to another user")
    return adopt(store, record, "trusted at first use: it was recorded before the store kept hashes of its files")


def trust_folder(store: AnchorStore, record: RunRecord) -> None:
    """Trusts a run's folder as it is now because its user says so.

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


def adopt(store: AnchorStore, record: RunRecord, reason: str) -> dict[str, str]:
    """Trusts a run's folder as it is now, adds an event to the run and returns the anchors.

    Raises:
        OSError: It cannot be written.
    """
    folder = RunFolder(record.folder)
    anchors = create_identity(folder)
    with contextlib.suppress(sqlite3.Error), MetricReader(folder.metrics) as reader:
        anchors |= {checkpoint.path: checkpoint.sha256 for checkpoint in reader.checkpoints()}
    for name in _UNHASHED:
        with contextlib.suppress(OSError):
            anchors[name] = file_hash(folder.path / name)
    store.adopt(record.key, anchors, reason)
    return anchors


@contextlib.contextmanager
def deleting(store: AnchorStore, record: RunRecord) -> Iterator[str]:
    """Deletes a run's folder on exit, once its rows are gone; yields why it is left instead, empty where it is not.

    A folder that is gone counts as deleted.
    """
    left_because = ""
    with contextlib.ExitStack() as stack:
        exists = os.path.lexists(record.folder)
        try:
            descriptor = stack.enter_context(_verified(store, record)) if exists else None
        except UntrustedError as err:
            left_because = f"the folder of `{record.ref}` was left where it is: {err}"
        yield left_because
        if exists and not left_because:
            RunFolder(record.folder).delete(descriptor)


def remove_leftovers(store: AnchorStore, record: RunRecord) -> list[int]:
    """Removes the temporary files of a killed process from a run's folder; returns their sizes in bytes.

    Raises:
        UntrustedError: The folder is not the one the run was recorded in.
    """
    leftovers = RunFolder(record.folder).leftovers()
    if leftovers:
        verify(store, record)
    sizes = [path.lstat().st_size for path in leftovers]
    for path in leftovers:
        path.unlink(missing_ok=True)
    return sizes


def file_hash(path: Path) -> str:
    """SHA-256 of a file; a link is not followed.

    Raises:
        OSError: It cannot be read.
    """
    with open(path, "rb", opener=open_private) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
