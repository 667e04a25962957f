"""The sidebar of runs in the browser: live, filtered, compared, stopped, deleted, and fast with ten thousand."""

from __future__ import annotations

import os
import time

import pytest
import sqlalchemy as sa

from jupyter_train.run import RunRecord, RunStatus, new_key
from jupyter_train.store import open_store
from jupyter_train.store.runs import _row_of
from jupyter_train.store.schema import runs
from tests.browser.applications import notebook_in_full
from tests.browser.jupyter import SCREENSHOTS
from tests.browser.training import SETUP

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

SHOW = "() => window.jupyterapp.commands.execute('jupyter-train:show-runs')"
TRAIN = "run = %train LitDigits() (X,y) --epochs 3 --seed {seed} --name {name}"


def _store(jupyter):
    return open_store(f"sqlite:///{jupyter.server.store}")


def _run(jupyter, text: str):
    return jupyter.page.locator(".jt-Run:visible", has_text=text)


def _train(jupyter, *lines: str) -> str:
    name = jupyter.write_notebook([SETUP, *lines])
    jupyter.open(name)
    for index in range(len(lines) + 1):
        jupyter.run_cell(index)
        jupyter.wait_until_idle()
    return name


@pytest.mark.parametrize("application", ["lab"], indirect=True)
def test_runs_are_listed_compared_and_deleted(jupyter) -> None:
    names = [f"one{time.time_ns()}", f"two{time.time_ns()}"]
    _train(jupyter, *[TRAIN.format(seed=n, name=name) for n, name in enumerate(names)])
    page = jupyter.page
    page.evaluate(SHOW)
    for name in names:
        _run(jupyter, name).filter(has_text="finished").wait_for()
        assert "val_loss" in _run(jupyter, name).inner_text()
        assert len(_run(jupyter, name).locator("polyline").get_attribute("points").split()) == 3
    for theme in ("Light", "Dark"):
        jupyter.set_theme(f"JupyterLab {theme}")
        jupyter.screenshot(f"runs-{theme.lower()}")
    page.locator(".jt-RunsFilter").fill(names[0])
    page.wait_for_function("() => document.querySelectorAll('.jt-Run:not([hidden])').length === 1")
    page.locator(".jt-RunsFilter").fill("")
    _run(jupyter, names[1]).wait_for()  # the list shows all again, and its lines lie where they will stay
    for name, modifiers in ((names[0], []), (names[1], ["ControlOrMeta"])):
        _run(jupyter, name).click(modifiers=modifiers)
        page.locator(".jt-Run[aria-selected=true]", has_text=name).wait_for()
    page.locator(".jt-RunsActions .jt-Button", has_text="Compare").click()
    page.locator(".jt-Compare .jt-Chart").first.wait_for()
    titles = page.locator(".jt-Compare .jt-ChartTitle").all_inner_texts()
    assert {"train_loss", "val_loss", "lr"} <= set(titles)
    legend = page.locator(".jt-Compare .jt-Legend").first.inner_text()
    assert all(name in legend for name in names)
    for theme in ("Light", "Dark"):
        jupyter.set_theme(f"JupyterLab {theme}")
        page.wait_for_timeout(300)
        page.screenshot(path=str(SCREENSHOTS / f"lab-compare-{theme.lower()}.png"))
    _run(jupyter, names[0]).click()
    page.locator(".jt-RunsActions .jt-Button", has_text="Delete").click()
    page.locator(".jp-Dialog", has_text="removed for good").wait_for()
    page.locator(".jp-Dialog .jp-mod-warn").click()
    _run(jupyter, names[0]).wait_for(state="hidden")
    assert [record.name for record in _store(jupyter).list_runs() if record.name in names] == [names[1]]


@notebook_in_full
def test_a_live_run_is_seen_stopped_and_found_again_from_the_list(jupyter) -> None:
    name = f"live{time.time_ns()}"
    line = f"LitDigits.pause_s = 0.01\nrun = %train LitDigits() (X,y) --epochs 5000 --seed 1 --name {name} --detach"
    _train(jupyter, line)
    page = jupyter.page
    page.evaluate(SHOW)
    page.wait_for_function(
        f"() => [...document.querySelectorAll('.jt-Run')].some(n => n.innerText.includes('{name}') "
        "&& /running, [\\d,]+ of 5,000 epochs/.test(n.innerText))"
    )
    if jupyter.application == "lab":
        page.locator(".jt-StatusItem", has_text="training").wait_for()
    _run(jupyter, name).click()
    page.locator(".jt-RunsActions .jt-Button", has_text="Stop").click()
    page.wait_for_function(
        f"() => [...document.querySelectorAll('.jt-Run')].some(n => n.innerText.includes('{name}') "
        "&& n.innerText.includes('stopped'))"
    )


SCROLL = """async () => {
  const list = document.querySelector('.jt-RunList');
  const gaps = [];
  let before = performance.now();
  for (let at = 0; at < 60; at++) {
    list.scrollTop = (list.scrollHeight / 60) * at;
    await new Promise(done => requestAnimationFrame(done));
    gaps.push(performance.now() - before);
    before = performance.now();
  }
  return { lines: document.querySelectorAll('.jt-Run').length, gaps,
           last: document.querySelector('.jt-Run[aria-posinset="9900"]') !== null };
}"""


@pytest.mark.parametrize("application", ["lab"], indirect=True)
def test_ten_thousand_runs_scroll_with_a_screenful_of_lines(jupyter) -> None:
    store = _store(jupyter)
    made = [
        RunRecord(
            new_key(),
            f"many-{n}",
            "aaaa",
            status=RunStatus.FINISHED,
            created_at=time.time() - 1000 - n,
            summary={"best": {"metric": "val_loss", "value": 1 / (n + 1)}},
            user=os.environ.get("USER", "me"),
        )
        for n in range(10_000)
    ]
    with store.engine.begin() as connection:
        connection.execute(sa.insert(runs), [_row_of(record) for record in made])
    try:
        jupyter.open(jupyter.write_notebook(["1"]))
        page = jupyter.page
        page.evaluate(SHOW)
        page.wait_for_function("() => parseInt(document.querySelector('.jt-RunsCount').textContent) >= 10000")
        found = page.evaluate(SCROLL)
        assert found["lines"] < 60
        page.locator(".jt-RunsFilter").fill("many-77 ")
        page.locator(".jt-RunsSort").select_option("best")
        jupyter.page.locator(".jt-RunList").focus()
        page.keyboard.press("Home")
        page.wait_for_function("() => document.querySelector('.jt-Run.jt-mod-active')?.innerText.includes('many-77')")
    finally:
        with store.engine.begin() as connection:
            connection.execute(runs.delete().where(runs.c.name.like("many-%")))
