"""The panel in a real browser, in JupyterLab and Notebook 7."""

from __future__ import annotations

import json
import time

import nbformat
import psutil
import pytest

from tests.browser.applications import notebook_in_full
from tests.browser.training import PANEL, SETUP, STEP, slow_run

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


def test_curve_grows_while_the_cell_runs_and_stays_in_the_saved_notebook(jupyter) -> None:
    name = slow_run(jupyter)
    page = jupyter.page
    page.wait_for_selector(f"{PANEL} canvas")
    page.wait_for_function(f"() => ({STEP})() > 20")
    assert jupyter.is_busy()
    first = page.evaluate(STEP)
    page.evaluate("() => { document.querySelector('.jt-Panel').dataset.mark = 'the same element'; }")
    page.wait_for_function(f"() => ({STEP})() > {first} + 40")
    assert jupyter.is_busy()
    if jupyter.application == "lab":
        page.wait_for_function(f"() => ({STEP})() > 100")
        jupyter.screenshot("running")
    jupyter.wait_until_idle()
    page.wait_for_selector(".jt-Header[data-status=finished]")
    assert page.locator(".jt-Panel").count() == 1
    assert page.evaluate("() => document.querySelector('.jt-Panel').dataset.mark") == "the same element"
    assert page.locator(".jt-Notice.jt-mod-error").count() == 0
    jupyter.screenshot("finished-light")
    jupyter.set_theme("JupyterLab Dark")
    jupyter.screenshot("finished-dark")
    assert page.evaluate(
        "() => [...document.querySelectorAll('.jt-Plot')].every("
        "host => host.querySelector('.u-wrap').clientWidth === host.clientWidth)"
    )
    jupyter.set_theme("JupyterLab Light")
    jupyter.save()
    jupyter.shut_kernel_down()
    jupyter.open(name, kernel=False)
    page.wait_for_selector(f"{PANEL} canvas")
    assert page.locator(".jt-Name").inner_text().startswith("digits-")
    assert page.locator(".jt-Status").inner_text() == "finished"
    output = nbformat.read(jupyter.server.work / name, 4).cells[1].outputs
    assert [len(json.dumps(one.data)) < 30_000 for one in output] == [True]


@notebook_in_full
def test_a_cell_that_ends_in_train_shows_one_panel(jupyter) -> None:
    name = jupyter.write_notebook([SETUP, "%train LitDigits() (X,y) --epochs 1 --seed 1"])
    jupyter.open(name)
    jupyter.run_cell(0)
    jupyter.wait_until_idle()
    jupyter.run_cell(1)
    jupyter.page.wait_for_selector(".jt-Header[data-status=finished]")
    jupyter.wait_until_idle()
    assert jupyter.page.locator(".jp-OutputArea-child").count() == 1


@notebook_in_full
def test_an_error_shows_one_line_and_no_panel(jupyter) -> None:
    name = jupyter.write_notebook([SETUP, "%train LitDigit() (X,y) --epochs 1"])
    jupyter.open(name)
    jupyter.run_cell(0)
    jupyter.wait_until_idle()
    jupyter.run_cell(1)
    output = jupyter.page.locator(".jp-OutputArea-output", has_text="UsageError")
    output.wait_for()
    assert "Did you mean `LitDigits`?" in output.inner_text()
    assert "Traceback" not in output.inner_text()
    assert jupyter.page.locator(".jt-Panel").count() == 0


def test_a_panel_in_an_untrusted_notebook_is_drawn_and_its_strings_are_text(jupyter) -> None:
    from tests.browser.samples import hostile_bundle

    name = jupyter.write_notebook(["1"])
    path = jupyter.server.work / name
    notebook = nbformat.read(path, 4)
    notebook.cells[0].outputs = [nbformat.v4.new_output("display_data", data=hostile_bundle())]
    nbformat.write(notebook, path)
    jupyter.open(name, kernel=False)
    jupyter.page.wait_for_selector(f"{PANEL} canvas")
    assert "<img src=x onerror=" in jupyter.page.locator(".jt-Panel").inner_text()
    assert jupyter.page.evaluate("() => window.hacked") is None
    assert jupyter.page.locator(".jt-Panel img").count() == 0


