"""A detached run in the browser: the kernel is free, restarts, and the panel continues."""

from __future__ import annotations

import nbformat
import pytest

from jupyter_train.panel.bundle import MIME_TYPE
from tests.browser.applications import notebook_in_full
from tests.browser.training import SETUP, STEP

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


GATED = """
from pathlib import Path
class Gate:
    def __getstate__(self):
        return {"path": str(Path("open").absolute())}
    def __setstate__(self, state):
        while not Path(state["path"]).exists():
            time.sleep(0.02)
LitDigits.pause_s = 0.01
model = LitDigits()
model.gate = Gate()
run = %train model (X,y) --epochs 2000 --seed 1 --name digits --detach
"""


@notebook_in_full
def test_a_run_that_is_queued_while_the_kernel_is_restarted_is_live_and_steered_after_that(jupyter) -> None:
    gate = jupyter.server.work / "open"
    gate.unlink(missing_ok=True)
    name = jupyter.write_notebook([SETUP, GATED, "print('free', run.status)"])
    jupyter.open(name)
    jupyter.run_cell(0)
    jupyter.wait_until_idle()
    jupyter.run_cell(1)
    page = jupyter.page
    page.wait_for_selector(".jt-Header[data-status=queued]")
    page.locator(".jt-Notice", has_text="waits for model and data, which its process reads").wait_for()
    jupyter.run_cell(2)
    page.locator(".jp-OutputArea-output", has_text="free queued").wait_for()
    page.evaluate("() => window.jupyterapp.shell.currentWidget.context.sessionContext.session.kernel.restart()")
    jupyter.wait_until_idle()
    jupyter.screenshot("queued")
    gate.touch()
    page.wait_for_function(f"() => ({STEP})() > 10")
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
