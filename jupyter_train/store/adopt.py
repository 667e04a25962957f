"""Takes a run folder whose row is gone into the run store again: the store was deleted, or is another one."""

from __future__ import annotations

import dataclasses
import math
import os
import re
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_train.exceptions import RunNotFoundError, RunStateError, StoreError
from jupyter_train.run import RunRecord, RunStatus, new_key, slug
from jupyter_train.store import pending_end
from jupyter_train.store.metrics.reader import MetricReader
from jupyter_train.store.paths import host_name, user_name
from jupyter_train.store.records import SHAPED, is_summary
from jupyter_train.store.run_folder import RunFolder
from jupyter_train.store.run_lock import is_held
from jupyter_train.store.value_checks import is_name, is_time

if TYPE_CHECKING:
    from jupyter_train.store.runs import Store

#: Under this name a run's curves keep what its row says of it.
META = "run"
_KEY = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MAX_ATTEMPTS = 1_000_000
_FOLDER_NAME = re.compile(r"(?P<name>.+)-[0-9a-z]{4,}-[0-9a-f]{8}")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


#: What of a row is kept there, and how to tell that a value can be it: the folder may be anybody's.
_KEPT: dict[str, Callable[[Any], bool]] = {
    "key": lambda value: _is_text(value) and _KEY.fullmatch(value) is not None,
    "name": _is_text,
    "kind": is_name,
    "attempt": lambda value: type(value) is int and 1 <= value <= _MAX_ATTEMPTS,
    "created_at": is_time,
    "started_at": is_time,
    "notebook": _is_text,
    "note": _is_text,
    "tags": lambda value: isinstance(value, list) and all(map(_is_text, value)),
    "config": lambda value: isinstance(value, dict),
}


def described(record: RunRecord) -> dict[str, Any]:
    """What is kept with a run's curves, so that its row can be made again."""
    return {name: getattr(record, name) for name in _KEPT}


def adopt(store: Store, path: Path) -> RunRecord:
    """Makes the row of a run folder again. Nothing of the folder is unpickled or run, then or by having a row.

    Raises:
        StoreError: It is no run folder, cannot be read, or is another user's.
        RunStateError: The store has the run.
    """
    folder = RunFolder(path.expanduser().absolute())
    _check(folder)
    try:
        with MetricReader(folder.metrics) as reader:
            found, summary, progress = (reader.meta(name) for name in (META, "summary", "progress"))
            last = {name: value if math.isfinite(value) else None for name, value in reader.last().items()}
    except (sqlite3.Error, ValueError) as err:
        raise StoreError(f"`{folder.metrics}` cannot be read ({err}); nothing was taken in") from err
    fields = _checked(found, folder.path.name)
    _check_is_new(store, fields["key"])
    whole = _summary(_dict(summary)) | {"progress": _dict(progress), "last": last}
    record = RunRecord(
        code="",
        folder=str(folder.path),
        user=user_name(),
        host=host_name(),
        summary=whole,
        size_bytes=folder.size_bytes(),
        **fields,
    )
    return store.insert_run(_as_it_stands(record, folder))


def _check(folder: RunFolder) -> None:
    if not folder.metrics.is_file() or folder.metrics.is_symlink():
        raise StoreError(f"`{folder.path}` is no run folder: there is no `{folder.metrics.name}` in it")
    if hasattr(os, "getuid") and any(one.stat().st_uid != os.getuid() for one in (folder.path, folder.metrics)):
        raise StoreError(f"`{folder.path}` belongs to somebody else; copy it to a folder of your own first")


def _check_is_new(store: Store, key: str) -> None:
    try:
        known = store.get(key)
    except RunNotFoundError:
        return
    raise RunStateError(f"the run store has this run: `{known.ref}`, in `{known.folder}`")


def _checked(found: Any, folder_name: str) -> dict[str, Any]:
    """What the folder says of its run, as far as it is of the right kind."""
    given = _dict(found)
    fields = {name: given[name] for name, can_be in _KEPT.items() if name in given and can_be(given[name])}
    fields.setdefault("key", new_key())
    named = _FOLDER_NAME.fullmatch(folder_name)
    fields["name"] = slug(fields.get("name") or (named["name"] if named else folder_name))
    fields.setdefault("created_at", time.time())
    fields.setdefault("started_at", fields["created_at"])
    return fields


def _as_it_stands(record: RunRecord, folder: RunFolder) -> RunRecord:
    """RUNNING where its process trains on; else as it was said to have ended, or LOST."""
    if is_held(folder.lock):
        return dataclasses.replace(record, status=RunStatus.RUNNING, heartbeat_at=time.time())
    end = pending_end.kept(folder.lock, record.attempt)
    at = record.summary["progress"].get("at")
    ended_at = at if is_time(at) else record.started_at
    if end is None:
        return dataclasses.replace(record, status=RunStatus.LOST, ended_at=ended_at)
    summary = record.summary | end.summary
    return dataclasses.replace(record, status=end.status, ended_at=end.ended_at, message=end.message, summary=summary)


def _summary(found: dict[str, Any]) -> dict[str, Any]:
    """A summary without what lists could not show."""
    return found if is_summary(found) else {name: one for name, one in found.items() if name not in SHAPED}


def _dict(found: Any) -> dict[str, Any]:
    return dict(found) if isinstance(found, dict) else {}