@pytest.mark.full
@notebook_in_full
def test_a_second_panel_of_a_run_is_small_and_draws_what_the_first_one_knows(jupyter) -> None:
    name = jupyter.write_notebook([SETUP, "run = %train LitDigits() (X,y) --epochs 2 --seed 1", "run"])
    jupyter.open(name)
    for index in range(3):
        jupyter.run_cell(index)
        jupyter.wait_until_idle()
    page = jupyter.page
    page.wait_for_function(f"() => document.querySelectorAll('{PANEL} canvas').length >= 4")
    assert page.locator(PANEL).count() == 2
    jupyter.save()
    path = jupyter.server.work / name
    notebook = nbformat.read(path, 4)
    assert len(json.dumps(notebook.cells[2].outputs[0].data, indent=1)) <= 2_000
    notebook.cells[1].outputs = []  # and nobody trusts what was written elsewhere
    nbformat.write(notebook, path)
    jupyter.open(name, kernel=False)
    page.locator(".jt-Link").wait_for()
    assert page.locator("canvas").count() == 0
    page.locator(".jt-Link").click()
    page.wait_for_selector(f"{PANEL} canvas")
    assert page.locator(".jt-Status").inner_text() == "finished"


@notebook_in_full
def test_details_epochs_and_smoothing(jupyter) -> None:
    name = jupyter.write_notebook([SETUP, "run = %train LitDigits() (X,y) --epochs 4 --seed 1 --name digits"])
    jupyter.open(name)
    for index in range(2):
        jupyter.run_cell(index)
        jupyter.wait_until_idle()
    page = jupyter.page
    page.wait_for_selector(".jt-Header[data-status=finished]")
    page.locator(".jt-DetailsSummary").click()
    page.locator(".jt-Part", has_text="options").wait_for()
    assert "epochs\t4" in page.locator(".jt-Part", has_text="options").inner_text()
    assert "torch" in page.locator(".jt-Part", has_text="environment").inner_text()
    link = page.locator(".jt-Part", has_text="links").get_by_role("link", name=name)
    place = "lab/tree" if jupyter.application == "lab" else "notebooks"
    assert link.get_attribute("href") == f"{jupyter.server.url}/{place}/{name}"
    assert "Trainer.fit" in page.locator(".jt-Log").inner_text()
    page.locator(".jt-Note").fill("<b>the good one</b>")
    page.locator(".jt-Note").blur()
    page.locator(".jt-DetailsBody", has_text="kept").wait_for()
    page.locator(".jt-Slider").fill("0.9")
    page.locator(".jt-ViewBar > .jt-ScaleButton").click()
    page.locator(".jt-ViewBar > .jt-ScaleButton", has_text="per epoch").wait_for()
    jupyter.screenshot("details-light")
    page.locator(".jt-DetailsSummary").click()
    jupyter.screenshot("epochs-light")
    jupyter.run_cell(0)
    page.locator(".jt-DetailsSummary").click()
    page.wait_for_function("() => document.querySelector('.jt-Note')?.value === '<b>the good one</b>'")


@notebook_in_full
def test_a_page_reloaded_while_the_cell_runs_is_live_again(jupyter) -> None:
    slow_run(jupyter, epochs=200)
    page = jupyter.page
    page.wait_for_function(f"() => ({STEP})() > 20")
    jupyter.save()
    before = page.evaluate(STEP)
    page.reload()
    page.wait_for_function(f"() => ({STEP})() > {before} + 60")
    first = page.evaluate(STEP)
    page.wait_for_function(f"() => ({STEP})() > {first} + 20")
    assert page.locator(".jt-Status").inner_text() in ("running", "validating")
    page.wait_for_function("() => window.jupyterapp.shell.currentWidget.context.sessionContext.session?.kernel")
    page.evaluate("() => window.jupyterapp.shell.currentWidget.context.sessionContext.session.kernel.interrupt()")
    page.wait_for_selector(".jt-Header[data-status=stopped]")


