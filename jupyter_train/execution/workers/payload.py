"""What a run in its own process needs, in its folder: model, data, options, working folder and import path."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_train.exceptions import StoreError, UntrustedError
from jupyter_train.execution.workers.pickling import Pickled
from jupyter_train.store import shared_arrays, trust, unpickling
from jupyter_train.store.private_files import open_to_read
from jupyter_train.store.run_folder import RunFolder, write_atomically

if TYPE_CHECKING:
    from jupyter_train.run import RunRecord
    from jupyter_train.store import Store

_NAME = "payload.pickle"
#: Where an earlier release wrote what is now in the first line of the payload.
_PLACE = "payload.json"
#: What a payload can be besides one fit, and the module whose `main` runs it. What a file says is looked up here.
ENTRY_POINTS = {"fits": "jupyter_train.execution.detached_fits", "search": "jupyter_train.tuning.detached"}
#: What release 0.1 wrote in their place.
_OF_RELEASE_0_1 = {"jupyter_train.execution.detached_fits": "fits", "jupyter_train.tuning.detaching": "search"}


def write(folder: RunFolder, content: Pickled, entry_point: str = "") -> str:
    """Writes a payload into the run folder; gives the SHA-256 of its file, which names its arrays by their hashes.

    Args:
        folder: The run's.
        content: What is written.
        entry_point: Which of `ENTRY_POINTS` runs it; empty for one fit.

    Raises:
        OSError: It cannot be written.
    """
    head = {
        "arrays": [shared_arrays.store_bytes(folder, array) for array in content.arrays],
        "cwd": os.getcwd(),
        "path": [str(Path(entry).absolute()) if entry else os.getcwd() for entry in sys.path],
        "remarks": content.remarks,
        "carrier": entry_point,  # the name that release 0.1 reads it by
    }
    payload = json.dumps(head).encode() + b"\n" + content.stream
    write_atomically(folder.path / _NAME, payload)
    return hashlib.sha256(payload).hexdigest()


class Payload:
    """A payload of this very run, verified; nothing else is unpickled, nor decides what is run.

    Args:
        store: Where the run is recorded.
        record: The run.
        sha256: Hash of its payload, as the store has it.

    Attributes:
        sha256: The same.

    Raises:
        UntrustedError: The folder, or a file in it, is not what was written there.
        StoreError: It cannot be read.
    """

    def __init__(self, store: Store, record: RunRecord, sha256: str) -> None:
        trust.verify(store, record)
        self.sha256 = sha256
        self._folder = RunFolder(record.folder)
        head, _, self._stream = _verified(self._folder.path / _NAME, sha256).partition(b"\n")
        known = json.loads(head)
        if isinstance(known, list):
            place = _verified(self._folder.path / _PLACE, store.anchors_of(record.key).get(_PLACE, ""))
            known = {"arrays": known, **json.loads(place)}
        self._head: dict[str, Any] = known

    @property
    def module(self) -> str:
        """The module whose `main` runs it; empty for one fit.

        Raises:
            UntrustedError: It names none of `ENTRY_POINTS`.
        """
        named = str(self._head.get("carrier", ""))
        name = _OF_RELEASE_0_1.get(named, named)
        if name and name not in ENTRY_POINTS:
            known = ", ".join(f"`{known}`" for known in ENTRY_POINTS)
            raise UntrustedError(f"`{self._folder.path / _NAME}` names `{named}` to be run; expected one of {known}")
        return ENTRY_POINTS.get(name, "")

    def enter(self) -> list[str]:
        """Makes this process stand where the payload was made: working folder and import path.

        Returns:
            What the user is warned of.
        """
        os.chdir(self._head["cwd"])
        sys.path[:] = list(dict.fromkeys([*self._head["path"], *sys.path]))
        return [str(remark) for remark in self._head["remarks"]]

    def content(self) -> dict[str, Any]:
        """What was pickled. Large arrays are mapped, not read.

        Raises:
            StoreError: An array is not the one that was written.
        """
        buffers = [shared_arrays.mapped(self._folder, name) for name in self._head["arrays"]]
        content: dict[str, Any] = unpickling.loads(self._stream, buffers)
        return content


def _verified(path: Path, sha256: str) -> bytes:
    try:
        with open_to_read(path) as file:
            content = file.read()
    except OSError as err:
        raise StoreError(f"`{path}` cannot be read ({err.strerror or err})") from err
    if hashlib.sha256(content).hexdigest() != sha256:
        raise UntrustedError(f"`{path}` is not what was written there; it was not read")
    return content


def is_kept(folder: RunFolder) -> bool:
    """True while a payload is there."""
    return (folder.path / _NAME).exists()


def discard(folder: RunFolder) -> None:
    """Deletes a payload that is no longer needed."""
    for name in (_NAME, _PLACE):
        (folder.path / name).unlink(missing_ok=True)
    shared_arrays.release(folder)


def discard_of(store: Store, record: RunRecord) -> None:
    """Deletes the payload of a run that has finished: nothing resumes it from there any more."""
    discard(RunFolder(record.folder))
    store.update(record.key, payload="")
