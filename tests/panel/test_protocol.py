"""What Python sends and what the renderer reads are the same: `run.schema.json` is checked against both sides."""

from __future__ import annotations

import html
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from jupyter_train.config.commands import VERBS
from jupyter_train.panel.bundle import MIME_TYPE, as_html, as_text, loading_bundle, reference_bundle
from jupyter_train.panel.snapshot import packed
from jupyter_train.panel.status import PartKind, row_text, spoken
from jupyter_train.panel.terminal import table
from jupyter_train.run import RunStatus
from tests.browser.samples import finished_bundle
from tests.panel.test_bundle import SCHEMA, SHAPES, recorded

LABEXTENSION = Path(__file__).parents[2] / "labextension"
COMPILED = LABEXTENSION / "lib"  # `pip install -e .` has built it


def read_by_renderer(*contents: Any, guard: str = "asPanel", module: str = "protocol/guards") -> list[dict[str, Any]]:
    """What a type guard of the renderer makes of each content; `asPanel` reads bundles."""
    script = (
        f"import {{ {guard} }} from {json.dumps((COMPILED / f'{module}.js').as_uri())};"
        "let text = ''; for await (const part of process.stdin) text += part;"
        f"console.log(JSON.stringify(JSON.parse(text).map(content => {guard}(content))));"
    )
    done = subprocess.run(
        ["node", "--input-type=module", "-e", script],
        input=json.dumps(contents),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_every_curve_arrives_as_it_was_sent(store) -> None:
    sent = [recorded(store, rows) for rows in SHAPES.values()]
    for one, panel in zip(sent, read_by_renderer(*[packed(one) for one in sent]), strict=True):
        got = panel["snapshot"]
        assert panel["kind"] == "run"
        assert (got["run"], got["ref"], got["status"]) == (one["run"], one["ref"], one["status"])
        assert [group["name"] for group in got["metricGroups"]] == [family["name"] for family in one["families"]]
        for theirs, ours in zip(got["metricGroups"], one["families"], strict=True):
            for left, right in zip(theirs["series"], ours["series"], strict=True):
                for column in ("name", "role", "count", "last", "steps", "values"):
                    assert left[column] == pytest.approx(right[column], nan_ok=True), column
                assert left["lows"] == right.get("lows", [])


def test_the_other_fields_arrive_as_they_were_sent(own_store) -> None:
    sent = finished_bundle(message="a word")[MIME_TYPE]
    [panel] = read_by_renderer(sent)
    got = panel["snapshot"]
    assert (got["message"], got["asOf"], got["durationSeconds"]) == ("a word", sent["as_of"], sent["duration_s"])
    assert got["statusText"] == "failed"
    assert got["best"]["value"] == sent["best"]["value"]
    assert got["notices"] == sent["notices"]
    assert ["error", "a word"] in sent["notices"]
    assert {event["text"] for event in sent["events"]} <= {text for _, text in sent["notices"]}


#: Progress, and what else of a snapshot the status line says, of runs of each kind.
LINES: dict[str, dict[str, Any]] = {
    "a fit": {"progress": {"epoch": 7, "epochs": 30, "step": 1234, "steps": 20_000, "steps_per_s": 2.4, "eta_s": 40.0}},
    "a fit without an end": {"progress": {"epoch": 1, "step": 12_345}},
    "a search": {"progress": {"trial": 3, "trials": 20, "counts": {"pruned": 2, "fail": 1}, "unit": "trials"}},
    "several fits": {"progress": {"trial": 1, "trials": 3, "unit": "folds"},
                     "best": {"metric": "val_acc", "value": 0.93, "std": 0.01, "epoch": 0, "step": 0,
                              "last": 0.9, "last_std": 0.02}},
    "a best epoch": {"progress": {"epoch": 7}, "best": {"metric": "val_loss", "value": 0.0412, "epoch": 3, "step": 9}},
}  # fmt: skip


@pytest.mark.parametrize("case", LINES)
@pytest.mark.parametrize("status", ["running", "finished"])
def test_every_view_shows_the_one_status_line(store, case: str, status: str) -> None:
    found = recorded(store, []) | LINES[case] | {"status": status, "duration_s": 65.2}
    found |= spoken(found)
    [panel] = read_by_renderer(packed(found))
    parts = [[part["label"], part["value"], part["kind"]] for part in panel["snapshot"]["statusLine"]]
    assert parts == found["status_line"]
    assert {kind for _, _, kind in parts} <= set(PartKind)
    line = "  ".join(f"{label} {value}".strip() for label, value, _ in parts)
    assert line in as_text(found)
    assert line in table(found)
    assert [html.unescape(value) for value in re.findall("<b>([^<]+)</b></td>", as_html(found))] == [
        value for _, value, _ in parts
    ]


def test_a_status_line_saved_before_its_parts_had_kinds_is_shown(own_store) -> None:
    sent = finished_bundle()[MIME_TYPE]
    [panel] = read_by_renderer(sent | {"status_line": [part[:2] for part in sent["status_line"]]})
    parts = [[part["label"], part["value"]] for part in panel["snapshot"]["statusLine"]]
    assert parts == [part[:2] for part in sent["status_line"]] != []
    assert {part["kind"] for part in panel["snapshot"]["statusLine"]} == {""}


@pytest.mark.parametrize(
    ("status", "progress", "ended_with", "text"),
    [
        (RunStatus.RUNNING, {"epoch": 7, "epochs": 5000}, "", "running, 7 of 5,000 epochs"),
        (RunStatus.PAUSED, {"epoch": 1}, "", "paused, 1 epoch"),
        (RunStatus.RUNNING, {}, "", "running"),
        (RunStatus.RUNNING, {"epoch": "damaged", "epochs": []}, "", "running"),
        (RunStatus.FINISHED, {"epoch": 3, "epochs": 3}, "", "finished"),
        (RunStatus.FINISHED, {"epoch": 3, "epochs": 3}, "NaN", "finished with NaN"),
    ],
)
def test_the_list_shows_python_s_text_of_a_status(status, progress, ended_with, text: str) -> None:
    row = {"key": "k", "status": status.value, "status_text": row_text(status, ended_with, progress)}
    [changes] = read_by_renderer({"runs": [row]}, guard="asChanges", module="protocol/rowGuards")
    assert [run["statusText"] for run in changes["runs"]] == [text]


def test_the_renderer_sends_commands_that_runs_take() -> None:
    source = (LABEXTENSION / "src" / "tokens.ts").read_text().partition("RunCommands = {")[2].partition("}")[0]
    commands = set(re.findall(r"'(\w+)'", source))
    assert {"pause", "stop", "set_lr"} <= commands <= set(VERBS)
    for path in (LABEXTENSION / "src").rglob("*.ts"):
        if path.name != "tokens.ts" and not path.name.endswith(".test.ts"):
            literals = re.findall(
                r"'(jupyter-train:(?:open|show)-\w+|docmanager:\w+|set_lr|add_trial)'", path.read_text()
            )
            assert literals == [], path.name


def test_a_panel_saved_before_notices_were_sent_has_its_message(own_store) -> None:
    sent = finished_bundle(message="a word")[MIME_TYPE]
    del sent["notices"]
    [panel] = read_by_renderer(sent)
    assert panel["snapshot"]["notices"] == [["error", "a word"]]


def test_a_reference_and_a_loading_line_are_read_and_valid(store) -> None:
    reference = reference_bundle(recorded(store, SHAPES["long"]))
    assert len(json.dumps(reference, indent=1)) <= 2_000
    jsonschema.validate(reference[MIME_TYPE], SCHEMA)
    panels = read_by_renderer(reference[MIME_TYPE], loading_bundle("loading torch …")[MIME_TYPE])
    assert [panel["kind"] for panel in panels] == ["reference", "line"]
    assert panels[0]["reference"]["run"] == reference[MIME_TYPE]["run"]


HOSTILE = [
    None,
    7,
    "text",
    [],
    {},
    {"schema": 2},
    {"schema": 1},
    {"schema": 1, "status": "dancing"},
    {"schema": 1, "status": "running", "families": "no", "events": {"a": 1}, "best": [], "progress": None},
    {"schema": 1, "status": "running", "families": [{"series": [{"steps": "1,2,x", "values": 5}]}, None]},
    {"schema": 1, "status": "finished", "families": [], "note": "x" * 300_000},
    {"schema": 1, "status": "lost", "media": [{"thumbnail": "javascript:alert(1)"}, {"thumbnail": "data:text/html,x"}]},
]


def test_anything_at_all_is_read_without_an_error() -> None:
    panels = read_by_renderer(*HOSTILE)
    assert {panel["kind"] for panel in panels} == {"line", "run"}
    assert [medium["thumbnail"] for medium in panels[-1]["snapshot"]["media"]] == ["", ""]


def test_the_renderer_reads_only_what_the_schema_names() -> None:
    """A field renamed on one side alone is noticed."""
    protocol = LABEXTENSION / "src" / "protocol"
    text = "".join((protocol / name).read_text() for name in ("guards.ts", "studyGuards.ts"))
    readers = "data|json|progress|resources|best|group|series|mark|item|objective|param|curve|importance"
    read = set(re.findall(rf"(?<!/)\b(?:{readers})\.([a-z_]+)\b", text))
    assert {"families", "status_line", "thumbnail", "is_log"} <= read
    assert read - _names(SCHEMA) == set()


def _names(part: Any) -> set[str]:
    if isinstance(part, list):
        return {name for one in part for name in _names(one)}
    if not isinstance(part, dict):
        return set()
    own = set(part.get("properties", {})) if isinstance(part.get("properties"), dict) else set()
    return own | {name for one in part.values() for name in _names(one)}
