"""A run's folder: the paths in it, and atomic writes that survive a kill."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from jupyter_train.exceptions import StoreError, UntrustedError
from jupyter_train.store.paths import make_private_folder
from jupyter_train.store.private_files import (
    create_new_file,
    empty_and_remove,
    make_all_private,
    open_private,
    open_to_read,
    stays_inside,
)
from jupyter_train.store.readable_rows import parse_json


class RunFolder:
    """Paths inside one run's folder."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    @classmethod
    def create(cls, home: Path, name: str) -> RunFolder:
        """Creates `home/name`, and a `.gitignore` in `home`.

        Raises:
            StoreError: The folder cannot be created or written.
        """
        make_private_folder(home)
        _ignore_in_git(home)
        folder = cls(home / name)
        try:
            folder.path.mkdir(mode=0o700)
        except FileExistsError as err:
            raise StoreError(f"`{folder.path}` exists already and is no run of yours; remove it and try again") from err
        except OSError as err:
            raise StoreError(f"cannot write to `{home}` ({err.strerror}); set `JUPYTER_TRAIN_HOME` to another") from err
        make_private_folder(folder.checkpoints)
        return folder

    @property
    def identity(self) -> Path:
        """File with a random identity, whose hash the store has."""
        return self.path / "identity"

    def inside(self, path: str) -> Path:
        """The absolute path of a file in this folder.

        Raises:
            UntrustedError: The path leads out of the folder, or through a link.
        """
        parts = Path(path).parts
        steps = [self.path.joinpath(*parts[: number + 1]) for number in range(len(parts))]
        if not stays_inside(path) or any(step.is_symlink() for step in steps):
            raise UntrustedError(f"`{path}` leads out of `{self.path}`; it was not followed")
        return steps[-1]

    @property
    def metrics(self) -> Path:
        """The run's own database of curves."""
        return self.path / "metrics.db"

    @property
    def checkpoints(self) -> Path:
        """Folder of checkpoints and of the step-0 weights."""
        return self.path / "checkpoints"

    @property
    def media(self) -> Path:
        """Folder of logged images, figures and tables."""
        return self.path / "media"

    @property
    def log(self) -> Path:
        """What Lightning and warnings have logged."""
        return self.path / "log.txt"

    @property
    def older_log(self) -> Path:
        """The part of the log before the last rotation."""
        return self.path / "log-older.txt"

    @property
    def provenance(self) -> Path:
        """Executed cells, environment, data fingerprint."""
        return self.path / "provenance.json"

    @property
    def notebook(self) -> Path:
        """Folder of executed notebooks."""
        return self.path / "notebook"

    @property
    def study(self) -> Path:
        """A study's trials as views draw them."""
        return self.path / "study.json"

    def read_study(self) -> dict[str, Any] | None:
        """A study's trials as views draw them; None where this is no study, or it has no trial yet."""
        return _mapping_in(self.study)

    @property
    def lock(self) -> Path:
        """The owner's lock."""
        return self.path / "owner.lock"

    @property
    def command_flag(self) -> Path:
        """Touched whenever a command is added, so that the owner need not query the database."""
        return self.path / "commands"

    def raise_command_flag(self) -> None:
        """Touches the command flag; does nothing where the folder cannot be reached."""
        with contextlib.suppress(OSError):
            descriptor = open_private(self.command_flag, os.O_CREAT | os.O_WRONLY)
            os.utime(descriptor if os.utime in os.supports_fd else self.command_flag)
            os.close(descriptor)

    def leftovers(self) -> list[Path]:
        """Temporary files that a killed process left."""
        return [
            Path(root, name)
            for root, _, names in os.walk(self.path)
            for name in names
            if name.startswith(".") and name.endswith(".tmp") and not os.path.islink(os.path.join(root, name))
        ]

    def size_bytes(self) -> int:
        """Bytes of all files; 0 for a folder that is gone."""
        total = 0
        for root, _, names in os.walk(self.path):
            for name in names:
                with contextlib.suppress(OSError):
                    total += os.lstat(os.path.join(root, name)).st_size
        return total

    def make_private(self) -> None:
        """Removes the permissions of other users from every file."""
        make_all_private(self.path)

    def delete(self, descriptor: int | None = None) -> None:
        """Removes the folder and its content; see `empty_and_remove` for `descriptor`."""
        empty_and_remove(self.path, descriptor)

    def end_of_log(self, most_bytes: int) -> str:
        """The last complete lines of the log; empty when there is none."""
        try:
            with open_to_read(self.log) as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - most_bytes))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return ""
        return text.partition("\n")[2] if size > most_bytes else text

    def whole_log(self) -> str:
        """The whole log, the older part first; empty when there is none."""
        parts = []
        for path in (self.older_log, self.log):
            with contextlib.suppress(OSError), open_to_read(path) as file:
                parts.append(file.read().decode("utf-8", "replace"))
        return "".join(parts)

    def read_provenance(self) -> dict[str, Any]:
        """The provenance record; empty when there is none."""
        return _mapping_in(self.provenance) or {}


def _mapping_in(path: Path) -> dict[str, Any] | None:
    """The mapping in a JSON file; None where it is missing or damaged, since another user may have written it."""
    try:
        with open_to_read(path) as file:
            value = parse_json(file.read())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def folder_name(name: str, code: str, key: str) -> str:
    """The name of a run's folder."""
    return f"{name}-{code}-{key[:8]}"


def _ignore_in_git(home: Path) -> None:
    with contextlib.suppress(OSError):  # it exists, perhaps as a link, which is not followed
        descriptor = open_private(home / ".gitignore", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        with os.fdopen(descriptor, "wb") as file:
            file.write(b"*\n")


def write_atomically(path: Path, content: bytes | memoryview) -> None:
    """Writes `path` so that a reader sees either the old or the new content.

    The temporary file lies in the target's folder (a rename cannot cross file systems).
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with os.fdopen(create_new_file(temporary), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def sync_folder(path: Path) -> None:
    """Makes a rename inside `path` durable, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
