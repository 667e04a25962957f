"""A search as views draw it: bounded, valid, read by the renderer as it was sent, and a table for everybody else."""

from __future__ import annotations

import json
import math
from pathlib import Path

import jsonschema
import pytest

from jupyter_train import get_run, runs, tune
from jupyter_train.config import TuneConfig
from jupyter_train.exceptions import RunNotFoundError
from jupyter_train.handle.study import Study
from jupyter_train.panel.bundle import MIME_TYPE, bundle
from jupyter_train.panel.snapshot import snapshot
from jupyter_train.panel.trials import trials_html, trials_text
from jupyter_train.store import RunFolder
from jupyter_train.store.run_index import index_entries
from jupyter_train.tuning.study_snapshot import StudySnapshot, importances
from jupyter_train.tuning.study_storage import StudyStorage
from jupyter_train.tuning.trial_records import TrialResult
from tests.models import LitDigits, digits
from tests.panel.test_bundle import SCHEMA
from tests.panel.test_protocol import read_by_renderer

pytestmark = [pytest.mark.filterwarnings("ignore")]
USUAL = {"trials": 6, "epochs": 2, "maximize": "val_acc", "seed": 1, "quiet": True, "prune": "none"}


@pytest.fixture
def study() -> Study:
    return tune(LitDigits, digits(), space={"lr": "1e-3..1e-1:log", "hidden": [8, 16]}, **USUAL)


def test_the_renderer_reads_what_was_sent(study, store) -> None:
    sent = bundle(snapshot(store, study.key))
    jsonschema.validate(sent[MIME_TYPE], SCHEMA)
    [panel] = read_by_renderer(sent[MIME_TYPE])
    got = panel["snapshot"]["study"]
    trials = study.trials.sort_index()
    assert got["numbers"] == list(range(6))
    assert got["states"] == ["complete"] * 6
    assert got["values"][0] == pytest.approx(list(trials["val_acc"]), rel=1e-4)
    assert got["runs"] == list(trials["run"])
    by_name = {param["name"]: param for param in got["params"]}
    assert by_name["lr"]["values"] == pytest.approx(list(trials["lr"]), rel=1e-4)
    assert [by_name["hidden"]["labels"][place] for place in by_name["hidden"]["values"]] == [
        str(one) for one in trials["hidden"]
    ]
    assert [len(curve["epochs"]) for curve in got["curves"]] == [2] * 6
    progress = panel["snapshot"]["progress"]
    assert (progress["trial"], progress["trials"], progress["step"]) == (6, 6, None)
    assert panel["snapshot"]["best"]["trial"] == study.best.number


def test_other_front_ends_have_a_table(study, store) -> None:
    shown = bundle(snapshot(store, study.key))
    best = study.best
    assert "<table" in shown["text/html"]
    assert f">{best.number}</td>" in shown["text/html"]
    assert f"best val_acc {best.value:.3g}" in shown["text/plain"].replace("  ", " ")
    assert [line.split()[0] for line in shown["text/plain"].splitlines()[-6:]] == [
        str(one) for one in study.trials.index
    ]


def test_a_trial_is_called_by_its_study_and_number(study, store) -> None:
    trial = study.trial(2)
    ref = snapshot(store, trial.key)["ref"]
    assert ref == f"{study.ref}/2"
    assert get_run(ref).key == trial.key


def test_a_thousand_trials_stay_small(store, tmp_path: Path) -> None:
    space = {f"x{i}": "0.0..1.0" for i in range(6)} | {"kind": ["one", "two", "three"]}
    config = TuneConfig.of(
        {"trials": 1000, "maximize": ["val_acc"], "epochs": 30, "seed": 1, "sampler": "random"}, space
    )
    record = store.create_run("large", kind="tune")
    book = StudyStorage(tmp_path / "journal", config)
    for _ in range(1000):
        asked = book.ask()
        value = math.sin(asked.params["x0"] * 3) / 3
        for epoch in range(1, 31):
            book.report(asked.number, epoch, value * epoch / 30)
        told = TrialResult("complete" if asked.number % 3 else "pruned", [value], run=record.key, duration_s=12.345)
        book.tell(asked.number, told)
    StudySnapshot(RunFolder(record.folder), config, book).write(is_last=True)
    shown = bundle(snapshot(store, record.key))
    jsonschema.validate(shown[MIME_TYPE], SCHEMA)
    assert len(json.dumps(shown, indent=1)) < 256_000
    [panel] = read_by_renderer(shown[MIME_TYPE])
    assert len(panel["snapshot"]["study"]["numbers"]) == 1000
    assert next(iter(importances(book.study, "ped-anova"))) == "x0"
    assert importances(book.study, "ped-anova")["x0"] > 0.9


def test_anything_at_all_is_read() -> None:
    run = {"schema": 1, "status": "finished", "run": "x"}
    hostile = [
        {"study": 5},
        {"study": {}},
        {"study": {"objectives": []}},
        {"study": {"objectives": [None], "numbers": "1,x"}},
        {
            "study": {
                "objectives": [{"metric": 3}],
                "numbers": "0,1",
                "states": "zz",
                "values": "no",
                "params": [1],
                "curves": [{}],
                "importance": [{"share": 9}],
                "front": [],
            }
        },
    ]
    panels = read_by_renderer(*[run | one for one in hostile])
    assert all(panel["kind"] == "run" for panel in panels)
    assert [panel["snapshot"]["study"] is None for panel in panels] == [True, True, True, False, False]
    assert panels[-1]["snapshot"]["study"]["states"] == ["failed", "failed"]
    assert panels[-1]["snapshot"]["study"]["importance"][0]["share"] == 1


def test_html_of_a_study_escapes_what_it_shows() -> None:
    study = {
        "objectives": [{"metric": "<b>acc", "mode": "max"}],
        "numbers": "0",
        "states": "c",
        "values": ["0.5"],
        "params": [{"name": "<script>", "labels": ["<img src=x>"], "is_log": False, "values": "0"}],
    }
    shown = trials_html(study)
    assert "<script>" not in shown
    assert "<img" not in shown
    assert "&lt;script&gt;" in shown
    assert trials_text({**study, "states": "p"}) == []


def test_lists_show_a_search_and_not_its_trials(study, store) -> None:
    assert [run.key for run in runs()] == [study.key]
    assert [one.key for one in index_entries(store, 100)] == [study.key]
    assert isinstance(get_run(study.ref), Study)
    assert get_run(f"{study.ref}/3").key == study.trial(3).key
    with pytest.raises(RunNotFoundError, match="has no trial `77`"):
        get_run(f"{study.ref}/77")


def test_a_search_is_deleted_with_its_trials(study, store) -> None:
    folders = [run.folder for run in study.children] + [study.folder]
    store.delete_run(study.key)
    assert store.list_runs(has_parts=True) == []
    assert not any(folder.exists() for folder in folders)
