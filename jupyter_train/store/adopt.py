"""Restores the row of a run folder whose store was deleted, or is another one."""

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

#: Name under which `metrics.db` keeps the recoverable fields of the run's row.
META = "run"
_KEY = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MAX_ATTEMPTS = 1_000_000
_FOLDER_NAME = re.compile(r"(?P<name>.+)-[0-9a-z]{4,}-[0-9a-f]{8}")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


#: The fields that are kept, each with a check of its value: another user may have written the folder.
_RECOVERABLE_FIELDS: dict[str, Callable[[Any], bool]] = {
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


def recoverable_fields(record: RunRecord) -> dict[str, Any]:
    """The fields kept in `metrics.db`, from which `adopt` restores the row."""
    return {name: getattr(record, name) for name in _RECOVERABLE_FIELDS}


def adopt(store: Store, path: Path) -> RunRecord:
    """Inserts a row for a run folder and returns it. Nothing in the folder is unpickled or executed.

    Raises:
        StoreError: The path is no run folder, cannot be read, or is another user's.
        RunStateError: The store has the run already.
    """
    folder = RunFolder(path.expanduser().absolute())
    _check_folder(folder)
    try:
        with MetricReader(folder.metrics) as reader:
            stored_fields, summary, progress = (reader.meta(name) for name in (META, "summary", "progress"))
            last = {name: value if math.isfinite(value) else None for name, value in reader.last().items()}
    except (sqlite3.Error, ValueError) as err:
        raise StoreError(f"`{folder.metrics}` cannot be read ({err}); nothing was taken in") from err
    fields = _sound_fields(stored_fields, folder.path.name)
    _check_is_new(store, fields["key"])
    full_summary = _showable_summary(_dict(summary)) | {"progress": _dict(progress), "last": last}
    record = RunRecord(
        code="",
        folder=str(folder.path),
        user=user_name(),
        host=host_name(),
        summary=full_summary,
        size_bytes=folder.size_bytes(),
        **fields,
    )
    return store.insert_run(_with_current_status(record, folder))


def _check_folder(folder: RunFolder) -> None:
    if not folder.metrics.is_file() or folder.metrics.is_symlink():
        raise StoreError(f"`{folder.path}` is no run folder: there is no `{folder.metrics.name}` in it")
    if hasattr(os, "getuid") and any(path.stat().st_uid != os.getuid() for path in (folder.path, folder.metrics)):
        raise StoreError(f"`{folder.path}` belongs to another user; copy it to a folder of your own first")


def _check_is_new(store: Store, key: str) -> None:
    try:
        record = store.get(key)
    except RunNotFoundError:
        return
    raise RunStateError(f"the run store has this run: `{record.ref}`, in `{record.folder}`")


def _sound_fields(stored: object, folder_name: str) -> dict[str, Any]:
    """The stored fields whose values are sound, and defaults for the others."""
    stored_fields = _dict(stored)
    fields = {
        name: stored_fields[name]
        for name, can_be in _RECOVERABLE_FIELDS.items()
        if name in stored_fields and can_be(stored_fields[name])
    }
    fields.setdefault("key", new_key())
    match = _FOLDER_NAME.fullmatch(folder_name)
    fields["name"] = slug(fields.get("name") or (match["name"] if match else folder_name))
    fields.setdefault("created_at", time.time())
    fields.setdefault("started_at", fields["created_at"])
    return fields


def _with_current_status(record: RunRecord, folder: RunFolder) -> RunRecord:
    """The record with its status: RUNNING while its lock is held, else its pending end, or LOST."""
    if is_held(folder.lock):
        return dataclasses.replace(record, status=RunStatus.RUNNING, heartbeat_at=time.time())
    end = pending_end.find(folder.lock, record.attempt)
    at = record.summary["progress"].get("at")
    ended_at = at if is_time(at) else record.started_at
    if end is None:
        return dataclasses.replace(record, status=RunStatus.LOST, ended_at=ended_at)
    summary = record.summary | end.summary
    return dataclasses.replace(record, status=end.status, ended_at=end.ended_at, message=end.message, summary=summary)


def _showable_summary(summary: dict[str, Any]) -> dict[str, Any]:
    """The summary without values that lists could not show."""
    return summary if is_summary(summary) else {name: value for name, value in summary.items() if name not in SHAPED}


def _dict(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, dict) else {}
