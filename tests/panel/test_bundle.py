"""The bundle: bounded whatever the run, valid against its schema, harmless whatever its strings."""

from __future__ import annotations

import io
import json
import math
import re
import time
from pathlib import Path

import jsonschema
import nbformat
import pytest

import jupyter_train.panel as panel
from jupyter_train import runs, train
from jupyter_train.panel.bundle import MIME_TYPE, as_html, as_text, bundle, loading_bundle, small_bundle
from jupyter_train.panel.format import duration_text, value_text
from jupyter_train.panel.metric_groups import place_of
from jupyter_train.panel.snapshot import snapshot
from jupyter_train.panel.svg import svg
from jupyter_train.panel.terminal import TerminalLine, line, table
from jupyter_train.panel.ticks import nice_ticks
from jupyter_train.run import RunStatus
from jupyter_train.store import RunFolder, RunWriter
from jupyter_train.store.writer import Row
from tests.browser.samples import HOSTILE, finished_bundle, hostile_bundle
from tests.models import LitDigits, digits

SCHEMA = json.loads((Path(panel.__file__).parent / "run.schema.json").read_text())


def recorded(store, rows, **summary):
    """A finished run of given rows: (step, [(name, value)])."""
    record = store.create_run("digits")
    store.set_status(record.key, RunStatus.RUNNING, started_at=time.time())
    writer = RunWriter(store, record.key, RunFolder(record.folder))
    for step, values in rows:
        writer.add(Row(step, step / 100, time.time(), values))
    writer.summary(**summary)
    writer.close(RunStatus.FINISHED)
    return snapshot(store, record.key)


SHAPES = {
    "no point": [],
    "one point": [(0, [("train_loss", 0.5)])],
    "all NaN": [(step, [("train_loss", math.nan)]) for step in range(50)],
    "some NaN and infinite": [(s, [("train_loss", [0.1, math.nan, math.inf, -1.0][s % 4])]) for s in range(50)],
    "constant": [(step, [("train_loss", 1.0)]) for step in range(50)],
    "tiny": [(step, [("train_loss", 1e-30 * (step + 1))]) for step in range(50)],
    "huge": [(step, [("train_loss", 1e300 * (step + 1))]) for step in range(5)],
    "zero": [(step, [("train_loss", 0.0)]) for step in range(50)],
    "steps go back": [(step % 7, [("train_loss", float(step))]) for step in range(50)],
    "60 metrics": [(step, [(f"metric{i}", float(i * step)) for i in range(60)]) for step in range(300)],
    "long": [(step, [("train_loss", math.exp(-step / 9000)), ("train_acc", 0.5)]) for step in range(40_000)],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_any_curve_gives_a_valid_bounded_bundle(store, shape: str) -> None:
    found = bundle(recorded(store, SHAPES[shape]))
    jsonschema.validate(found[MIME_TYPE], SCHEMA)
    assert len(json.dumps(found[MIME_TYPE])) <= 64_000
    assert len(json.dumps(found)) <= 100_000
    assert "nan" not in svg(recorded(store, SHAPES[shape])).lower()


def test_the_loading_bundle_is_valid() -> None:
    jsonschema.validate(loading_bundle("loading torch …")[MIME_TYPE], SCHEMA)


def test_a_saved_panel_stays_small_in_the_file() -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("%train")])
    notebook.cells[0].outputs = [nbformat.v4.new_output("display_data", data=finished_bundle())]
    assert len(nbformat.writes(notebook)) < 30_000


def test_strings_of_the_user_are_escaped_everywhere() -> None:
    found = hostile_bundle()
    assert HOSTILE not in found["text/html"]
    assert "onerror" not in re.sub(r"&lt;img src=x onerror=&quot;window.hacked=1&quot;&gt;", "", found["text/html"])
    import base64

    picture = re.search(r"base64,([^\"]+)", found["text/html"])
    assert picture is not None
    assert HOSTILE not in base64.b64decode(picture.group(1)).decode()


def test_the_html_survives_a_sanitizer() -> None:
    found = finished_bundle()["text/html"]
    assert not re.search(r"<(script|style|svg|iframe|link)", found)
    assert 'alt="Curves of digits-' in found


def test_a_running_snapshot_is_saved_as_was_running(store) -> None:
    record = store.create_run("digits")
    folder = RunFolder(record.folder)
    from jupyter_train.store.run_lock import RunLock

    lock = RunLock(folder.lock)
    lock.acquire()
    store.set_status(record.key, RunStatus.RUNNING, started_at=time.time())
    found = snapshot(store, record.key)
    assert "was running at" in as_html(found)
    assert "was running at" in as_text(found)
    lock.release()
    assert snapshot(store, record.key)["status"] == "lost"


