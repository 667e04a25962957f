"""Views and kernels apart from each other: two tabs on one kernel, and a kernel whose disk the server cannot see."""

from __future__ import annotations

import pytest

from tests.browser.applications import notebook_in_full
from tests.browser.jupyter import Jupyter
from tests.browser.training import SETUP, STEP, slow_run

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


def _click(page, name: str) -> None:
    page.locator(".jt-Panel .jt-Button", has_text=name).click()


def _same_step(first, second) -> int:
    """The step both tabs come to rest at, asserted not to be behind what training had recorded when it rested.

    A status is a message of its own, so one tab may draw it before the last row that the other has drawn already.
    """
    for page in (first, second):
        page.wait_for_function(
            f"previous => ({STEP})() >= previous", arg=max(one.evaluate(STEP) for one in (first, second))
        )
    assert first.evaluate(STEP) == second.evaluate(STEP)
    return int(first.evaluate(STEP))


@notebook_in_full
def test_two_tabs_on_one_kernel_are_both_live_and_both_steer(jupyter: Jupyter) -> None:
    name = slow_run(jupyter, epochs=500)
    first = jupyter.page
    first.wait_for_function(f"() => ({STEP})() > 20")
    jupyter.save()
    other = Jupyter(jupyter.server, first.context, jupyter.application)
    other.open(name, kernel=False)
    second = other.page
    begun = first.evaluate(STEP)
    for page in (first, second):
        page.wait_for_function(f"() => ({STEP})() > {begun} + 60")
    _click(second, "Pause")
    for page in (first, second):
        page.wait_for_selector(".jt-Header[data-status=paused]")
    paused_at = _same_step(first, second)
    _click(first, "Resume")
    for page in (first, second):
        page.wait_for_function(f"() => ({STEP})() > {paused_at} + 20")
    _click(first, "Stop")
    for page in (first, second):
        page.wait_for_selector(".jt-Header[data-status=stopped]")
    _same_step(first, second)


@pytest.fixture
def elsewhere(jupyter: Jupyter, tmp_path) -> list[str]:
    """Cells whose kernel keeps runs where the server does not look, as one on another machine does."""
    apart = f"import os\nos.environ['JUPYTER_TRAIN_STORE'] = '{tmp_path}/far/store.db'\n"
    line = "LitDigits.pause_s = 0.01\nrun = %train LitDigits() (X,y) --epochs 500 --seed 1 --name digits"
    return [apart + SETUP, line]


@notebook_in_full
def test_a_kernel_on_another_disk_is_followed_and_steered_over_its_control_channel(jupyter, elsewhere) -> None:
    jupyter.open(jupyter.write_notebook(elsewhere))
    jupyter.run_cell(0)
    jupyter.wait_until_idle()
    jupyter.run_cell(1)
    page = jupyter.page
    page.wait_for_function(f"() => ({STEP})() > 20")
    jupyter.save()
    before = page.evaluate(STEP)
    page.reload()
    page.wait_for_function(f"() => ({STEP})() > {before} + 60")
    page.locator(".jt-DetailsSummary").click()
    page.locator(".jt-Part", has_text="options").wait_for()
    assert "epochs\t500" in page.locator(".jt-Part", has_text="options").inner_text()
    assert "GPU available" in page.locator(".jt-Log").inner_text()
    page.locator(".jt-Note").fill("far away")
    page.locator(".jt-Note").blur()
    page.locator(".jt-DetailsBody", has_text="kept").wait_for()
    _click(page, "Checkpoint")
    page.locator(".jt-Notice", has_text="checkpoint manual-step").wait_for()
    _click(page, "Stop")
    page.wait_for_selector(".jt-Header[data-status=stopped]")
    jupyter.wait_until_idle()
    jupyter.save_once_kept("stopped")
    steps = page.evaluate(STEP)
    jupyter.shut_kernel_down()
    page.reload()
    page.wait_for_selector(".jt-Header[data-status=stopped]")
    assert page.evaluate(STEP) == steps  # the kernel wrote the last state into the document
