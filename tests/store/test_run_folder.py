"""Run folders are private."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from jupyter_train.run import RunStatus
from jupyter_train.store import RunFolder, RunWriter


def test_files_and_folders_are_private(store, own_store: Path) -> None:
    folder = RunFolder(store.create_run("digits").folder)
    RunWriter(store, store.list_runs()[0].key, folder).flush()
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert stat.S_IMODE(folder.metrics.stat().st_mode) == 0o600
    assert stat.S_IMODE((own_store / "store" / "store.db").stat().st_mode) == 0o600
    assert (own_store / "runs" / ".gitignore").read_text() == "*\n"


def test_what_others_write_into_a_run_s_folder_is_private_once_it_has_ended(store, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    record = store.create_run("digits")
    store.set_status(record.key, RunStatus.RUNNING)
    folder = RunFolder(record.folder)
    theirs = folder.path / "profile" / "trace.json"
    theirs.parent.mkdir()
    theirs.write_text("{}")
    (folder.path / "link").symlink_to(outside)
    os.mkfifo(folder.path / "pipe", 0o666)
    for path in (theirs, outside):
        path.chmod(0o744)
    assert RunWriter(store, record.key, folder).close(RunStatus.FINISHED)
    assert stat.S_IMODE(theirs.stat().st_mode) == 0o700
    assert stat.S_IMODE(outside.stat().st_mode) == 0o744
