"""Charts that tell the truth: colours, fonts, labels and numbers of saved, re-shown and compared runs."""

from __future__ import annotations

import math
import re
import time
from typing import Any

import nbformat
import pytest

from jupyter_train.panel.bundle import bundle, reference_bundle
from jupyter_train.panel.snapshot import snapshot
from jupyter_train.panel.svg import svg
from jupyter_train.run import RunStatus, new_key
from jupyter_train.store import RunFolder, RunWriter, open_store
from jupyter_train.store.writer import Row
from tests.browser import canvas
from tests.browser.jupyter import SCREENSHOTS
from tests.browser.test_runs import SHOW, _run

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(240),
    pytest.mark.parametrize("application", ["lab"], indirect=True),
]

#: Metrics whose labels are long, small, large or below zero.
ODD = {
    "tiny": lambda step: 1e-12 * (1 + step % 7),
    "large": lambda step: 123456789.0 + step,
    "below": lambda step: -1234.25 - step % 5 / 4,
    "quarters": lambda step: (step % 9) / 8,
    "falling": lambda step: 10.0 ** (-step / 8),
}


def _recorded(name: str, rows: list[tuple[int, list[tuple[str, float]]]], **progress: Any) -> str:
    store = open_store()
    record = store.create_run(name)
    writer = RunWriter(store, record.key, RunFolder(record.folder))
    store.set_status(record.key, RunStatus.RUNNING, started_at=time.time())
    for step, values in rows:
        writer.add(Row(step, step // 10, time.time(), values))
    writer.progress(stage="ended", **progress)
    writer.close(RunStatus.FINISHED)
    return record.key


def _odd_run() -> dict[str, Any]:
    """A finished run with train and val of every odd metric."""
    rows = [
        (
            step,
            [
                (f"{role}_{name}", value(step + later))
                for name, value in ODD.items()
                for role, later in (("train", 0), ("val", 4))
            ],
        )
        for step in range(30)
    ]
    key = _recorded("odd", rows, epoch=5, epochs=5, step=30, steps=30, steps_per_s=2.4, eta_s=0.0)
    return snapshot(open_store(), key)


def _study(found: dict[str, Any]) -> dict[str, Any]:
    """A search of 20 trials, three of which lie far below the others."""
    values = [0.9 + place / 400 for place in range(17)] + [0.1, 0.12, 0.3]
    columns = {"numbers": range(20), "seconds": [1.5] * 20}
    text = {name: ",".join(map(str, column)) for name, column in columns.items()}
    curves = [
        {"trial": n, "state": "c", "epochs": "1,2", "values": f"{value / 2},{value}"} for n, value in enumerate(values)
    ]
    study = {
        "objectives": [{"metric": "val_acc", "mode": "max"}],
        **text,
        "states": "p" + "c" * 19,
        "values": [",".join(map(str, values))],
        "runs": "," * 19,
        "params": [
            {
                "name": "lr",
                "labels": [],
                "is_log": True,
                "low": 1e-6,
                "high": 0.1,
                "values": ",".join(f"1e-{1 + n % 6}" for n in range(20)),
            }
        ],
        "curves": curves,
        "importance": [{"name": "lr", "share": 1.0}],
        "front": "",
    }
    return bundle(found | {"run": new_key(), "families": [], "study": study})


@pytest.fixture
def saved(jupyter, own_store) -> dict[str, Any]:
    """A saved notebook with a run, the same run again and a search, opened without a kernel."""
    found = _odd_run()
    name = jupyter.write_notebook(["1", "2", "3"])
    path = jupyter.server.work / name
    notebook = nbformat.read(path, 4)
    for cell, data in zip(notebook.cells, (bundle(found), reference_bundle(found), _study(found)), strict=True):
        cell.outputs = [nbformat.v4.new_output("display_data", data=data)]
    nbformat.write(notebook, path)
    jupyter.page.add_init_script(canvas.RECORDER)
    jupyter.page.set_viewport_size({"width": 1280, "height": 3200})
    jupyter.open(name, kernel=False)
    jupyter.page.wait_for_function("() => document.querySelectorAll('.jt-Panel canvas').length >= 10")
    return found


def _check_colours(panel) -> None:
    train, val = (canvas.variable(panel, f"--jt-{role}") for role in ("train", "val"))
    assert train != val
    for colour in (train, val):
        assert canvas.pixels(panel, "quarters", colour)["count"] > 50, colour
    found, _ = canvas.labels(panel, "quarters")
    family = canvas.variable(panel, "--jp-ui-font-family").split(",")[0].strip("\"' ")
    assert family in found[0]["font"]
    probe = "(node, colour) => { node.style.color = colour; return getComputedStyle(node).color; }"
    grey = panel.locator(".jt-Line").evaluate(probe, "var(--jp-ui-font-color2)")
    shown = panel.locator(".jt-Line").evaluate(probe, found[0]["colour"])
    assert shown == grey


def test_a_saved_run_a_second_panel_of_it_and_a_search_show_the_truth(jupyter, saved) -> None:
    panel = jupyter.page.locator(".jt-Panel:has(.jt-Chart)").first
    _check_both_panels_in_both_themes(jupyter)
    _check_that_labels_are_the_pictures(panel, saved)
    _check_that_the_status_line_is_python_s(panel, saved)
    _check_that_trials_beyond_the_edge_are_marked(jupyter.page)


def _check_both_panels_in_both_themes(jupyter) -> None:
    panels = jupyter.page.locator(".jt-Panel:has(.jt-Chart)")
    assert panels.count() == 2
    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        jupyter.set_theme(theme)
        for place in range(2):
            jupyter.page.wait_for_timeout(200)  # the next frame
            _check_colours(panels.nth(place))
        jupyter.screenshot(f"charts-{theme.split()[-1].lower()}")
    jupyter.set_theme("JupyterLab Light")


def _check_that_labels_are_the_pictures(panel, saved) -> None:
    """The same numbers at the same ticks, none of them beyond the canvas."""
    for family in saved["families"]:
        drawn = svg(saved | {"families": [family]})
        picture = re.findall(r'text-anchor="end" fill="[^"]+">([^<]+)<', drawn)
        found, width = canvas.labels(panel, family["name"])
        assert sorted(one["text"] for one in found if one["align"] == "right") == sorted(picture), family["name"]
        for label in found:
            assert label["left"] >= 0, (family["name"], label)
            assert label["right"] <= width, (family["name"], label)
    assert panel.locator(".jt-Chart", has_text="quarters").locator(".jt-ScaleButton").inner_text() != "log"


def _check_that_the_status_line_is_python_s(panel, saved) -> None:
    cells = panel.locator(".jt-Number").evaluate_all(
        "cells => cells.map(cell => [...cell.children].map(part => part.textContent))"
    )
    assert cells == [[text for text in part[:2] if text] for part in saved["status_line"]]  # epochs say what they are
    assert ["steps/s", "2.4"] in cells
    assert "  ".join(map(" ".join, cells)) in bundle(saved)["text/plain"]


def _check_that_trials_beyond_the_edge_are_marked(page) -> None:
    figures = page.locator(".jt-Study .jt-Figure:visible")
    told = {figure.locator(".jt-ChartTitle").inner_text(): figure for figure in figures.all()}
    for title in ("val_acc by trial", "val_acc by lr"):
        figure = told[title]
        assert figure.locator(".jt-Beyond").count() == 4
        assert figure.locator(".jt-FigureNote").inner_text() == "4 below 0.902: triangles at the edge"
        assert any("val_acc 0.120" in text for text in figure.locator(".jt-Beyond title").all_text_contents())
    kinds = [told["val_acc by trial"].locator(f".jt-TrialDot.jt-mod-{state}").first for state in ("complete", "pruned")]
    colours = [kind.evaluate("node => getComputedStyle(node).fill") for kind in kinds]
    assert colours[0] != colours[1]
    outside = figures.locator("text").evaluate_all(
        "all => all.filter(one => { const [a, b] = [one, one.ownerSVGElement].map(n => n.getBoundingClientRect());"
        " return a.left < b.left - 0.5 || a.right > b.right + 0.5; }).map(one => one.textContent)"
    )
    assert outside == []


def test_twelve_compared_runs_have_twelve_colours_and_end_where_they_ended(jupyter, monkeypatch) -> None:
    monkeypatch.setenv("JUPYTER_TRAIN_STORE", jupyter.server.store)
    monkeypatch.setenv("JUPYTER_TRAIN_HOME", str(jupyter.server.home / "runs"))
    name = f"twelve{time.time_ns()}"
    for place in range(12):
        steps = 10 if place == 0 else 100
        rates = {step: [("lr", 0.01 * (place + 1) * (1 + step / 10))] for step in (0, 5)}
        rows = [(step, [("val_acc", (step + place) / 120), *rates.get(step, [])]) for step in range(steps)]
        _recorded(f"{name}-{place:02d}", rows, step=steps)
    jupyter.page.add_init_script(canvas.RECORDER)
    jupyter.open(jupyter.write_notebook(["1"]), kernel=False)
    page = jupyter.page
    page.evaluate(SHOW)
    page.locator(".jt-RunsFilter").fill(name)
    page.locator(".jt-RunsSort").select_option("name")
    page.wait_for_function("() => document.querySelectorAll('.jt-Run:not([hidden])').length === 12")
    _run(jupyter, f"{name}-00").click()
    _run(jupyter, f"{name}-11").click(modifiers=["Shift"])
    page.locator(".jt-RunsActions .jt-Button", has_text="Compare").click()
    page.wait_for_function("() => document.querySelectorAll('.jt-Compare canvas').length >= 2")
    place = page.locator(".jt-Compare")
    for theme in ("Light", "Dark"):
        jupyter.set_theme(f"JupyterLab {theme}")
        page.wait_for_timeout(300)
        marks = place.locator(".jt-Chart").first.locator(".jt-Mark")
        colours = marks.evaluate_all("all => all.map(one => getComputedStyle(one).borderTopColor)")
        assert len(colours) == len(set(colours)) == 12
        for chart in ("val_acc", "lr"):
            ends = [canvas.pixels(place, chart, colour)["last"] for colour in colours]
            assert ends[0] < 0.3, chart  # a tenth of the steps, right of the labels
            assert min(ends[1:]) > 0.9, chart
        page.screenshot(path=str(SCREENSHOTS / f"lab-compare-twelve-{theme.lower()}.png"))


def test_a_chart_without_a_finite_value_says_so_in_its_place(jupyter, own_store) -> None:
    rows = [(step, [("train_loss", math.nan), ("val_loss", math.inf), ("val_acc", step / 9)]) for step in range(9)]
    key = _recorded("lost", rows, epoch=1, epochs=1, step=9, steps=9, steps_per_s=2.4, eta_s=0.0)
    found = snapshot(open_store(), key)
    name = jupyter.write_notebook(["1"])
    path = jupyter.server.work / name
    notebook = nbformat.read(path, 4)
    notebook.cells[0].outputs = [nbformat.v4.new_output("display_data", data=bundle(found))]
    nbformat.write(notebook, path)
    jupyter.open(name, kernel=False)
    panel = jupyter.page.locator(".jt-Panel:has(.jt-Chart)")
    words = "no value of train_loss, val_loss is a finite number"
    panel.get_by_text(words).wait_for()
    assert panel.locator(".jt-PlotNote:visible").all_inner_texts() == [words]  # the accuracy has its curve
    assert words in re.sub("<[^>]+>", " ", svg(found))
    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        jupyter.set_theme(theme)
        box = panel.locator(".jt-PlotNote:visible").bounding_box()
        plot = panel.locator(".jt-Chart", has_text=words).locator(".uplot").bounding_box()
        assert abs(box["x"] + box["width"] / 2 - plot["x"] - plot["width"] / 2) < 2
        jupyter.page.screenshot(path=SCREENSHOTS / f"no-finite-value-{theme.split()[-1].lower()}.png")