@pytest.mark.parametrize("application", ["lab"], indirect=True)
def test_interrupt_stops_the_run_and_says_so_in_one_line(jupyter) -> None:
    slow_run(jupyter, epochs=200)
    page = jupyter.page
    page.wait_for_function(f"() => ({STEP})() > 20")
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:interrupt-kernel')")
    page.wait_for_selector(".jt-Header[data-status=stopped]")
    text = page.locator(".jp-OutputArea-output", has_text="TrainingInterrupted").inner_text()
    assert "interrupted at step" in text
    assert "Traceback" not in text
    jupyter.wait_until_idle()
    jupyter.screenshot("stopped")


@pytest.mark.parametrize("application", ["lab"], indirect=True)
def test_failure_shows_its_last_line_first(jupyter) -> None:
    broken = (
        "class Broken(LitDigits):\n    def training_step(self, batch, i):\n        raise ValueError('a broken step')\n"
    )
    name = jupyter.write_notebook([SETUP + broken, "%train Broken() (X,y) --epochs 1 --seed 1"])
    jupyter.open(name)
    jupyter.run_cell(0)
    jupyter.wait_until_idle()
    jupyter.run_cell(1)
    jupyter.page.wait_for_selector(".jt-Header[data-status=failed]")
    assert jupyter.page.locator(".jt-Notice.jt-mod-error").inner_text() == "ValueError: a broken step"
    jupyter.wait_until_idle()
    time.sleep(0.1)
    jupyter.screenshot("failed")


@pytest.mark.parametrize("application", ["lab"], indirect=True)
def test_the_static_picture_is_shown_without_the_extension(jupyter) -> None:
    """What a front end without our renderer shows, in an untrusted notebook: the sanitizer keeps the picture."""
    from tests.browser.samples import finished_bundle

    name = jupyter.write_notebook(["1"])
    path = jupyter.server.work / name
    notebook = nbformat.read(path, 4)
    data = finished_bundle()
    del data["application/vnd.jupyter-train.run+json"]
    notebook.cells[0].outputs = [nbformat.v4.new_output("display_data", data=data)]
    nbformat.write(notebook, path)
    jupyter.open(name, kernel=False)
    picture = jupyter.page.locator(".jp-RenderedHTMLCommon img")
    picture.wait_for()
    width = picture.evaluate("async node => { await node.decode(); return node.naturalWidth; }")
    assert width > 300
    jupyter.screenshot("static-light")
    jupyter.set_theme("JupyterLab Dark")
    jupyter.screenshot("static-dark")
    jupyter.set_theme("JupyterLab Light")


@pytest.mark.parametrize("application", ["lab"], indirect=True)
@pytest.mark.full
def test_a_closed_tab_costs_the_server_no_memory(jupyter) -> None:
    """Two minutes of training that is not watched: what the server has to keep is less than 20 MB/h's worth.

    Counted in bytes the kernel publishes, all of which the server keeps for a tab that may come back.
    """
    from jupyter_client.blocking.client import BlockingKernelClient

    slow_run(jupyter, epochs=100_000, pause_s=0.005)
    page = jupyter.page
    page.wait_for_function(f"() => ({STEP})() > 20")
    files = sorted((jupyter.server.home / "runtime").glob("kernel-*.json"), key=lambda path: path.stat().st_mtime)
    page.close()
    client = BlockingKernelClient(connection_file=str(files[-1]))
    client.load_connection_file()
    client.start_channels()
    published = []
    deadline = time.monotonic() + 15 + 120
    while (left := deadline - time.monotonic()) > 0:
        if client.iopub_channel.msg_ready() and left < 120:  # the lease has ended by then
            published.append(len(json.dumps(client.get_iopub_msg(), default=str)))
        elif client.iopub_channel.msg_ready():
            client.get_iopub_msg()
        else:
            time.sleep(0.05)
    process = psutil.Process(jupyter.server.pid)
    for kernel in process.children(recursive=True):
        if str(files[-1]) in kernel.cmdline():
            kernel.terminate()
    client.stop_channels()
    assert 0 < sum(published) < 20e6 / 3600 * 120
