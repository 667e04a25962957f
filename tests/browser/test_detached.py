"""A detached run in the browser: the kernel is free, restarts, and the panel goes on."""

from __future__ import annotations

import nbformat
import pytest

from jupyter_train.panel.bundle import MIME_TYPE
from tests.browser.training import SETUP, STEP

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


def test_a_detached_run_is_live_and_steered_after_the_kernel_was_restarted(jupyter) -> None:
    line = "run = %train LitDigits() (X,y) --epochs 2000 --seed 1 --name digits --detach"
    name = jupyter.write_notebook([SETUP, f"LitDigits.pause_s = 0.01\n{line}", "print('free', run.status)"])
    jupyter.open(name)
    jupyter.run_cell(0)
    jupyter.wait_until_idle()
    jupyter.run_cell(1)
    page = jupyter.page
    page.wait_for_function(f"() => ({STEP})() > 10")
    jupyter.run_cell(2)
    page.locator(".jp-OutputArea-output", has_text="free running").wait_for()
    page.evaluate("() => window.jupyterapp.shell.currentWidget.context.sessionContext.session.kernel.restart()")
    jupyter.wait_until_idle()
    before = page.evaluate(STEP)
    page.wait_for_function(f"() => ({STEP})() > {before} + 60")
    page.locator(".jt-Panel .jt-Button", has_text="Pause").click()
    page.wait_for_selector(".jt-Header[data-status=paused]")
    page.locator(".jt-Panel .jt-Button", has_text="Resume").click()
    page.wait_for_selector(".jt-Header[data-status=running]")
    jupyter.screenshot("detached")
    page.locator(".jt-Panel .jt-Button", has_text="Stop").click()
    page.wait_for_selector(".jt-Header[data-status=stopped]")
    kept = "JSON.stringify(window.jupyterapp.shell.currentWidget.context.model.toJSON()).includes('stopped at step')"
    page.wait_for_function(f"() => {kept}")
    jupyter.save()
    [output] = nbformat.read(jupyter.server.work / name, 4).cells[1].outputs
    assert output.data[MIME_TYPE]["status"] == "stopped"
    assert "stopped at step" in output.data["text/plain"]
