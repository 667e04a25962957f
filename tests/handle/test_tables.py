"""The list of runs and the comparison of a few, as text and as HTML."""

from __future__ import annotations

import base64
import re
import time
from typing import Any

import pytest

from jupyter_train.handle import Run
from jupyter_train.handle.tables import Comparison, RunTable
from jupyter_train.run import RunStatus
from jupyter_train.store import RunFolder, RunWriter
from jupyter_train.store.readable_rows import ReadableRows
from jupyter_train.store.writer import Row

BEST = {"metric": "val_loss", "value": 0.25, "epoch": 1, "step": 9, "mode": "min"}


def recorded(store: Any, name: str = "digits", values: tuple[float, ...] = (), **config: Any) -> Run:
    """A finished run with these values of the validation loss."""
    record = store.create_run(name, config=config, tags=["<nightly>"])
    store.set_status(record.key, RunStatus.RUNNING, started_at=time.time())
    writer = RunWriter(store, record.key, RunFolder(record.folder))
    for step, value in enumerate(values):
        writer.add(Row(step, step / 10, 1e9, [("val_loss", value)]))
    writer.progress(epoch=2, step=len(values))
    if values:
        writer.summary(best=BEST)
    assert writer.close(RunStatus.FINISHED)
    return Run(store, record.key)


def test_the_newest_runs_are_a_table_that_gives_each(store) -> None:
    runs = [recorded(store, values=(1.0, 0.25)), Run(store, store.create_run("waiting").key)]
    table = RunTable(store, store.list_runs())
    assert len(table) == 2
    assert list(table) == [table[0], table[1]] == runs[::-1]
    waiting, finished = table.rows()
    assert waiting[:4] == (runs[1].ref, "queued", "–", "–")
    assert finished[:4] == (runs[0].ref, "finished", "val_loss 0.250", "2")
    assert finished[-1] == "<nightly>"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", finished[-2])
    lines = repr(table).splitlines()
    assert lines[0].split() == ["run", "status", "best", "epochs", "duration", "size", "when", "tags"]
    assert len(lines) == 3
    assert "&lt;nightly&gt;" in table._repr_html_()


@pytest.mark.parametrize(
    ("status", "summary", "shown"),
    [
        ("queued", {"waits_for": "a GPU, at most 3 h"}, "queued, waits for a GPU"),
        ("finished", {"ended_with": "NaN"}, "finished with NaN"),
        ("failed", {"ended_with": "NaN"}, "failed"),
    ],
)
def test_a_status_says_what_a_run_waits_for_or_ended_with(store, status: str, summary: Any, shown: str) -> None:
    record = store.create_run("digits")
    store.update(record.key, status=status, summary=summary)
    assert RunTable(store, store.list_runs()).rows()[0][1] == shown


def test_an_empty_table_says_how_to_begin_and_a_damaged_one_what_is_missing(store) -> None:
    table = RunTable(store, store.list_runs())
    assert repr(table).startswith("no runs yet; start one with `%train")
    assert "<code>%train" in table._repr_html_()
    rows = ReadableRows(store.list_runs())
    rows.unreadable = 2
    damaged = RunTable(store, rows)
    assert repr(damaged) == damaged.note
    assert damaged._repr_html_() == f"<div>{damaged.note}</div>"
    recorded(store)
    rows = ReadableRows(store.list_runs())
    rows.unreadable = 2
    assert repr(RunTable(store, rows)).splitlines()[-1] == rows.message


def test_a_comparison_shows_the_options_that_differ(store) -> None:
    one = recorded(store, values=(1.0, 0.25), epochs=3, lr=0.1, expressions={"model": "A()"}, searched_options={"a": 1})
    other = recorded(store, epochs=3, lr=0.2, batch_size=64, expressions={"model": "B()"})
    compared = Comparison(store, [one, other])
    assert compared.differences == {
        "lr": [0.1, 0.2],
        "model (typed)": ["A()", "B()"],
        "batch_size": [None, 64],
    }
    lines = [line.split() for line in repr(compared).splitlines()]
    assert lines[0] == ["option", one.ref, other.ref]
    assert ["batch_size", "–", "64"] in lines
    assert lines[-1] == ["best", "val_loss", "0.250", "–"]


def test_the_curves_of_both_are_on_one_chart(store, tmp_path) -> None:
    runs = [recorded(store, values=(1.0, 0.5)), recorded(store, "other", values=(2.0, 1.0))]
    compared = Comparison(store, runs)
    drawn = compared.svg()
    for run in runs:
        assert f"{run.ref} val" in drawn
    assert compared.save_curves(tmp_path / "both.svg").read_text() == drawn
    shown = re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', compared._repr_html_())
    assert shown is not None
    assert base64.b64decode(shown[1]).decode() == drawn


def test_without_curves_there_is_no_picture(store) -> None:
    compared = Comparison(store, [recorded(store), recorded(store)])
    assert compared.svg() == ""
    assert "<img" not in compared._repr_html_()
    assert compared.differences == {}
