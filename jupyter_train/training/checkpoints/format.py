"""A checkpoint's file: Lightning's own content as tensors and plain containers, everything else set apart.

What `torch.load(weights_only=True)` refuses (hyperparameters of any kind, states of callbacks) is pickled into one
block of bytes with a list of the places it was taken from. The file stays readable for Lightning, which finds
everything but those values; the bytes are unpickled only when the whole file is the one that was recorded.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import pickle
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch

from jupyter_train.exceptions import StoreError
from jupyter_train.store.folder import sync_folder

#: Under this name lies what is not Lightning's.
OURS = "jupyter_train"
FORMAT = 1
#: Among ours: what was set apart and pickled already when the content was copied.
PICKLED = "pickled"
_OBJECTS = "objects"
_PLAIN = (type(None), bool, int, float, str, bytes, torch.Size, torch.dtype, torch.device)
_KEYS = (str, int, float, bool)
_MISSING = object()

Where = tuple[str | int, ...]


@dataclass
class Apart:
    """A value that is no plain data, and where it lay."""

    where: Where
    value: Any

    @property
    def name(self) -> str:
        """The place as people read it: `hyper_parameters.encoder`."""
        return ".".join(str(part) for part in self.where)


def split(content: Any) -> tuple[Any, list[Apart]]:
    """Plain containers with the same content, and what had to be left out of them.

    Tensors are shared, not copied. A value left out of a list or tuple leaves a None.
    """
    apart: list[Apart] = []
    return _plain(content, (), apart, set()), apart


def _plain(value: Any, where: Where, apart: list[Apart], above: set[int]) -> Any:
    kind = type(value)
    if kind in _PLAIN or kind in (torch.Tensor, torch.nn.Parameter):
        return value
    if id(value) not in above:  # a container inside itself is no plain data
        inside = above | {id(value)}
        if kind in (dict, OrderedDict) and all(type(key) in _KEYS for key in value):
            return _plain_mapping(value, where, apart, inside)
        if kind in (list, tuple):
            items = [_plain(item, (*where, index), apart, inside) for index, item in enumerate(value)]
            return kind(None if item is _MISSING else item for item in items)
    apart.append(Apart(where, value))
    return _MISSING


def _plain_mapping(value: Any, where: Where, apart: list[Apart], above: set[int]) -> Any:
    items = {key: _plain(item, (*where, key), apart, above) for key, item in value.items()}
    found = type(value)((key, item) for key, item in items.items() if item is not _MISSING)
    if hasattr(value, "_metadata"):  # versions of the modules in a state_dict
        found._metadata = value._metadata
    return found


def pickled(apart: list[Apart]) -> tuple[dict[str, Any], dict[str, str]]:
    """The block of bytes for values set apart, and why some of them, by name, cannot be kept."""
    import cloudpickle

    index: list[Any] = []
    blob = bytearray()
    problems: dict[str, str] = {}
    for one in apart:
        try:
            stream = cloudpickle.dumps(one.value)
        except Exception as err:  # noqa: BLE001  whatever the user's object raises is why it cannot be kept
            problems[one.name] = " ".join(str(err).split())[:200] or type(err).__name__
            continue
        index.append([list(one.where), len(blob), len(stream)])
        blob += stream
    return {"index": index, "blob": torch.frombuffer(blob or bytearray(1), dtype=torch.uint8)}, problems


def _put_back(content: Any, objects: dict[str, Any]) -> None:
    blob = objects["blob"].numpy().tobytes()
    for where, start, length in objects["index"]:
        value = pickle.loads(blob[start : start + length])
        owner: Any = content
        *above, last = where
        trail = [(None, None, content)]
        for part in above:
            trail.append((owner, part, owner[part]))
            owner = owner[part]
        _set(trail, last, value)


def _set(trail: list[tuple[Any, Any, Any]], last: Any, value: Any) -> None:
    """Sets an item of the innermost container; tuples on the way are made anew."""
    owner = trail[-1][2]
    if isinstance(owner, tuple):
        changed = list(owner)
        changed[last] = value
        _set(trail[:-1], trail[-1][1], tuple(changed))
    else:
        owner[last] = value


def write(content: dict[str, Any], target: Path) -> tuple[int, str, dict[str, str]]:
    """Writes a checkpoint and proves that it can be read again.

    Args:
        content: What Lightning dumps, with ours under `OURS`.
        target: Its path; an older file of that name stays until this one is complete.

    Returns:
        Size in bytes, SHA-256, and what could not be kept: names and reasons.

    Raises:
        OSError: The disk refuses.
    """
    plain, apart = split(content)
    ours = dict(plain.get(OURS, {}))
    objects, problems = ours.pop(PICKLED, None) or pickled(apart)
    plain[OURS] = {**ours, "format": FORMAT, _OBJECTS: objects}
    size, sha256 = save_atomically(plain, target, prove=True)
    return size, sha256, problems


def in_stock_form(content: dict[str, Any]) -> dict[str, Any]:
    """A whole checkpoint as Lightning itself would have written it."""
    return {name: value for name, value in content.items() if name != OURS}


def save_atomically(content: Any, target: Path, prove: bool = False) -> tuple[int, str]:
    """`torch.save` through a temporary file in the target's folder; gives size and SHA-256.

    Raises:
        OSError: The disk refuses; the old file is as it was.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            hashing = _Hashing(file)
            _save(content, hashing)
            file.flush()
            os.fsync(file.fileno())
        if prove:
            torch.load(temporary, weights_only=True, mmap=True, map_location="cpu")
        os.replace(temporary, target)
        sync_folder(target.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return hashing.size, hashing.digest.hexdigest()


def _save(content: Any, file: Any) -> None:
    try:
        torch.save(content, file)
    except RuntimeError as err:
        if (cause := file.error) is not None:
            raise cause from err  # torch's own words do not tell that the disk is full
        raise


class _Hashing(io.RawIOBase):
    """A file that is hashed while it is written."""

    def __init__(self, file: IO[bytes]) -> None:
        self.digest = hashlib.sha256()
        self.size = 0
        self.error: OSError | None = None
        self._file = file

    def write(self, data: Any) -> int:
        """Writes and hashes."""
        view = memoryview(data)
        self.digest.update(view)
        self.size += view.nbytes
        try:
            self._file.write(view)
        except OSError as err:
            self.error = err
            raise
        return view.nbytes

    def flush(self) -> None:
        """Nothing waits here."""


def file_hash(path: Path) -> str:
    """SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _opened(path: Path, sha256: str) -> Iterator[IO[bytes]]:
    """The file, verified first; what is read afterwards is what was verified."""
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(open(path, "rb"))
        except OSError as err:
            raise StoreError(f"`{path}` cannot be read ({err.strerror})") from err
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise StoreError(f"`{path}` is not the file the run recorded (its hash differs); it was not read")
        file.seek(0)
        yield file


def is_valid(path: Path, sha256: str) -> bool:
    """True when the file is there, as it was recorded."""
    try:
        return file_hash(path) == sha256
    except OSError:
        return False


def read(path: Path, sha256: str) -> dict[str, Any]:
    """A checkpoint of this user's store, whole: verified by its hash before anything is read from it.

    Raises:
        StoreError: The file is gone, or is another.
    """
    content = read_plain(path, sha256)
    objects = content.get(OURS, {}).pop(_OBJECTS, None)
    if objects is not None:
        _put_back(content, objects)  # ours: the file is the one whose hash is in the store
    return content


def read_plain(path: Path, sha256: str) -> dict[str, Any]:
    """A checkpoint of this user's store without what had to be pickled.

    Raises:
        StoreError: The file is gone, or is another.
    """
    with _opened(path, sha256) as file:
        content: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    return content


def read_foreign(path: str) -> dict[str, Any]:
    """A checkpoint given by its path: tensors and plain data, nothing unpickled.

    Raises:
        StoreError: It holds something else, or cannot be read.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError) as err:
        raise StoreError(f"`{path}` cannot be read ({getattr(err, 'strerror', None) or err})") from err
    except Exception as err:
        raise StoreError(
            f"`{path}` holds more than tensors and plain values, or is damaged; it was not read, since such a file can "
            "carry code. If you trust where it is from: "
            "`torch.save(torch.load(path, weights_only=False)['state_dict'], new_path)`, and load that into your model"
        ) from err
    if not isinstance(content, dict) or "state_dict" not in content:
        raise StoreError(f"`{path}` is no Lightning checkpoint; expected a dict with `state_dict`")
    return content
