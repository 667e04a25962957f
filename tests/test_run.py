"""Statuses and the arrows between them; keys, codes, names."""

from __future__ import annotations

import time
import uuid

import pytest

from jupyter_train.exceptions import RunStateError
from jupyter_train.run import TRANSITIONS, RunStatus, check_transition, code_of, new_key, slug

ALLOWED = [(old, new) for old, news in TRANSITIONS.items() for new in sorted(news)]
REFUSED = [(old, new) for old in RunStatus for new in RunStatus if new not in TRANSITIONS[old]]


@pytest.mark.parametrize(("old", "new"), ALLOWED)
def test_allowed_arrow(old: RunStatus, new: RunStatus) -> None:
    check_transition(old, new)


@pytest.mark.parametrize(("old", "new"), REFUSED)
def test_refused_arrow_says_where_one_can_go(old: RunStatus, new: RunStatus) -> None:
    with pytest.raises(RunStateError, match=f"from `{old}` it can go to"):
        check_transition(old, new)


def test_an_ended_run_can_only_run_again() -> None:
    for ended in (RunStatus.FINISHED, RunStatus.STOPPED, RunStatus.FAILED, RunStatus.LOST):
        assert TRANSITIONS[ended] == {RunStatus.RUNNING}


def test_key_is_a_uuid_of_version_7_and_sorts_by_time() -> None:
    first = new_key()
    time.sleep(0.002)
    second = new_key()
    assert uuid.UUID(first).version == 7
    assert first < second


def test_code_grows_from_the_same_letters() -> None:
    key = new_key()
    assert code_of(key, 8).startswith(code_of(key, 4))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("LitDigits", "lit-digits"), ("my run!", "my-run"), ("<b>", "b"), ("", "run"), ("../../etc", "etc"), ("ü", "run")],
)
def test_slug_is_safe_everywhere(name: str, expected: str) -> None:
    assert slug(name) == expected
