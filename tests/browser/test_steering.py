"""Steering a run from its cell while the cell blocks, in JupyterLab and Notebook 7."""

from __future__ import annotations

import pytest

from tests.browser.applications import notebook_in_full
from tests.browser.training import STEP, slow_run

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


def _click(page, name: str) -> None:
    page.locator(".jt-Panel .jt-Button", has_text=name).click()


def _wait_for_notice(page, text: str) -> None:
    page.locator(".jt-Notice", has_text=text).wait_for()


@notebook_in_full
def test_every_control_works_while_the_cell_blocks(jupyter) -> None:
    slow_run(jupyter, epochs=500, after="print('the cell went on')")
    page = jupyter.page
    page.wait_for_function(f"() => ({STEP})() > 20")
    assert jupyter.is_busy()
    _click(page, "×½")
    _wait_for_notice(page, "learning rate multiplied by 0.5")
    page.locator(".jt-RateInput").fill("0.01")
    page.locator(".jt-RateInput").press("Enter")
    _wait_for_notice(page, "learning rate set to 0.01")
    page.wait_for_function("() => document.querySelector('.jt-RateInput').value === '0.0100'")
    _click(page, "Checkpoint")
    _wait_for_notice(page, "checkpoint manual-step")
    _click(page, "Pause")
    page.wait_for_selector(".jt-Header[data-status=paused]")
    page.wait_for_timeout(1000)  # the number of the last step comes right after the status
    paused_at = page.evaluate(STEP)
    jupyter.screenshot("paused-light")
    page.wait_for_timeout(1000)
    assert page.evaluate(STEP) == paused_at
    _click(page, "Resume")
    page.wait_for_function(f"() => ({STEP})() > {paused_at}")
    page.wait_for_selector(".jt-Header[data-status=running]")
    page.wait_for_function(f"() => ({STEP})() > {paused_at} + 40")
    jupyter.screenshot("steered-light")
    jupyter.set_theme("JupyterLab Dark")
    jupyter.screenshot("steered-dark")
    jupyter.set_theme("JupyterLab Light")
    _click(page, "Stop")
    page.wait_for_selector(".jt-Header[data-status=stopped]")
    page.locator(".jp-OutputArea-output", has_text="the cell went on").wait_for()
    jupyter.wait_until_idle()
    assert page.locator(".jt-Controls").is_hidden()
    assert page.locator(".jp-OutputArea-output", has_text="Error").count() == 0


@pytest.mark.parametrize("application", ["lab"], indirect=True)
def test_a_command_that_makes_no_sense_is_answered_in_the_panel(jupyter) -> None:
    slow_run(jupyter, epochs=500)
    page = jupyter.page
    page.wait_for_function(f"() => ({STEP})() > 20")
    page.locator(".jt-RateInput").fill("-3")
    page.locator(".jt-RateInput").press("Enter")
    page.locator(".jt-Answer", has_text="expected a number above 0").wait_for()
    jupyter.screenshot("answer")
    page.locator(".jt-RateInput").fill("fast")
    page.locator(".jt-RateInput").press("Enter")
    page.locator(".jt-Answer", has_text="expected a number").wait_for()
    _click(page, "Stop")
    page.wait_for_selector(".jt-Header[data-status=stopped]")
    jupyter.wait_until_idle()


@pytest.mark.parametrize("application", ["lab"], indirect=True)
def test_a_reloaded_page_steers_the_run_it_left(jupyter) -> None:
    """The kernel is busy and the page new to it: the command goes through the server and the store."""
    slow_run(jupyter, epochs=500)
    page = jupyter.page
    page.wait_for_function(f"() => ({STEP})() > 20")
    jupyter.save()
    page.reload()
    page.locator(".jt-Panel .jt-Button", has_text="Stop").wait_for()
    _click(page, "Stop")
    page.wait_for_selector(".jt-Header[data-status=stopped]")