def test_epochs_are_counted_and_the_best_is_named_as_it_is_recorded() -> None:
    class Breaks(LitDigits):
        def on_train_epoch_start(self):
            if self.current_epoch == 2:
                raise ValueError("enough")

    done = train(LitDigits(), digits(), epochs=2, seed=1, quiet=True)
    assert done.best["epoch"] == 1 == done.metrics["epoch"].max()
    assert "2 of 2 epochs  step 16 / 16" in repr(done)
    assert f"best val_loss {value_text(done.best['value'])} (epoch 1)" in repr(done)
    with pytest.raises(ValueError, match="enough"):
        train(Breaks(), digits(), epochs=30, seed=1, quiet=True)
    assert "2 of 30 epochs  step 16 / 240" in repr(runs()[0])
    with pytest.raises(RuntimeError):
        train(LitDigits(), (digits()[0][:, :60], digits()[1]), epochs=1, seed=1, quiet=True)
    assert "0 of 1 epoch  step 0" in repr(runs()[0])
    assert [row[3] for row in runs().rows()] == ["0", "2", "2"]


def test_tags_stand_beside_the_status(store) -> None:
    record = store.create_run("digits", tags=["nightly", "<b>two</b>"])
    found = snapshot(store, record.key)
    assert "nightly, &lt;b&gt;two&lt;/b&gt;" in as_html(found)
    assert "tags nightly, <b>two</b>" in as_text(found)
    assert "  tags nightly, <b>two</b>" in table(found)
    assert bundle(found)[MIME_TYPE]["tags"] == ["nightly", "<b>two</b>"]
    assert "tags" not in as_text(recorded(store, []))


def test_the_best_point_is_ringed(store) -> None:
    best = {"metric": "val_loss", "value": 0.5, "epoch": 0, "step": 2, "mode": "min"}
    found = recorded(store, [(1, [("val_loss", 0.5)]), (3, [("val_loss", 0.7)])], best=best)
    assert 'r="5.5"' in svg(found)
    assert ("best val_loss 0.500 (epoch 0)") in as_text(found)


def test_the_best_value_is_rounded_once(store) -> None:
    best = {"metric": "val_loss", "value": 2.15651, "epoch": 0, "step": 2, "mode": "min"}
    found = recorded(store, [(1, [("val_loss", 2.15651)])], best=best)
    assert "best val_loss 2.157 (epoch 0)" in as_text(found)
    assert re.search(r"val_loss +2\.157", as_text(found))


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("train_loss", ("loss", "train")),
        ("val/acc", ("acc", "val")),
        ("loss", ("loss", "other")),
        ("train_loss_epoch", ("loss", "train")),
        ("acc_val", ("acc", "val")),
        ("valid.f1", ("f1", "val")),
        ("val", ("val", "other")),
        ("lr", ("lr", "other")),
        ("val_loss/dataloader_idx_0", ("loss_dataloader_idx_0", "val")),
    ],
)
def test_train_and_val_of_a_metric_share_a_chart(name: str, place: tuple[str, str]) -> None:
    assert place_of(name) == place


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.09312, "0.0931"),
        (0.5, "0.500"),
        (12345, "12,345"),
        (12345.6, "12,346"),
        (3e-5, "3.0e-5"),
        (0.0, "0"),
        (1.5, "1.500"),
        (None, "–"),
        (-0.25, "-0.250"),
        (99.987, "99.99"),
        (float("nan"), "nan"),
    ],
)
def test_numbers_as_people_read_them(value: object, text: str) -> None:
    assert value_text(value) == text


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (75, "1:15"), (3700, "1:01:40"), (None, "–")])
def test_durations(seconds: object, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3, 7), (1e-9, 2e-9), (0, 123456), (99.99, 100.01)])
def test_ticks_are_few_round_and_inside(low: float, high: float) -> None:
    ticks = nice_ticks(low, high, 5)
    assert 2 <= len(ticks) <= 12
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks)


