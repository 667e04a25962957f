"""A page loaded again before anybody saved: the run is seen and steered as before, and no file is written over."""

from __future__ import annotations

import time

import nbformat
import pytest

from jupyter_train.panel.bundle import MIME_TYPE
from tests.browser.applications import notebook_in_full
from tests.browser.jupyter import _IS_KEPT
from tests.browser.test_runs import SHOW, _run
from tests.browser.training import SETUP, STEP, slow_run

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


def _panels(path) -> list[str]:
    """The status of every panel in the file."""
    outputs = [output for cell in nbformat.read(path, 4).cells for output in cell.outputs]
    return [output.data[MIME_TYPE]["status"] for output in outputs if MIME_TYPE in output.get("data", {})]


def _wait_for_header(page, status: str) -> None:
    page.wait_for_selector(f".jt-Header[data-status={status}]")


#: The file is written, and the page hears of it two seconds later.
SLOW_TO_SAVE = """() => {
  const fetched = window.fetch;
  window.fetch = async (request, ...more) => {
    const response = await fetched(request, ...more);
    if (request.method === 'PUT') {
      await new Promise(resolve => setTimeout(resolve, 2000));
    }
    return response;
  };
}"""


@pytest.mark.parametrize("application", ["lab"], indirect=True)
def test_a_notebook_is_saved_once_its_panel_is_in_it(jupyter) -> None:
    jupyter.page.add_init_script(f"({SLOW_TO_SAVE})()")
    path = jupyter.server.work / slow_run(jupyter, epochs=500)
    page = jupyter.page
    page.wait_for_function(f"() => ({STEP})() > 20")
    deadline = time.monotonic() + 30
    while _panels(path) != ["running"] and time.monotonic() < deadline:
        page.wait_for_timeout(200)
    assert _panels(path) == ["running"]
    jupyter.save()  # the document knows what is on disk: no question
    assert page.locator(".jp-Dialog").count() == 0
    page.locator(".jt-Panel .jt-Button", has_text="Stop").click()
    _wait_for_header(page, "stopped")
    jupyter.wait_until_idle()


@notebook_in_full
def test_a_lost_panel_is_put_back_and_the_run_is_steered_from_it_and_from_the_list(jupyter) -> None:
    """Another program has written the file meanwhile: it is left as it is, and no dialog appears."""
    name = f"lost{time.time_ns()}"
    line = f"LitDigits.pause_s = 0.01\nrun = %train LitDigits() (X,y) --epochs 500 --seed 1 --name {name}"
    path = jupyter.server.work / jupyter.write_notebook([SETUP, line])
    jupyter.open(path.name)
    jupyter.run_cell(0)
    jupyter.wait_until_idle()
    notebook = nbformat.read(path, 4)
    notebook.metadata.written_by = "somebody else"
    nbformat.write(notebook, path)
    written = path.read_bytes()
    jupyter.run_cell(1)
    page = jupyter.page
    page.wait_for_function(f"() => ({STEP})() > 20")
    page.locator(".jt-Panel .jt-Button", has_text="Pause").click()
    _wait_for_header(page, "paused")
    page.evaluate(SHOW)
    _run(jupyter, name).filter(has_text="paused").wait_for()  # and whoever saves at this news would have
    assert path.read_bytes() == written
    assert page.locator(".jp-Dialog").count() == 0
    page.reload()
    _wait_for_header(page, "paused")
    assert page.locator(".jt-Panel").count() == 1
    page.evaluate(SHOW)
    _run(jupyter, name).click()
    for button, status in (("Resume", "running"), ("Pause", "paused")):
        page.locator(".jt-RunsActions .jt-Button", has_text=button).click()
        _run(jupyter, name).filter(has_text=status).wait_for()
        _wait_for_header(page, status)
    jupyter.screenshot("put-back")
    page.locator(".jt-Panel .jt-Button", has_text="Resume").click()
    _wait_for_header(page, "running")
    page.locator(".jt-RunsActions .jt-Button", has_text="Stop").click()
    _wait_for_header(page, "stopped")
    page.wait_for_function("status => (" + _IS_KEPT + ")(status)", arg="stopped")
    assert page.locator(".jp-Dialog").count() == 0
    saved = nbformat.read(path, 4)
    assert saved.metadata.written_by == "somebody else"
    assert len(_panels(path)) == 1  # now the document was what is on disk
