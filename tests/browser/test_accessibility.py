"""Panel, sidebar and comparison by axe-core's rules, in light, dark and high-contrast themes and at 300 pixels."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.browser.jupyter import SCREENSHOTS
from tests.browser.test_runs import SHOW, TRAIN, _run, _train
from tests.browser.training import SETUP, STEP, slow_run

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

AXE = Path(__file__).parents[2] / "labextension" / "node_modules" / "axe-core" / "axe.min.js"
VIOLATIONS = """async place => {
  const found = await axe.run(place, { resultTypes: ['violations'] });
  return found.violations.filter(one => ['serious', 'critical'].includes(one.impact))
    .map(one => one.id + ': ' + one.nodes.map(node => node.html.slice(0, 120) + ' ' + node.failureSummary).join(' | '));
}"""


def _violations(page, place: str) -> list[str]:
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE.read_text())
    return page.evaluate(VIOLATIONS, place)


MOVING = """() => document.getAnimations()
  .filter(one => one.effect?.target?.closest?.('.jt-Panel')).length"""
THEMES = ("JupyterLab Light", "JupyterLab Dark", "JupyterLab Dark High Contrast")


@pytest.mark.parametrize("application", ["lab"], indirect=True)
def test_panel_and_sidebar_have_no_serious_violation_in_any_theme(jupyter) -> None:
    name = f"axe{time.time_ns() % 1_000_000}"
    _train(jupyter, TRAIN.format(seed=1, name=name))
    page = jupyter.page
    page.locator(".jt-Panel .jt-Details summary, .jt-Panel details summary").first.click()
    page.evaluate(SHOW)
    _run(jupyter, name).filter(has_text="finished").click()
    for theme in THEMES:
        jupyter.set_theme(theme)
        jupyter.screenshot(f"theme-{theme.split()[-1].lower()}")
        for place in (".jt-Panel", ".jt-Runs"):
            assert _violations(page, place) == [], (theme, place)
    page.locator(".jt-RunsActions .jt-Button", has_text="Show").click()
    page.locator(".jt-Compare .jt-Chart").first.wait_for()
    assert _violations(page, ".jt-Compare") == []


@pytest.mark.parametrize("application", ["lab"], indirect=True)
def test_a_live_panel_has_no_serious_violation_and_fits_three_hundred_pixels(jupyter) -> None:
    slow_run(jupyter, epochs=500)
    page = jupyter.page
    page.wait_for_function(f"() => ({STEP})() > 20")
    assert _violations(page, ".jt-Panel") == []
    assert page.evaluate(MOVING) == 0  # nothing that a reader who asked for less motion would have to bear
    page.evaluate("() => { document.querySelector('.jt-Panel').style.maxWidth = '300px'; }")
    page.wait_for_function("() => document.querySelector('.jt-Panel .uplot').clientWidth <= 300")
    wide = page.evaluate("""() => [...document.querySelectorAll('.jt-Panel *')].filter(node => node.offsetParent
        && node.getBoundingClientRect().right > document.querySelector('.jt-Panel').getBoundingClientRect().right + 1)
        .map(node => node.className)""")
    page.locator(".jt-Panel").screenshot(path=str(SCREENSHOTS / "lab-narrow.png"))
    assert wide == []
    page.locator(".jt-Panel .jt-Button", has_text="Stop").click()
    page.wait_for_selector(".jt-Header[data-status=stopped]")
    jupyter.wait_until_idle()


@pytest.mark.parametrize("application", ["lab"], indirect=True)
def test_a_form_has_no_serious_violation(jupyter) -> None:
    name = jupyter.write_notebook([SETUP, "%train --form LitDigits() (X,y)"])
    jupyter.open(name)
    jupyter.run_cell(0)
    jupyter.wait_until_idle()
    jupyter.run_cell(1)
    jupyter.page.locator(".jt-Form").wait_for()
    jupyter.page.get_by_label("--epochs", exact=True).fill("many")
    jupyter.page.get_by_label("--epochs", exact=True).press("Enter")
    jupyter.page.locator(".jt-FormBad", has_text="expected a whole number").wait_for()
    assert _violations(jupyter.page, ".jt-FormView") == []


NOTIFIED = """() => {
  window.notified = [];
  window.asked = 0;
  window.Notification = class {
    static permission = 'default';
    static async requestPermission() { window.asked++; this.permission = 'granted'; return 'granted'; }
    constructor(title) { window.notified.push(title); }
  };
}"""


@pytest.mark.parametrize("application", ["lab"], indirect=True)
def test_a_user_who_requests_it_is_notified_on_the_desktop_once(jupyter) -> None:
    jupyter.page.add_init_script(f"({NOTIFIED})()")
    slow_run(jupyter, epochs=500)
    page = jupyter.page
    page.wait_for_function(f"() => ({STEP})() > 20")
    assert page.evaluate("() => window.asked") == 0
    page.locator(".jt-Panel .jt-Button", has_text="Notify me").click()
    page.locator(".jt-Panel .jt-Button[aria-pressed=true]", has_text="Will notify").wait_for()
    page.locator(".jt-Panel .jt-Button", has_text="Stop").click()
    page.wait_for_function("() => window.notified.length === 1")
    assert page.evaluate("() => window.notified[0]").endswith(" stopped")
    jupyter.wait_until_idle()
    jupyter.save()
    page.reload()
    page.wait_for_selector(".jt-Header[data-status=stopped]")
    assert page.evaluate("() => [window.asked, window.notified.length]") == [0, 0]
