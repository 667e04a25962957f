"""What a run in its own process needs of this one, in its folder: model, data, options, and where it stands."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import sys
from pathlib import Path
from typing import Any

from jupyter_train.exceptions import StoreError
from jupyter_train.execution.pickling import Pickled
from jupyter_train.store import arrays
from jupyter_train.store.folder import RunFolder, write_atomically

_NAME = "payload.pickle"
_PLACE = "payload.json"


def write(folder: RunFolder, content: Pickled, carrier: str = "") -> str:
    """Writes a payload into the run folder; gives the SHA-256 of its file, which names its arrays by theirs.

    Args:
        folder: The run's.
        content: What is written.
        carrier: The module whose `main` carries it out, where it is more than one fit.

    Raises:
        OSError: It cannot be written.
    """
    names = [arrays.keep(folder, array) for array in content.arrays]
    payload = json.dumps(names).encode() + b"\n" + content.stream
    write_atomically(folder.path / _NAME, payload)
    place = {
        "cwd": os.getcwd(),
        "path": [str(Path(entry).absolute()) if entry else os.getcwd() for entry in sys.path],
        "remarks": content.remarks,
        "carrier": carrier,
    }
    write_atomically(folder.path / _PLACE, json.dumps(place).encode())
    return hashlib.sha256(payload).hexdigest()


def enter(folder: RunFolder) -> list[str]:
    """Makes this process stand where the payload was made: working folder and import path.

    Returns:
        What the user shall be told of it.
    """
    place = json.loads((folder.path / _PLACE).read_text(encoding="utf-8"))
    os.chdir(place["cwd"])
    sys.path[:] = list(dict.fromkeys([*place["path"], *sys.path]))
    return [str(remark) for remark in place["remarks"]]


def carrier_of(folder: RunFolder) -> str:
    """The module that carries the payload out; empty for a fit."""
    return str(json.loads((folder.path / _PLACE).read_text(encoding="utf-8")).get("carrier", ""))


def read(folder: RunFolder, sha256: str) -> dict[str, Any]:
    """A payload of this very run: nothing else is unpickled. Large arrays are mapped, not read.

    Raises:
        StoreError: A file is not the one that was written.
    """
    payload = (folder.path / _NAME).read_bytes()
    if hashlib.sha256(payload).hexdigest() != sha256:
        raise StoreError(f"`{folder.path / _NAME}` is not what was written there; it was not read")
    names, _, stream = payload.partition(b"\n")
    content: dict[str, Any] = pickle.loads(stream, buffers=[arrays.mapped(folder, name) for name in json.loads(names)])
    return content


def is_kept(folder: RunFolder) -> bool:
    """True while a payload is there."""
    return (folder.path / _NAME).exists()


def discard(folder: RunFolder) -> None:
    """Deletes a payload that nobody needs any more."""
    for name in (_NAME, _PLACE):
        (folder.path / name).unlink(missing_ok=True)
    arrays.let_go(folder)
