"""Zoom: a window of a long run is drawn from the store, point by point where they fit; it stays while a run trains."""

from __future__ import annotations

import re
import time

import pytest

from jupyter_train.run import RunStatus
from jupyter_train.store import RunFolder, open_store
from jupyter_train.store.metrics.appender import MetricAppender
from jupyter_train.store.metrics.blocks import Point
from tests.browser.applications import notebook_in_full
from tests.browser.training import STEP, slow_run

pytestmark = pytest.mark.browser

POINTS = 1_000_000
WINDOW = ".jt-Panel .jt-ZoomText"
CURVES = re.compile(r"/curves\?first=\d+&last=\d+")
OVER = ".jt-Panel .jt-Chart >> nth=0 >> .u-over"


@pytest.fixture
def long_run(jupyter, monkeypatch) -> str:
    """A finished run in the server's store whose loss is its step: whatever is read in a chart says where it is."""
    monkeypatch.setenv("JUPYTER_TRAIN_STORE", jupyter.server.store)
    monkeypatch.setenv("JUPYTER_TRAIN_HOME", str(jupyter.server.home / "runs"))
    store = open_store()
    record = store.create_run("long")
    store.set_status(record.key, RunStatus.RUNNING, started_at=time.time())
    appender = MetricAppender(RunFolder(record.folder).metrics)
    for step in range(POINTS):
        appender.append("train_loss", Point(step, 0.0, float(step), 0.0))
        if step % 50_000 == 0:
            appender.commit()
    appender.commit()
    appender.close()
    store.set_status(record.key, RunStatus.FINISHED, ended_at=time.time())
    return record.ref


def _drag(page, start: float, end: float) -> None:
    """From one part of the chart's width to another."""
    page.locator(OVER).scroll_into_view_if_needed()
    box = page.locator(OVER).bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + start * box["width"], y)
    page.mouse.down()
    page.mouse.move(box["x"] + (start + end) / 2 * box["width"], y)
    page.mouse.move(box["x"] + end * box["width"], y)
    page.mouse.up()


def _window(page) -> tuple[int, int]:
    found = re.findall(r"[\d,.]+[kM]?", page.locator(WINDOW).inner_text())
    units = {"k": 1e3, "M": 1e6}
    first, last = (float(text.rstrip("kM").replace(",", "")) * units.get(text[-1], 1) for text in found)
    return round(first), round(last)


def _value_at(page, place: float) -> str:
    """What the legend says with the pointer at a part of the chart's width."""
    box = page.locator(OVER).bounding_box()
    page.mouse.move(box["x"] + place * box["width"], box["y"] + box["height"] / 2)
    return str(page.locator(".jt-Panel .jt-LegendItem .jt-Value").first.inner_text())


@notebook_in_full
def test_a_window_of_a_million_points_is_drawn_from_the_store(jupyter, long_run) -> None:
    jupyter.open(jupyter.write_notebook([f"from jupyter_train import get_run\nget_run('{long_run}')"]))
    jupyter.run_cell()
    page = jupyter.page
    page.wait_for_selector(OVER)
    jupyter.wait_until_idle()
    for _ in range(4):  # a million, then 100,000, 10,000, 1,000, 100 steps
        with page.expect_response(CURVES) as answered:
            _drag(page, 0.6, 0.7)
        assert answered.value.status == 200
        page.wait_for_timeout(200)  # drawn in the next frame
    first, last = _window(page)
    assert 650_000 < first < last < 680_000
    assert 80 <= last - first <= 130
    exact = int(_value_at(page, 0.5).replace(",", ""))
    assert exact == pytest.approx((first + last) / 2, abs=3)  # a point of its own, not a mean of several thousand
    jupyter.screenshot("zoom")
    with page.expect_response(CURVES):
        page.get_by_role("button", name="later steps").click()
    assert _window(page)[0] == pytest.approx((first + last) / 2, abs=2)
    page.get_by_role("button", name="show all steps").click()
    assert page.locator(WINDOW).is_hidden()
    assert int(_value_at(page, 0.999).replace(",", "")) > 900_000
    _drag(page, 0.2, 0.4)
    page.wait_for_selector(WINDOW)
    page.locator(OVER).dblclick()
    page.wait_for_selector(WINDOW, state="hidden")


@notebook_in_full
def test_a_window_stays_while_the_run_trains(jupyter) -> None:
    slow_run(jupyter, epochs=12)
    page = jupyter.page
    page.wait_for_function(f"() => ({STEP})() > 30")
    _drag(page, 0.3, 0.8)
    page.wait_for_selector(WINDOW)
    window = page.locator(WINDOW).inner_text()
    legend = page.locator(".jt-Panel .jt-LegendItem .jt-Value").first
    with page.expect_response(CURVES):
        pass
    shown = legend.inner_text()
    step = page.evaluate(f"() => ({STEP})()")
    page.wait_for_function(f"() => ({STEP})() > {step + 100}")  # several updates later
    assert page.locator(WINDOW).inner_text() == window
    assert legend.inner_text() != shown  # the pointer rests where it was dragged to; the legend continues
    page.get_by_role("button", name="show all steps").click()
    page.wait_for_selector(WINDOW, state="hidden")
