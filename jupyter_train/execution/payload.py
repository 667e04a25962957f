"""What a run in its own process needs of this one: model, data and options, pickled by value into its folder."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
import sys
from pathlib import Path
from typing import Any

from jupyter_train.exceptions import StoreError, UsageError
from jupyter_train.store.folder import RunFolder, write_atomically

_NAME = "payload.pickle"
_PLACE = "payload.json"
_MOST_DEPTH = 8
#: Where torch keeps what a user reads as `model.layer`.
_INSIDE_MODULES = re.compile(r"\._(modules|parameters|buffers)(?=[.\[])")


def pickled(content: dict[str, Any]) -> bytes:
    """`content` as bytes that another process can read, with classes and functions of the notebook by value.

    Raises:
        UsageError: Something in it cannot be pickled; it is named by attribute.
    """
    import cloudpickle

    try:
        return bytes(cloudpickle.dumps(content, protocol=pickle.HIGHEST_PROTOCOL))
    except Exception as err:
        place, cause = _culprit(content, "", err, _MOST_DEPTH)
        reason = f"{type(cause).__name__}: {' '.join(str(cause).split())[:200]}"
        raise UsageError(
            f"`{_INSIDE_MODULES.sub('', place)}` cannot be taken to another process ({reason}); take it away, or train "
            "without `--detach`"
        ) from err


def _culprit(found: Any, name: str, err: Exception, depth: int) -> tuple[str, Exception]:
    """The innermost attribute, item or element that cannot be pickled."""
    for label, part in _parts(found) if depth else []:
        problem = _problem(part)
        if problem is not None:
            return _culprit(part, f"{name}{label}".lstrip("."), problem, depth - 1)
    return name or type(found).__name__, err


def _parts(found: Any) -> list[tuple[str, Any]]:
    if isinstance(found, dict):
        return [(_label(key), part) for key, part in found.items()]
    if isinstance(found, list | tuple):
        return [(f"[{index}]", part) for index, part in enumerate(found)]
    return [(f".{key}", part) for key, part in vars(found).items()] if hasattr(found, "__dict__") else []


def _label(key: Any) -> str:
    return f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{key!r}]"


def _problem(part: Any) -> Exception | None:
    import cloudpickle

    try:
        cloudpickle.dumps(part)
    except Exception as err:  # noqa: BLE001  as above
        return err
    return None


def write(folder: RunFolder, payload: bytes) -> str:
    """Writes a payload into the run folder; gives its SHA-256."""
    write_atomically(folder.path / _NAME, payload)
    place = {"cwd": os.getcwd(), "path": [str(Path(entry).absolute()) if entry else os.getcwd() for entry in sys.path]}
    write_atomically(folder.path / _PLACE, json.dumps(place).encode())
    return hashlib.sha256(payload).hexdigest()


def enter(folder: RunFolder) -> None:
    """Makes this process stand where the payload was made: working folder and import path."""
    place = json.loads((folder.path / _PLACE).read_text(encoding="utf-8"))
    os.chdir(place["cwd"])
    sys.path[:] = list(dict.fromkeys([*place["path"], *sys.path]))


def read(folder: RunFolder, sha256: str) -> dict[str, Any]:
    """A payload of this very run: nothing else is unpickled.

    Raises:
        StoreError: The file is not the one that was written.
    """
    payload = (folder.path / _NAME).read_bytes()
    if hashlib.sha256(payload).hexdigest() != sha256:
        raise StoreError(f"`{folder.path / _NAME}` is not what was written there; it was not read")
    content: dict[str, Any] = pickle.loads(payload)
    return content


def discard(folder: RunFolder) -> None:
    """Deletes a payload that nobody needs any more."""
    for name in (_NAME, _PLACE):
        (folder.path / name).unlink(missing_ok=True)
