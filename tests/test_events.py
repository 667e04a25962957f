"""Kinds of events, runs, checkpoints and trials: declared once, shown as declared, and never read out of a sentence."""

from __future__ import annotations

import ast
import enum
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

import jupyter_train
from jupyter_train import get_run
from jupyter_train.events import (
    START_EVENTS,
    VERDICT_EVENTS,
    CheckpointKind,
    EventKind,
    RunKind,
    TrialStatus,
    Verdict,
)
from jupyter_train.panel.details import details
from jupyter_train.panel.snapshot import snapshot
from jupyter_train.run import RunStatus
from jupyter_train.store import RunFolder
from jupyter_train.store.metrics.blocks import Point
from jupyter_train.store.metrics.rewind import begin_attempt
from jupyter_train.store.replay_check import ReplayCheck
from jupyter_train.store.runs import Event
from jupyter_train.store.schema import events
from jupyter_train.store.writer import Row, RunWriter

PACKAGE = Path(jupyter_train.__file__).parent
DECLARED = {member.value for enumeration in (EventKind, RunKind, CheckpointKind) for member in enumeration}
STATUSES = {member.value for enumeration in (RunStatus, TrialStatus) for member in enumeration}
#: Where another library's word happens to be one of ours.
OTHERS = {"training/state/fit_state.py"}


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        if "labextension" not in path.parts and path.name != "events.py":
            yield path.relative_to(PACKAGE), ast.parse(path.read_text())


def name_of(node: ast.expr) -> str:
    """The last name of `run.kind`, `event["kind"]` or `kind`."""
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return str(node.slice.value)
    return node.id if isinstance(node, ast.Name) else ""


def literals(node: ast.AST) -> set[str]:
    return {one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)}


