"""A run's folder: which file lies where, and how one is written so that a kill cannot tear it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from jupyter_train.store.locations import make_private_folder


class RunFolder:
    """Paths inside one run's folder."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    @classmethod
    def create(cls, home: Path, name: str) -> RunFolder:
        """Makes `home/name`; `home` ignores itself in git.

        Raises:
            StoreError: The folder cannot be made or written.
        """
        make_private_folder(home)
        ignore = home / ".gitignore"
        if not ignore.exists():
            with contextlib.suppress(OSError):  # a convenience; what a run cannot do without is said below
                ignore.write_text("*\n", encoding="utf-8")
        folder = cls(make_private_folder(home / name))
        make_private_folder(folder.checkpoints)
        return folder

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
        """What Lightning and warnings said."""
        return self.path / "log.txt"

    @property
    def older_log(self) -> Path:
        """What was said before `log` was begun anew."""
        return self.path / "log-older.txt"

    @property
    def provenance(self) -> Path:
        """Cells, environment, data fingerprint."""
        return self.path / "provenance.json"

    @property
    def notebook(self) -> Path:
        """Folder of executed notebooks."""
        return self.path / "notebook"

    @property
    def study(self) -> Path:
        """What views draw of a study's trials."""
        return self.path / "study.json"

    def read_study(self) -> dict[str, Any] | None:
        """A study's trials as views draw them; None where this is no study, or it has no trial yet."""
        try:
            found = json.loads(self.study.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    @property
    def lock(self) -> Path:
        """The owner's lock."""
        return self.path / "owner.lock"

    @property
    def command_flag(self) -> Path:
        """Touched whenever a command is added, so that the owner need not ask the database."""
        return self.path / "commands"

    def raise_command_flag(self) -> None:
        """Says that a command waits; a folder that is out of reach does not matter."""
        with contextlib.suppress(OSError):
            self.command_flag.touch(mode=0o600)

    def size_bytes(self) -> int:
        """Bytes of all files; 0 for a folder that is gone."""
        total = 0
        for root, _, names in os.walk(self.path):
            for name in names:
                with contextlib.suppress(OSError):
                    total += os.lstat(os.path.join(root, name)).st_size
        return total

    def delete(self) -> None:
        """Removes the folder and everything in it."""
        shutil.rmtree(self.path, ignore_errors=True)

    def end_of_log(self, most_bytes: int) -> str:
        """The last lines of the log, whole ones; empty when there is none."""
        try:
            with open(self.log, "rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - most_bytes))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return ""
        return text.partition("\n")[2] if size > most_bytes else text

    def read_provenance(self) -> dict[str, Any]:
        """The provenance record; empty when there is none."""
        try:
            found = json.loads(self.provenance.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def write_atomically(path: Path, content: bytes | memoryview) -> None:
    """Writes `path` so that a reader sees the old or the new content, whatever happens.

    The temporary file lies in the target's folder (another file system cannot be renamed into place).
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        descriptor = os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
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
