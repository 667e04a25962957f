"""A search in its cell: live, steered, looked into trial by trial, and the same from the saved notebook."""

from __future__ import annotations

import json
import re

import nbformat
import pytest

from tests.browser.applications import notebook_in_full
from tests.browser.training import SETUP

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

TUNABLE = """
class Tunable(LitDigits):
    def __init__(self, lr=3e-3, hidden=32, act="relu"):
        super().__init__(hidden)
        self.lr = lr
        self.net[1] = {"relu": torch.nn.ReLU(), "gelu": torch.nn.GELU(), "tanh": torch.nn.Tanh()}[act]
    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), self.lr)
"""
LINE = (
    "study = %tune Tunable(lr=lr,hidden=hidden,act=act) (X,y) lr=1e-4..1e-1:log hidden=8|16|32|64 act=relu|gelu|tanh "
    "--trials {trials} --maximize val_acc --epochs 5 --seed 1 --name digits"
)
TRIALS = """() => {
  const cells = [...document.querySelectorAll('.jt-Number')];
  const cell = cells.find(one => one.querySelector('.jt-Label')?.textContent === 'trials');
  return cell ? Number(cell.querySelector('b').textContent.split('/')[0]) : -1;
}"""


def _begin(jupyter, trials: int, pause_s: float = 0.0, after: str = "") -> str:
    line = f"LitDigits.pause_s = {pause_s}\n{LINE.format(trials=trials)}"
    name = jupyter.write_notebook([SETUP + TUNABLE, line, after])
    jupyter.open(name)
    jupyter.run_cell(0)
    jupyter.wait_until_idle()
    jupyter.run_cell(1)
    return name


@notebook_in_full
def test_a_search_is_live_and_stays_in_the_notebook(jupyter) -> None:
    name = _begin(jupyter, trials=30)
    page = jupyter.page

    page.wait_for_function(f"() => ({TRIALS})() >= 3")
    page.wait_for_selector(".jt-Study .jt-TrialDot")  # a level line has no height: to the browser it is not visible
    page.wait_for_selector(".jt-Header[data-status=finished]")
    jupyter.wait_until_idle()
    assert page.evaluate(TRIALS) == 30
    assert page.locator(".jt-TrialLine.jt-mod-pruned").count() > 0
    assert page.locator(".jt-TrialLine.jt-mod-best").count() == 1
    assert page.locator(".jt-ShareBar").count() == 3
    assert page.locator(".jt-ParallelLine").count() > 2
    assert page.locator(".jt-Trial").count() == 8
    page.set_viewport_size({"width": 1280, "height": 1500})
    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        jupyter.set_theme(theme)
        jupyter.screenshot(f"study-{theme.split()[1].lower()}")
    page.locator(".jt-More").click()
    assert page.locator(".jt-Trial").count() == 30
    jupyter.save_once_kept("finished")
    saved = nbformat.read(jupyter.server.work / name, 4)
    (output,) = saved.cells[1].outputs
    assert len(json.dumps(output)) < 256_000
    assert "best val_acc" in output["data"]["text/plain"]
    # the first row is the best trial: its run opens below, from the kernel
    page.locator(".jt-Trial").first.click()
    page.wait_for_selector(".jt-TrialRun .jt-Panel .jt-Chart")
    assert re.fullmatch(r"digits-\w+/\d+", page.locator(".jt-TrialRun .jt-Name").inner_text())
    jupyter.screenshot("study-trial")
    jupyter.shut_kernel_down()
    page.reload()
    page.wait_for_selector(".jt-Study .jt-TrialDot.jt-mod-best")
    assert page.evaluate(TRIALS) == 30


@notebook_in_full
def test_a_search_is_paused_resumed_and_stopped_from_its_panel(jupyter) -> None:
    _begin(jupyter, trials=500, pause_s=0.002)
    page = jupyter.page
    page.wait_for_function(f"() => ({TRIALS})() >= 2")
    page.locator(".jt-Controls .jt-Button", has_text="Pause").click()
    page.wait_for_selector(".jt-Header[data-status=paused]")
    page.locator(".jt-Controls .jt-Button", has_text="Resume").click()
    page.wait_for_selector(".jt-Header[data-status=running]")
    before = page.evaluate(TRIALS)
    page.wait_for_function(f"() => ({TRIALS})() > {before}")
    page.locator(".jt-Controls .jt-Button", has_text="Stop").click()
    page.wait_for_selector(".jt-Header[data-status=stopped]")
    jupyter.wait_until_idle()
    assert page.evaluate(TRIALS) < 500


