"""Runs are found by what people type, and their status is what it is now."""

from __future__ import annotations

import pytest

from jupyter_train.exceptions import (
    AmbiguousRunError,
    RunNotFoundError,
)
from jupyter_train.run import RunStatus


def test_a_run_is_found_by_ref_code_name_and_key(store) -> None:
    record = store.create_run("LitDigits")
    for word in (record.ref, record.code, "lit-digits", "LitDigits", record.key):
        assert store.find(word).key == record.key


def test_an_unknown_run_gets_a_suggestion(store) -> None:
    record = store.create_run("digits")
    with pytest.raises(RunNotFoundError, match=f"Did you mean `{record.ref}`"):
        store.find(record.ref[:-1] + "u")


def test_an_ambiguous_name_lists_the_runs(store) -> None:
    refs = {store.create_run("digits").ref for _ in range(3)}
    with pytest.raises(AmbiguousRunError) as caught:
        store.find("digits")
    assert all(ref in str(caught.value) for ref in refs)


def test_what_a_run_consists_of_does_not_make_its_name_ambiguous(store) -> None:
    study = store.create_run("digits", kind="tune")
    parts = [store.create_run("digits", kind=kind, parent=study.key) for kind in ("trial", "fold", "trial")]
    assert store.find("digits").key == study.key
    assert [store.find(part.ref).key for part in parts] == [part.key for part in parts]


def test_a_run_that_was_never_started_is_lost_after_a_minute(store) -> None:
    record = store.create_run("digits")
    assert store.status_of(record) is RunStatus.QUEUED
    record.created_at -= 61
    assert store.status_of(record) is RunStatus.LOST
