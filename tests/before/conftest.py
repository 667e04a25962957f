"""The earlier release's folder, unpacked where this test's store is, as if it had been made here by this user."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import tarfile
from pathlib import Path

import pytest

from jupyter_train import Run, get_run, runs
from jupyter_train.store.run_folder import RunFolder

_ARCHIVE = Path(__file__).parent / "left.tar.xz"
_MADE_AT = "/tmp/before-left"


@pytest.fixture
def left(own_store: Path) -> dict[str, Run]:
    """The runs that were left behind, by name."""
    from jupyter_train.store.paths import host_name, user_name

    with tarfile.open(_ARCHIVE) as archive:
        archive.extractall(own_store, filter="data")
    for name in ("runs", "store", "saved.ipynb"):
        (own_store / "left" / name).rename(own_store / name)
    with contextlib.closing(sqlite3.connect(own_store / "store" / "store.db")) as store, store:
        store.execute("UPDATE runs SET folder = replace(folder, ?, ?)", (_MADE_AT, str(own_store)))
        store.execute("UPDATE runs SET user = ?, host = ?", (user_name(), host_name()))
        store.execute("UPDATE anchors SET value = ? WHERE name = 'owner'", (str(os.getuid()),))
        for payload in own_store.glob("runs/*/payload.pickle"):
            _adapt(payload, own_store)
            sha256 = hashlib.sha256(payload.read_bytes()).hexdigest()
            store.execute("UPDATE runs SET payload = ? WHERE folder = ?", (sha256, str(payload.parent)))
    for path in own_store.glob("runs/**/*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    assert all(RunFolder(run.folder).metrics.exists() for run in runs())
    return {run.record.name: get_run(run.key) for run in runs()}


def _adapt(payload: Path, home: Path) -> None:
    """The working folder and import path that a payload enters are those of this checkout; its pickle stays."""
    head, _, stream = payload.read_bytes().partition(b"\n")
    places = json.loads(head) | {"cwd": str(home), "path": [str(Path(__file__).parents[2])]}
    payload.write_bytes(json.dumps(places).encode() + b"\n" + stream)