@notebook_in_full
def test_a_cross_validation_shows_its_mean_and_band(jupyter) -> None:
    line = "run = %train LitDigits() (X,y) --epochs 6 --cv 4 --seed 1 --monitor val_acc --name digits"
    jupyter.open(jupyter.write_notebook([SETUP, line]))
    jupyter.run_cell(0)
    jupyter.wait_until_idle()
    jupyter.run_cell(1)
    page = jupyter.page
    page.wait_for_selector(".jt-Header[data-status=finished]")
    jupyter.wait_until_idle()
    words = page.locator(".jt-Numbers").inner_text().split()
    assert words[words.index("folds") + 1 : words.index("folds") + 4] == ["4", "/", "4"]
    assert "±" in words
    page.wait_for_selector(".jt-Chart canvas")
    assert page.locator(".jt-Chart").count() >= 2
    jupyter.screenshot("folds")


@notebook_in_full
def test_a_search_takes_enqueued_trials_and_ranges(jupyter) -> None:
    _begin(
        jupyter,
        trials=60,
        pause_s=0.015,
        after=("import json\nfound = study.trials.sort_index()\nprint(json.dumps(list(found['lr'])))"),
    )
    page = jupyter.page
    page.wait_for_function(f"() => ({TRIALS})() >= 4")
    page.locator(".jt-Controls .jt-Button", has_text="Pause").click()
    page.wait_for_selector(".jt-Header[data-status=paused]")
    page.locator(".jt-ByHand .jt-Button", has_text="Add a trial").click()
    page.locator(".jt-AddTrial").get_by_label("lr").fill("fast")
    page.locator(".jt-AddTrial .jt-Button", has_text="Add").click()
    page.locator(".jt-Answer", has_text="`fast` is no number").wait_for()
    page.locator(".jt-AddTrial").get_by_label("lr").fill("0.0123")
    page.locator(".jt-AddTrial").get_by_label("hidden").select_option("64")
    page.locator(".jt-AddTrial").get_by_label("act").select_option("gelu")
    page.set_viewport_size({"width": 1280, "height": 1500})
    jupyter.screenshot("study-by-hand")
    page.locator(".jt-AddTrial .jt-Button", has_text="Add").click()
    page.wait_for_selector(".jt-AddTrial", state="hidden")
    page.locator(".jt-Trial.jt-mod-waiting td", has_text="0.0123").wait_for()
    jupyter.screenshot("study-waiting-trial")
    page.locator(".jt-Controls .jt-Button", has_text="Resume").click()
    page.wait_for_selector(".jt-Header[data-status=running]")
    page.locator(".jt-ByHand .jt-Button", has_text="Narrow a range").click()
    assert page.locator(".jt-Narrow").get_by_label("from").input_value() == "0.0001"
    page.locator(".jt-Narrow").get_by_label("from").fill("1e-3")
    page.locator(".jt-Narrow").get_by_label("to").fill("1")
    page.locator(".jt-Narrow .jt-Button", has_text="Narrow").click()
    page.locator(".jt-Notice", has_text="`narrow lr=1e-3..1` is no part of").wait_for()
    page.locator(".jt-ByHand .jt-Button", has_text="Narrow a range").click()
    page.locator(".jt-Narrow").get_by_label("from").fill("5e-3")
    page.locator(".jt-Narrow").get_by_label("to").fill("2e-2")
    page.locator(".jt-Narrow .jt-Button", has_text="Narrow").click()
    page.wait_for_selector(".jt-Narrow", state="hidden")
    page.wait_for_selector(".jt-Level", timeout=120_000)
    page.locator(".jt-Controls .jt-Button", has_text="Stop").click()
    page.wait_for_selector(".jt-Header[data-status=stopped]")
    assert "/ 61" in page.locator(".jt-Numbers").inner_text()
    page.wait_for_selector(".jt-ByHand", state="hidden")
    assert page.locator(".jt-Trial.jt-mod-running").count() == 0  # interrupted trials wait until the search is resumed
    assert page.locator(".jt-Level").count() > 20
    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        jupyter.set_theme(theme)
        jupyter.screenshot(f"study-contour-{theme.split()[1].lower()}")
    jupyter.run_cell(2)
    jupyter.wait_until_idle()
    rates = json.loads(page.locator(".jp-OutputArea-output pre").last.inner_text())
    assert 0.0123 in rates


@pytest.mark.full
@notebook_in_full
def test_one_trial_is_stopped_and_the_search_continues(jupyter) -> None:
    _begin(jupyter, trials=30, pause_s=0.05)
    page = jupyter.page

    def trial(number: int, state: str):
        name = page.get_by_role("button", name=str(number), exact=True)
        return page.locator(f".jt-Trial.jt-mod-{state}", has=name)

    trial(0, "running").locator(".jt-Button", has_text="Stop").click()
    trial(0, "pruned").wait_for()  # by the button: nothing else prunes the first
    trial(1, "running").locator(".jt-Button", has_text="Stop").wait_for()
    trial(1, "running").click()
    page.wait_for_selector(".jt-TrialRun .jt-Header[data-status=running]")
    jupyter.screenshot("study-running-trial")
    page.locator(".jt-Controls .jt-Button", has_text="Stop").first.click()
    page.wait_for_selector(".jt-Header[data-status=stopped]")
