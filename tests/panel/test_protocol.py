"""What Python sends and what the renderer reads are the same: `run.schema.json` is checked against both sides."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from jupyter_train.panel.bundle import MIME_TYPE, loading_bundle, reference_bundle
from jupyter_train.panel.snapshot import packed
from tests.browser.samples import finished_bundle
from tests.panel.test_bundle import SCHEMA, SHAPES, recorded

LABEXTENSION = Path(__file__).parents[2] / "labextension"
COMPILED = LABEXTENSION / "lib" / "protocol" / "guards.js"  # `pip install -e .` has built it


def read_by_renderer(*contents: Any) -> list[dict[str, Any]]:
    """What the renderer's own `asPanel` makes of each bundle."""
    script = (
        f"import {{ asPanel }} from {json.dumps(COMPILED.as_uri())};"
        "let text = ''; for await (const part of process.stdin) text += part;"
        "console.log(JSON.stringify(JSON.parse(text).map(asPanel)));"
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
    assert (got["statusLine"], got["statusText"]) == (sent["status_line"], "failed")
    assert got["best"]["value"] == sent["best"]["value"]
    assert got["notices"] == sent["notices"]
    assert ["error", "a word"] in sent["notices"]
    assert {event["text"] for event in sent["events"]} <= {text for _, text in sent["notices"]}


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
