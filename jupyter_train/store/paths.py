"""Locations of the store and of the run folders, and the checks that they can be written."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import socket
import tempfile
from pathlib import Path

from jupyter_train.exceptions import StoreError
from jupyter_train.store.private_files import is_foreign

STORE_VARIABLE = "JUPYTER_TRAIN_STORE"
HOME_VARIABLE = "JUPYTER_TRAIN_HOME"
#: The folder in which jupyter-scheduler executes its copies, in Jupyter's data folder unless configured otherwise.
_SCHEDULER_AREA = "scheduler_staging_area"
#: The names that `tempfile` gives to folders.
_TEMPORARY_NAME = re.compile(r"tmp[a-z0-9_]{8}")
#: A run does not begin with less free disk space than this.
MIN_BYTES = 1_000_000
_NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "lustre", "glusterfs", "9p"})


def store_url() -> str:
    """The SQLAlchemy URL of the central database.

    `JUPYTER_TRAIN_STORE` holds a path or a URL; without it the database lies in Jupyter's data folder.
    """
    configured = os.environ.get(STORE_VARIABLE, "")
    if "://" in configured:
        return configured
    if configured:
        return f"sqlite:///{Path(configured).expanduser().absolute()}"
    from jupyter_core.paths import jupyter_data_dir

    return f"sqlite:///{Path(jupyter_data_dir(), 'jupyter_train', 'store.db')}"


def runs_home() -> Path:
    """The folder that holds run folders: `JUPYTER_TRAIN_HOME`, else `jupyter_train_runs/` in the working folder.

    Where that belongs to another user, who could replace any run in it: a folder beside it with this user's name.
    Where the working folder is temporary, as jupyter-scheduler's is: a folder in Jupyter's data folder.
    """
    configured = os.environ.get(HOME_VARIABLE, "")
    if configured:
        return Path(configured).expanduser().absolute()
    working_folder = Path.cwd()
    if _is_staging(working_folder):
        from jupyter_core.paths import jupyter_data_dir

        return Path(jupyter_data_dir(), "jupyter_train", "runs")
    default_home = working_folder / "jupyter_train_runs"
    return Path(f"{default_home}-{user_name()}") if is_foreign(default_home) else default_home


def _is_staging(folder: Path) -> bool:
    """Whether a folder is removed later: jupyter-scheduler's staging area, or a folder of `tempfile`."""
    parts = folder.resolve().parts
    temporary = Path(tempfile.gettempdir()).resolve().parts
    is_temporary = parts[: len(temporary)] == temporary and bool(
        _TEMPORARY_NAME.fullmatch("".join(parts[len(temporary) :][:1]))
    )
    return _SCHEDULER_AREA in parts or is_temporary


def make_private_folder(path: Path) -> Path:
    """`path`, created with mode 0700 when missing.

    Raises:
        StoreError: It cannot be created or written.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as err:
        raise StoreError(
            f"cannot write to `{path}` ({err.strerror}); set `{HOME_VARIABLE}` to a folder you can write to"
        ) from err
    if not os.access(path, os.W_OK | os.X_OK):
        raise StoreError(f"`{path}` is read-only; set `{HOME_VARIABLE}` to a folder you can write to")
    return path


def check_room(home: Path, needed_bytes: int = 0) -> None:
    """Creates the folder of the run folders and raises where a run could not be recorded in it.

    Raises:
        StoreError: The folder cannot be written, or the disk is full.
    """
    make_private_folder(home)
    free, needed = shutil.disk_usage(home).free, needed_bytes + MIN_BYTES
    if needed > free:
        raise StoreError(
            f"the disk of `{home}` is full: {free / 1e6:,.1f} MB are free and the run needs {needed / 1e6:,.1f} MB; "
            f"free some (`%runs gc`), or set `{HOME_VARIABLE}` to a folder on another disk"
        )


def network_file_system(path: Path) -> str:
    """The network file system `path` lies on, or an empty string (Linux only)."""
    try:
        lines = Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    best, kind = "", ""
    for line in lines:
        _, mount, system, *_ = line.split(" ")
        inside = str(path) == mount or str(path).startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best):
            best, kind = mount, system
    return kind if kind in _NETWORK_FILE_SYSTEMS else ""


def user_name() -> str:
    """The user who owns the runs of this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"


def host_name() -> str:
    """The host on which a run lock is valid."""
    return socket.gethostname()
