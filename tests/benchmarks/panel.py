"""The panel in a real JupyterLab: first draw of long runs, what an open tab receives, what a closed one costs.

`JUPYTER_TRAIN_CLOSED_S` sets how long the tab is closed (120 seconds, unless told).
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import psutil

from jupyter_train.run import RunStatus
from jupyter_train.store import RunFolder, open_store
from jupyter_train.store.metrics.appender import MetricAppender
from jupyter_train.store.metrics.blocks import Point
from tests.browser.jupyter import Jupyter, Server
from tests.browser.serving import chromium, jupyter_server
from tests.browser.training import STEP, slow_run

_LENGTHS = (1_000_000, 10_000_000)
_REPEATS = 15
_OPEN_S = 30
#: Draws a panel with the application's own renderer, some times; gives milliseconds until it was painted, and the
#: longest task the browser reported meanwhile.
_DRAW = """async ([key, token, repeats]) => {
  const answer = await fetch(`/jupyter-train/api/runs/${key}/bundle`, {headers: {Authorization: `token ${token}`}});
  const data = await answer.json();
  const registry = window.jupyterapp.shell.currentWidget.content.rendermime;
  const host = document.querySelector('.jp-Notebook');
  const frame = () => new Promise(done => requestAnimationFrame(done));
  const tasks = [];
  const observer = new PerformanceObserver(list => list.getEntries().forEach(one => tasks.push(one.duration)));
  observer.observe({entryTypes: ['longtask']});
  const times = [];
  const blocked = [];
  for (let n = 0; n < repeats; n++) {
    const type = 'application/vnd.jupyter-train.run+json';
    const panel = registry.createRenderer(type);
    host.prepend(panel.node);
    const began = performance.now();
    await panel.renderModel(registry.createModel({data, trusted: false}));
    blocked.push(performance.now() - began);
    await frame();
    await frame();
    times.push(performance.now() - began);
    panel.dispose();
    panel.node.remove();
    await new Promise(done => setTimeout(done, 100));
  }
  observer.disconnect();
  return {times, blocked, tasks};
}"""


def _long_run(points: int) -> str:
    store = open_store()
    record = store.create_run("long")
    store.set_status(record.key, RunStatus.RUNNING, started_at=time.time())
    appender = MetricAppender(RunFolder(record.folder).metrics)
    for step in range(points):
        appender.append("train_loss", Point(step, 0.0, (step * 2654435761) % 1000 / 1000, 0.0))
        if step % 20_000 == 0:
            appender.commit()
    appender.commit()
    appender.close()
    store.set_status(record.key, RunStatus.FINISHED, ended_at=time.time())
    return record.key


def _answer_ms(server: Server, path: str) -> float:
    times = []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        with urllib.request.urlopen(f"{server.url}/jupyter-train/api/runs/{path}token={server.token}") as answer:
            answer.read()
        times.append(1000 * (time.perf_counter() - began))
    return round(statistics.median(times), 1)


def _draw(jupyter: Jupyter, points: int) -> list[dict[str, Any]]:
    key = _long_run(points)
    middle = f"curves?first={points // 2}&last={points // 2 + points // 50}&"
    opened = _answer_ms(jupyter.server, f"{key}/snapshot?")
    window = _answer_ms(jupyter.server, f"{key}/{middle}")
    found = jupyter.page.evaluate(_DRAW, [key, jupyter.server.token, _REPEATS])
    words = f"{points:,} points"
    return [
        {"what": f"{words}: the server answers (ms)", "value": opened, "target": 200},
        {"what": f"{words}: the server answers for a window (ms)", "value": window, "target": 200},
        {"what": f"{words}: drawn and painted, median (ms)", "value": round(statistics.median(found["times"]), 1)},
        {"what": f"{words}: page held while drawing, first (ms)", "value": round(found["blocked"][0], 1), "target": 50},
        {
            "what": f"{words}: page held while drawing, most (ms)",
            "value": round(max(found["blocked"]), 1),
            "target": 50,
        },
        {
            "what": f"{words}: longest browser task (ms)",
            "value": max(found["tasks"], default="none over 50"),
            "target": 50,
        },
    ]


def _received(jupyter: Jupyter) -> dict[str, Any]:
    """Bytes over the tab's web sockets while a run trains at about 1,000 steps a second and is watched."""
    total = 0

    def count(payload: str | bytes) -> None:
        nonlocal total
        total += len(payload)

    jupyter.page.on("websocket", lambda socket: socket.on("framereceived", count))
    slow_run(jupyter, epochs=100_000, pause_s=0.0)
    jupyter.page.wait_for_function(f"() => ({STEP})() > 2000")
    before, began = total, time.monotonic()
    jupyter.page.wait_for_timeout(1000 * _OPEN_S)
    rate = (total - before) / (time.monotonic() - began) / 1000
    return {"what": "received by an open tab (KB/s)", "value": round(rate, 1), "target": 100}


def _closed(jupyter: Jupyter) -> dict[str, Any]:
    """What the server's memory grows by while the tab is closed and the run trains on."""
    seconds = float(os.environ.get("JUPYTER_TRAIN_CLOSED_S", "120"))
    jupyter.page.close()
    process = psutil.Process(jupyter.server.pid)
    time.sleep(20)  # until the lease has ended
    before = process.memory_info().rss
    time.sleep(seconds)
    grown = (process.memory_info().rss - before) / 1e6
    return {
        "what": f"server memory, tab closed for {seconds:.0f} s (MB)",
        "value": round(grown, 2),
        "target": round(20 * seconds / 3600, 2),
    }


def measure() -> list[dict[str, object]]:
    """One row for each figure."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder, jupyter_server(Path(folder)) as server, chromium() as browser:
        os.environ["JUPYTER_TRAIN_STORE"] = server.store
        os.environ["JUPYTER_TRAIN_HOME"] = str(server.home / "runs")
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        jupyter = Jupyter(server, context, "lab")
        jupyter.open(jupyter.write_notebook(["1"]))
        for points in _LENGTHS:
            rows += _draw(jupyter, points)
        rows += [_received(jupyter), _closed(jupyter)]
        jupyter.close()
    return [row | {"target": row.get("target", "")} for row in rows]
