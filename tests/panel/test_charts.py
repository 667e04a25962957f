"""The picture and the live chart say the same: one table of cases, read by Python and by the renderer."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from jupyter_train import compare
from jupyter_train.panel import scales, ticks
from jupyter_train.panel.format import duration_text, value_text
from jupyter_train.panel.svg import looks_of, svg
from jupyter_train.run import RunStatus
from jupyter_train.store import RunFolder, RunWriter
from jupyter_train.store.writer import Row
from tests.panel.test_bundle import recorded
from tests.panel.test_protocol import LABEXTENSION

CASES = json.loads((Path(__file__).parent / "charts.json").read_text())
#: For each part of the table: the call in Python, the call in the renderer, and where the answer stands.
CALLS = {
    "texts": (lambda c: ticks.tick_texts(c["ticks"]), "ticks.tickLabels(c.ticks)", "texts"),
    "ticks": (
        lambda c: ticks.nice_ticks(c["low"], c["high"], c["most"]),
        "ticks.niceTicks(c.low, c.high, c.most)",
        "ticks",
    ),
    "log_ticks": (
        lambda c: ticks.log_ticks(c["low"], c["high"], c["most"]),
        "ticks.logTicks(c.low, c.high, c.most)",
        "ticks",
    ),
    "wide": (lambda c: scales.is_wide(c["values"]), "scales.isWide(c.values)", "is_wide"),
    "covered": (lambda c: list(scales.covered(c["low"], c["high"])), "scales.linearRange(c.low, c.high)", "covered"),
    "within": (lambda c: scales.within(c["value"]), "scales.clampToFinite(c.value)", "within"),
    "numbers": (lambda c: value_text(c["value"]), "format.valueText(c.value)", "text"),
    "durations": (lambda c: duration_text(c["value"]), "format.durationText(c.value)", "text"),
}


@pytest.fixture(scope="module")
def renderer() -> dict[str, list[Any]]:
    """What the renderer's own functions make of every case."""
    folder = (LABEXTENSION / "lib" / "panel").as_uri()
    modules = {"ticks": "charts/ticks", "scales": "charts/scales", "format": "format"}
    script = "".join(f"import * as {name} from '{folder}/{path}.js';" for name, path in modules.items())
    script += f"const cases = {json.dumps(CASES)}; const found = {{}};"
    script += "".join(f"found.{part} = cases.{part}.map(c => {call});" for part, (_, call, _) in CALLS.items())
    script += "console.log(JSON.stringify(found));"
    done = subprocess.run(["node", "--input-type=module", "-e", script], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("part", CALLS)
def test_the_picture_follows_the_table(part: str) -> None:
    call, _, answer = CALLS[part]
    for case in CASES[part]:
        expected = case[answer]
        assert call(case) == (pytest.approx(expected, rel=1e-12) if part == "covered" else expected), case


@pytest.mark.parametrize("part", CALLS)
def test_the_live_chart_follows_the_table(part: str, renderer) -> None:
    answer = CALLS[part][2]
    for case, found in zip(CASES[part], renderer[part], strict=True):
        expected = case[answer]
        assert found == (pytest.approx(expected, rel=1e-12) if part == "covered" else expected), case


def _labels(drawn: str) -> list[tuple[float, str, str]]:
    """Place, anchor and text of every label of a picture's axes."""
    found = re.findall(r'<text x="([\d.-]+)" y="[\d.]+" text-anchor="(\w+)" fill="[^"]+">([^<]+)</text>', drawn)
    return [(float(x), anchor, text) for x, anchor, text in found]


WIDE = {
    "tiny": [1e-12 * (step + 1) for step in range(9)],
    "large": [123456789.0 + step for step in range(9)],
    "negative": [-123456.5 - step / 4 for step in range(9)],
    "quarters": [step / 8 for step in range(9)],
}


@pytest.mark.parametrize("shape", WIDE)
def test_labels_of_the_picture_show_the_ticks_and_are_not_clipped(store, shape: str) -> None:
    rows = [(123456780 * step, [("train_loss", value)]) for step, value in enumerate(WIDE[shape])]
    labels = _labels(svg(recorded(store, rows)))
    assert len(labels) >= 6
    for x, anchor, text in labels:
        width = 6.3 * len(text)
        left = x - width if anchor == "end" else x - width / 2
        assert left >= 0, (text, x)
        assert left + width <= scales.WIDTH, (text, x)
    values = sorted(_number(text) for x, anchor, text in labels if anchor == "end")
    steps = [round(b - a, 15) for a, b in zip(values, values[1:], strict=False)]
    assert steps[0] > 0
    assert steps == pytest.approx([steps[0]] * len(steps), rel=1e-6)  # even steps: no digit was cut off


def _number(text: str) -> float:
    return float(text.rstrip("M").replace(",", "")) * (1e6 if text.endswith("M") else 1)


def test_random_numbers_within_0_to_1_are_drawn_on_a_linear_axis(store) -> None:
    values = next(case["values"] for case in CASES["wide"] if case["name"] == "random numbers in 0..1")
    drawn = svg(recorded(store, [(step, [("val_acc", value)]) for step, value in enumerate(values)]))
    assert [text for _, anchor, text in _labels(drawn) if anchor == "end"] == ["0", "0.25", "0.5", "0.75"]


def test_twelve_series_of_a_role_have_twelve_colours() -> None:
    family = {"series": [{"role": "other"} for _ in range(24)]}
    looks = looks_of(family)
    assert len({colour for colour, _ in looks[:12]}) == 12
    assert len(set(looks)) == 24  # further ones differ by their dashes
    styles = (LABEXTENSION / "style" / "base.css").read_text()
    themes = re.findall(r"\{[^}]*--jt-other[^}]*\}", styles)
    assert len(themes) == 2
    for theme in themes:
        found = re.findall(r"--jt-(?:other|val|test|parent|extra\d+): (#\w+);", theme)
        assert len(found) == len(set(found)) == 15


def _with_rate(store, name: str, steps: int):
    record = store.create_run(name)
    store.set_status(record.key, RunStatus.RUNNING, started_at=time.time())
    writer = RunWriter(store, record.key, RunFolder(record.folder))
    for step in range(steps):
        rates = [("lr", 0.1 if step == 0 else 0.05)] if step in (0, 5) else []
        writer.add(Row(step, 0, time.time(), [("train_loss", 1.0 / (step + 1)), *rates]))
    writer.progress(stage="ended", step=steps)
    writer.close(RunStatus.FINISHED)
    return record


def test_no_rate_is_drawn_beyond_the_end_of_its_run(store) -> None:
    short, long = _with_rate(store, "short", 10), _with_rate(store, "long", 100)
    drawn = compare(short.key, long.key).svg()
    ends = [float(path.rsplit("H", 1)[1].split("V")[0]) for path in re.findall(r'd="(M[^"]*H[^"]*V[^"]*)"', drawn)]
    first, last = sorted(ends)
    assert last == pytest.approx(scales.WIDTH - scales._RIGHT, abs=1)
    assert first < 46 + 0.15 * (last - 46)


@pytest.mark.parametrize("values", [[10, 20, 1000, 1.5e308], [-1.7e308, 1.7e308], [0, 5e-324], [5e-324, 1e-323]])
def test_extreme_values_are_drawn(store, values: list[float]) -> None:
    rows = [(step, [("loss", value), ("acc", 0.5)]) for step, value in enumerate(values)]
    drawn = svg(recorded(store, rows))
    assert ">loss<" in drawn
    assert ">acc<" in drawn
    assert not re.search(r"\b(nan|inf)\b", drawn)
