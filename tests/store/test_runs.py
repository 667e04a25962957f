"""The store: runs are deleted by their user alone, with all that is theirs."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_train.exceptions import (
    RunNotFoundError,
    RunStateError,
)


def test_deleting_a_run_deletes_its_folder_and_events(store) -> None:
    record = store.create_run("digits")
    store.delete_run(record.key)
    assert not Path(record.folder).exists()
    assert store.events_of(record.key) == []
    with pytest.raises(RunNotFoundError):
        store.get(record.key)


def test_another_users_run_cannot_be_deleted(store) -> None:
    record = store.create_run("digits")
    store.update(record.key, user="somebody")
    with pytest.raises(RunStateError, match="belongs to somebody"):
        store.delete_run(record.key)
