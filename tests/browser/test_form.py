"""`%train --form` in the browser: fills in, shows what is wrong, starts a run, writes its line, is saved as text."""

from __future__ import annotations

import nbformat
import pytest

from jupyter_train.panel.forms.form import MIME_TYPE
from tests.browser.applications import notebook_in_full
from tests.browser.jupyter import SCREENSHOTS
from tests.browser.training import SETUP, STEP

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


def _field(page, name: str):
    """By its label, as a screen reader finds it."""
    return page.locator(".jt-Form").get_by_label(name, exact=True).first


def _fill(page, name: str, text: str) -> None:
    _field(page, name).fill(text)
    _field(page, name).press("Enter")


def _opened(jupyter, line: str) -> str:
    """A notebook that shows the form of a line; gives its name."""
    name = jupyter.write_notebook([SETUP, line])
    jupyter.open(name)
    jupyter.run_cell(0)
    jupyter.wait_until_idle()
    jupyter.run_cell(1)
    jupyter.page.locator(".jt-Form").wait_for()
    return name


@notebook_in_full
def test_a_form_starts_a_run_and_writes_its_line_into_the_next_cell(jupyter) -> None:
    name = _opened(jupyter, "LitDigits.pause_s = 0.01\n%train --form LitDigits() (X,y)")
    page = jupyter.page
    _fill(page, "--epochs", "many")
    page.locator(".jt-FormBad", has_text="expected a whole number").wait_for()
    page.locator(".jt-Form button:disabled", has_text="Start").wait_for()
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=str(SCREENSHOTS / f"{jupyter.application}-form-problem.png"))
    _fill(page, "--epochs", "2000")
    _fill(page, "hidden", "16")
    line = "run = %train LitDigits(hidden=16) (X,y) --epochs 2000"
    page.locator(".jt-FormLine", has_text=line).wait_for()
    page.locator(".jt-Form button:not(:disabled)", has_text="Start").click()
    page.locator(".jt-FormSaid", has_text="runs in its own process").wait_for()
    page.wait_for_function(f"() => ({STEP})() > 20")
    jupyter.screenshot("form-started")
    page.locator(".jt-FormView .jt-Button", has_text="Write into the next cell").click()
    page.wait_for_function(
        "line => window.jupyterapp.shell.currentWidget.content.model.cells.get(2).sharedModel.source === line", arg=line
    )
    page.locator(".jt-Panel .jt-Button", has_text="Stop").click()
    page.wait_for_selector(".jt-Header[data-status=stopped]")
    jupyter.save()
    outputs = nbformat.read(jupyter.server.work / name, 4).cells[1].outputs
    form = next(output.data for output in outputs if MIME_TYPE in output.data)
    assert form["text/plain"] == line
    assert line in form["text/html"]
    assert not any("widget-view" in mime for output in outputs for mime in output.data)


@pytest.mark.parametrize("application", ["lab"], indirect=True)
def test_a_saved_form_is_its_line_and_the_toolbar_opens_a_new_one(jupyter) -> None:
    name = jupyter.write_notebook(["1"])
    content = nbformat.read(jupyter.server.work / name, 4)
    data = {MIME_TYPE: {"schema": 1, "kernel": "gone", "model_id": "gone", "line": "run = %train <img src=x> data"}}
    content.cells[0].outputs = [nbformat.v4.new_output("display_data", {**data, "text/plain": "x"})]
    nbformat.write(content, jupyter.server.work / name)
    jupyter.open(name)
    page = jupyter.page
    assert page.locator(".jt-FormText").inner_text() == "run = %train <img src=x> data"
    assert page.locator(".jt-FormView img").count() == 0
    page.locator("jp-button, button", has_text="Train").first.click()
    page.wait_for_function(
        "() => window.jupyterapp.shell.currentWidget.content.model.cells.get(1)"
        ".sharedModel.source.includes('%train --form model data')"
    )


@pytest.mark.full
@notebook_in_full
def test_a_form_searches_detached_and_its_panel_is_live(jupyter) -> None:
    _opened(jupyter, "%tune --form LitDigits (X,y) hidden=8|16|32 --trials 12 --seed 1")
    page = jupyter.page
    _fill(page, "hidden", "64..8")
    page.locator(".jt-FormBad", has_text="wrong way round").wait_for()
    _fill(page, "hidden", "8|16|32|64")
    _fill(page, "--maximize", "val_acc")
    _fill(page, "--epochs", "3")
    line = "study = %tune LitDigits (X,y) hidden=8|16|32|64 --trials 12 --maximize val_acc --epochs 3 --seed 1"
    page.locator(".jt-FormLine", has_text=line).wait_for()
    page.screenshot(path=str(SCREENSHOTS / f"{jupyter.application}-form-search.png"))
    page.locator(".jt-Form button:not(:disabled)", has_text="Search").click()
    page.locator(".jt-FormSaid", has_text="in its own process").wait_for()
    page.wait_for_selector(".jt-Study .jt-TrialDot")
    page.wait_for_selector(".jt-Header[data-status=finished]")
    assert page.locator(".jt-Trial").count() == 8
    page.set_viewport_size({"width": 1280, "height": 1700})
    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        jupyter.set_theme(theme)
        jupyter.screenshot(f"form-searched-{theme.split()[1].lower()}")