class Terminal(io.StringIO):
    """A terminal that keeps what is written to it."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_one_line_in_place_then_a_table(store, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    found = recorded(store, [(0, [("train_loss", 0.5)]), (1, [("train_loss", 0.25)])])
    out = Terminal()
    line = TerminalLine(out)
    line.loading("loading torch …")
    line.show(found | {"status": "running", "progress": {"step": 1, "steps": 2, "epoch": 1, "epochs": 1}})
    assert out.getvalue().count("\n") == 0
    assert "▕██████······▏" in out.getvalue()
    line.show(found)
    assert out.getvalue().rstrip().endswith("train_loss       0.250       0.250       0.500")


LIVE = {
    "status": "running",
    "ref": "lit-digits-k3f9",
    "best": {"metric": "val_loss", "value": 0.41, "epoch": 6, "step": 99},
    "progress": {
        "stage": "training",
        "epoch": 7,
        "epochs": 100,
        "step": 1_234,
        "steps": 20_000,
        "steps_per_s": 812.0,
        "eta_s": 200.0,
    },
}
LINES = {
    20: "7 of 100 epochs",
    30: "7 of 100 epochs  ETA 3:20",
    45: "7 of 100 epochs  val_loss 0.412  ETA 3:20",
    60: "lit-digits-k3f9  7 of 100 epochs  val_loss 0.412  ETA 3:20",
    80: "lit-digits-k3f9  7 of 100 epochs  val_loss 0.412  ETA 3:20  train_loss 0.250",
    140: "lit-digits-k3f9  7 of 100 epochs  val_loss 0.412  step 1,234 / 20,000  ETA 3:20  "
    "best val_loss 0.410 (epoch 6)  train_loss 0.250",
    170: "lit-digits-k3f9  running  ▕█···········▏  7 of 100 epochs  val_loss 0.412  step 1,234 / 20,000  steps/s 812  "
    "ETA 3:20  best val_loss 0.410 (epoch 6)  train_loss 0.250",
}


@pytest.mark.parametrize("columns", LINES)
def test_a_narrow_line_says_what_matters_and_leaves_out_whole_fields(store, columns: int) -> None:
    found = recorded(store, [(0, [("train_loss", 0.25), ("val_loss", 0.412)])]) | LIVE
    assert line(found, columns - 1) == LINES[columns]
    whole = line(found).split("  ")
    for width in range(1, 200):
        shown = line(found, width)
        assert len(shown) <= width
        assert set(shown.split("  ")) - {""} <= set(whole)


def test_a_line_in_wide_letters_keeps_to_the_width(store) -> None:
    found = recorded(store, [(0, [("損失", 0.25)])]) | LIVE | {"best": None, "ref": "数字-k3f9"}
    assert line(found, 47) == "7 of 100 epochs  損失 0.250  ETA 3:20"
    assert line(found, 48) == "数字-k3f9  7 of 100 epochs  損失 0.250  ETA 3:20"


def test_a_narrow_table_breaks_no_field(store) -> None:
    found = recorded(store, [(0, [("train_loss", 0.25), ("val_loss", 0.412)])]) | LIVE | {"status": "finished"}
    lines = table(found, 59).splitlines()
    assert max(map(len, lines)) <= 59
    fields = table(found).splitlines()[0].split("  ")
    assert [field for line in lines[:-3] for field in line.strip().split("  ")] == fields


def test_the_newest_values_alone_give_the_line_of_a_snapshot(store) -> None:
    from jupyter_train.panel.snapshot import outline
    from jupyter_train.panel.summary_line import with_newest

    best = {"metric": "val_loss", "value": 0.5, "epoch": 0, "step": 2, "mode": "min"}
    rows = [(1, [("train_loss", 0.5), ("lr", 1e-3)]), (3, [("val_loss", 0.7), ("val_loss/spread", 0.1)])]
    found = recorded(store, rows, best=best)
    assert line(with_newest(*outline(store, found["run"]))) == line(found)


def test_without_a_renderer_line_and_picture_are_sent_and_the_run_is_found(store) -> None:
    found = recorded(store, [(step, [("train_loss", 0.5 / (step + 1))]) for step in range(400)])
    small, whole = small_bundle(found), bundle(found)
    assert small["text/html"] == whole["text/html"]
    assert small["text/plain"] == whole["text/plain"]
    assert len(json.dumps(small[MIME_TYPE])) < 2_000
    assert small[MIME_TYPE]["run"] == found["run"]
    jsonschema.validate(small[MIME_TYPE], SCHEMA)


def test_a_pipe_shows_the_last_state_alone(store) -> None:
    out = io.StringIO()
    line = TerminalLine(out)
    line.loading("loading torch …")
    found = recorded(store, [(0, [("train_loss", 0.5)])])
    line.show(found | {"status": "running"})
    assert out.getvalue() == ""
    line.show(found)
    assert out.getvalue().startswith(found["ref"])


@pytest.mark.parametrize("first", [50_000.9, 1000.045, 100_000.55, 2.3])
def test_values_that_are_large_and_change_little_are_distinguished(store, first: float) -> None:
    rows = [(step, [("nll", first - step / 100)]) for step in range(9)]
    [family] = recorded(store, rows)["families"]
    assert family["series"][0]["values"] == pytest.approx([first - step / 100 for step in range(9)], abs=1e-4)
    assert family["series"][0]["last"] == pytest.approx(first - 0.08, abs=1e-4)