def kind_literals(tree: ast.Module) -> Iterator[tuple[int, set[str]]]:
    """Literals that are compared with a kind or a status, or given as one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            named = {name_of(side) for side in sides}
            known = (DECLARED if named & {"kind"} else set()) | (STATUSES if named & {"status", "state"} else set())
            yield node.lineno, set().union(*map(literals, (side for side in sides if not name_of(side)))) & known
        elif isinstance(node, ast.Call):
            given = [word.value for word in node.keywords if word.arg == "kind"]
            if name_of(node.func) in ("event", "Event"):
                given += node.args[:3]
            yield node.lineno, set().union(*map(literals, given)) & DECLARED


def test_no_kind_is_a_literal_outside_the_one_file() -> None:
    found = [f"{path}:{line}: {words}" for path, tree in modules() for line, words in kind_literals(tree) if words]
    assert found == []


def test_the_search_for_literals_finds_them() -> None:
    lines = [
        'writer.event("warning", text)',
        'x = run.kind == "tune"',
        'store.create_run("a", kind="trial")',
        'y = event["kind"] in ("nan", "best")',
        'z = trial.state != "pruned"',
        'z = snapshot["status"] == "running"',
    ]
    found = [sorted(words) for _, words in kind_literals(ast.parse("\n".join(lines))) if words]
    assert sorted(found) == [["best", "nan"], ["pruned"], ["running"], ["trial"], ["tune"], ["warning"]]


@pytest.mark.parametrize("enumeration", [EventKind, RunKind, CheckpointKind, TrialStatus, Verdict])
def test_every_member_is_used(enumeration: type[enum.StrEnum]) -> None:
    text = "\n".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    by_name = {TrialStatus: {"RUNNING", "WAITING", "COMPLETE"}}.get(enumeration, set())  # made from Optuna's names
    unused = [one.name for one in enumeration if f"{enumeration.__name__}.{one.name}" not in text]
    assert set(unused) <= by_name


@pytest.mark.parametrize("kind", EventKind)
def test_an_event_is_shown_as_its_kind_says(store, kind: EventKind) -> None:
    record = store.create_run("digits")
    store.add_events(record.key, [Event(1.0, 5, kind, f"something: {kind}", {"metric": "acc", "verb": "stop"})])
    (event,) = store.events_of(record.key)
    assert (event.kind, event.step, event.text) == (kind, 5, f"something: {kind}")
    shown = snapshot(store, record.key)
    tone = "warning" if kind.is_warning else "note"
    assert [one["kind"] for one in shown["events"]] == ([kind.value] if kind.is_shown else [])
    assert shown["notices"] == ([[tone, event.text]] if kind.is_shown else [])
    marks = {"stop"} if kind is EventKind.COMMAND else {kind.value} if kind in START_EVENTS else set()
    assert {one["label"] for one in shown["marks"]} == marks
    assert [one["text"] for one in details(store, record.key)["events"]] == [event.text]  # all of them are kept


def test_a_kind_of_a_later_release_is_kept_and_not_shown(store) -> None:
    record = store.create_run("digits")
    with store.engine.begin() as connection:
        row = {"run": record.key, "at": 1.0, "step": 3, "kind": "gate", "text": "passed", "data": {"gate": 1}}
        connection.execute(events.insert(), [row])
    (event,) = store.events_of(record.key)
    assert (event.kind, event.text, event.data) == ("gate", "passed", {"gate": 1})
    assert snapshot(store, record.key)["events"] == []


def resumed(store, words: str | None, data: dict[str, object] | None) -> dict[str, object]:
    """The second attempt of a run whose verdict was recorded, or was recorded in other words or with other facts."""
    record = store.create_run("digits")
    store.set_status(record.key, RunStatus.RUNNING)
    RunWriter(store, record.key, RunFolder(record.folder)).close(RunStatus.STOPPED)
    record = store.begin_attempt(store.get(record.key))
    begin_attempt(RunFolder(record.folder).metrics, 2, is_restart=True)
    check = ReplayCheck(2, 0, {"loss": [Point(1, 0.0, 0.5, 0.0)]})
    check.say_evidence(frozenset({"loss"}))
    writer = RunWriter(store, record.key, RunFolder(record.folder), attempt=2, verification=check)
    writer.add(Row(1, 0.0, 0.0, [("loss", 0.5)]))
    writer.close(RunStatus.FINISHED)
    with store.engine.begin() as connection:
        changes = {name: value for name, value in (("text", words), ("data", data)) if value is not None}
        if changes:
            connection.execute(sa.update(events).where(events.c.kind.in_(VERDICT_EVENTS)).values(**changes))
    return get_run(record.key).attempts[1]


EXACT = "verified exact: 1 value up to step 1 is the same, bit for bit"


@pytest.mark.parametrize("words", [None, "", "Reworded by a later release: 7 of 9"])
def test_a_verdict_is_a_fact_whatever_its_event_says(store, words: str | None) -> None:
    found = resumed(store, words, None)
    assert (found["attempt"], found["verdict"], found["verified"]) == (2, Verdict.EXACT, EXACT)


@pytest.mark.parametrize("verdict", ["verified exact", "exact so far", "not verified so far", "diverged at step 3"])
def test_the_verdict_of_an_event_without_facts_is_its_sentence(store, verdict: str) -> None:
    """As release 0.1.0 recorded it."""
    found = resumed(store, f"attempt 2 {verdict}: for a reason", {})
    assert (found["verdict"], found["verified"]) == (verdict.partition(" at")[0], f"{verdict}: for a reason")


@pytest.mark.parametrize("data", [{"attempt": [2], "verdict": "x", "words": "y"}, {"attempt": "2"}, {"verdict": 1}])
def test_facts_that_are_damaged_verify_nothing(store, data: dict[str, object]) -> None:
    assert resumed(store, "anything", data)["verdict"] == Verdict.NOT_VERIFIED


def test_an_attempt_that_was_compared_with_nothing_is_not_verified(store) -> None:
    record = store.create_run("digits")
    store.set_status(record.key, RunStatus.RUNNING)
    RunWriter(store, record.key, RunFolder(record.folder)).close(RunStatus.STOPPED)
    begin_attempt(RunFolder(record.folder).metrics, 2, is_restart=True)
    first, second = get_run(record.key).attempts
    assert (first["verdict"], first["verified"]) == (None, "")
    assert (second["verdict"], second["verified"]) == (Verdict.NOT_VERIFIED, "not verified")
