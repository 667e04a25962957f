"""A checkpoint's file: Lightning's own content as tensors and plain containers, other objects extracted.

What `torch.load(weights_only=True)` refuses (hyperparameters of any kind, states of callbacks) is pickled into one
block of bytes with a list of the paths it was extracted from (`plain_content`). The file stays readable for Lightning,
with a notice of what is missing; the bytes are unpickled only when the file has the recorded hash.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import torch

from jupyter_train.exceptions import StoreError
from jupyter_train.store.private_files import create_new_file, open_to_read
from jupyter_train.store.run_folder import sync_folder
from jupyter_train.training.checkpoints.plain_content import pickle_extracted, restore_extracted, split_plain

if TYPE_CHECKING:
    from typing_extensions import Buffer

#: The key of everything in a checkpoint that is not Lightning's.
RUN_STATE_KEY = "jupyter_train"
#: 1 left no placeholder for extracted values, and let a stock load miss them silently.
FORMAT = 2
#: Below that key: what was extracted and pickled when the content was copied.
PICKLED_KEY = "pickled"
_OBJECTS_KEY = "objects"


def write(content: dict[str, Any], target: Path) -> tuple[int, str, dict[str, str]]:
    """Writes a checkpoint and proves that it can be read again.

    Args:
        content: What Lightning dumps, with the run's state under `RUN_STATE_KEY`.
        target: Its path; an older file of that name stays until this one is complete.

    Returns:
        Size in bytes, SHA-256, and what could not be kept: names and reasons.

    Raises:
        OSError: The disk refuses.
    """
    plain, apart = split_plain(content)
    run_state = dict(plain.get(RUN_STATE_KEY, {}))
    objects, problems = run_state.pop(PICKLED_KEY, None) or pickle_extracted(apart)
    plain[RUN_STATE_KEY] = {**run_state, "format": FORMAT, _OBJECTS_KEY: objects}
    size, sha256 = save_atomically(plain, target, prove=True)
    return size, sha256, problems


def stock_content(content: dict[str, Any]) -> dict[str, Any]:
    """A complete checkpoint as Lightning itself would have written it."""
    return {name: value for name, value in content.items() if name != RUN_STATE_KEY}


def save_atomically(content: object, target: Path, prove: bool = False) -> tuple[int, str]:
    """Runs `torch.save` through a temporary file in the target's folder; returns size and SHA-256.

    Raises:
        OSError: Writing failed; the old file is unchanged.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with os.fdopen(create_new_file(temporary), "wb") as file:
            hashing = _HashingFile(file)
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


def _save(content: object, file: Any) -> None:
    try:
        torch.save(content, file)
    except RuntimeError as err:
        if (cause := file.error) is not None:
            raise cause from err  # torch's own message does not say that the disk is full
        raise


class _HashingFile(io.RawIOBase):
    """A file that is hashed while it is written."""

    def __init__(self, file: IO[bytes]) -> None:
        self.digest = hashlib.sha256()
        self.size = 0
        self.error: OSError | None = None
        self._file = file

    def write(self, data: Buffer) -> int:
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
    with open_to_read(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _open_verified(path: Path, sha256: str) -> Iterator[IO[bytes]]:
    """The open file, verified; reading the same descriptor, nothing can be exchanged after the check."""
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(open_to_read(path))
        except OSError as err:
            raise StoreError(f"`{path}` cannot be read ({err.strerror})") from err
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise StoreError(f"`{path}` is not the file the run recorded (its hash differs); it was not read")
        file.seek(0)
        yield file


def is_valid(path: Path, sha256: str) -> bool:
    """True where the file exists and has the recorded hash."""
    try:
        return file_hash(path) == sha256
    except OSError:
        return False


def read(path: Path, sha256: str, only: str | None = None) -> dict[str, Any]:
    """A complete checkpoint of this user's store, verified by its hash before anything is read from it.

    Args:
        path: The file.
        sha256: Its hash, from the store.
        only: The only part to unpickle; all of them if None.

    Raises:
        StoreError: The file cannot be read, or its hash differs.
    """
    content = read_plain(path, sha256)
    objects = content.get(RUN_STATE_KEY, {}).pop(_OBJECTS_KEY, None)
    if objects is not None:
        restore_extracted(content, objects, only)  # safe to unpickle: the file's hash is the one in the store
    return content


def read_plain(path: Path, sha256: str) -> dict[str, Any]:
    """A checkpoint of this user's store without the pickled values.

    Raises:
        StoreError: The file cannot be read, or its hash differs.
    """
    with _open_verified(path, sha256) as file:
        content: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    return content


def read_foreign(path: str) -> dict[str, Any]:
    """A checkpoint from outside the store: tensors and plain data, nothing unpickled.

    Raises:
        StoreError: It holds other objects, or cannot be read.
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
