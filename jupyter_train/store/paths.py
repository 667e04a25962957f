"""Where the store and the run folders lie."""

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
#: Where jupyter-scheduler executes its copies, in Jupyter's data folder unless that is configured.
_SCHEDULER_AREA = "scheduler_staging_area"
#: What `tempfile` calls a folder when it is given no name.
_MADE = re.compile(r"tmp[a-z0-9_]{8}")
#: Without this much room a run is not begun.
MIN_BYTES = 1_000_000
_NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "lustre", "glusterfs", "9p"})


def store_url() -> str:
    """The SQLAlchemy URL of the central database.

    `JUPYTER_TRAIN_STORE` names a path or a URL; else it lies in Jupyter's data folder.
    """
    named = os.environ.get(STORE_VARIABLE, "")
    if "://" in named:
        return named
    if named:
        return f"sqlite:///{Path(named).expanduser().absolute()}"
    from jupyter_core.paths import jupyter_data_dir

    return f"sqlite:///{Path(jupyter_data_dir(), 'jupyter_train', 'store.db')}"


def runs_home() -> Path:
    """The folder that holds run folders: `JUPYTER_TRAIN_HOME`, else `jupyter_train_runs/` here.

    Where that is another user's, who could put anything in the place of a run: one beside it with this user's name.
    Where a notebook is executed in a copy that is thrown away afterwards, in Jupyter's data folder.
    """
    named = os.environ.get(HOME_VARIABLE, "")
    if named:
        return Path(named).expanduser().absolute()
    here = Path.cwd()
    if _is_staging(here):
        from jupyter_core.paths import jupyter_data_dir

        return Path(jupyter_data_dir(), "jupyter_train", "runs")
    usual = here / "jupyter_train_runs"
    return Path(f"{usual}-{user_name()}") if is_foreign(usual) else usual


def _is_staging(folder: Path) -> bool:
    """Whether a folder is jupyter-scheduler's staging area, or one that `tempfile` made: whoever did removes it."""
    parts = folder.resolve().parts
    temporary = Path(tempfile.gettempdir()).resolve().parts
    is_made = parts[: len(temporary)] == temporary and bool(_MADE.fullmatch("".join(parts[len(temporary) :][:1])))
    return _SCHEDULER_AREA in parts or is_made


def make_private_folder(path: Path) -> Path:
    """`path`, made with mode 0700 when missing.

    Raises:
        StoreError: It cannot be made or written.
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
    """Makes the folder of the run folders, and refuses to begin a run where it cannot be recorded.

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
    """Who owns runs made by this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"


def host_name() -> str:
    """The host that owner locks are good for."""
    return socket.gethostname()
