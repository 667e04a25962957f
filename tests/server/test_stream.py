"""The websocket of the list: every run, then what changes, and why runs are missing."""

from __future__ import annotations

import json
from pathlib import Path

from jupyter_train.run import RunStatus
from jupyter_train.server import stream as server_stream
from jupyter_train.store import open_store


async def test_the_stream_sends_every_run_then_what_changes(jp_ws_fetch, live_run) -> None:
    store = open_store()
    first = await jp_ws_fetch("jupyter-train", "api", "stream")
    assert [row["ref"] for row in json.loads(await first.read_message())["runs"]] == [live_run.ref]
    other = store.create_run("second", summary={"best": {"metric": "val_acc", "value": 0.5}, "trail": [0.1, 0.5]})
    [row] = json.loads(await first.read_message())["runs"]
    assert (row["ref"], row["metric"], row["best"], row["trail"]) == (other.ref, "val_acc", 0.5, [0.1, 0.5])
    store.set_status(live_run.key, RunStatus.PAUSED)
    [row] = json.loads(await first.read_message())["runs"]
    assert (row["key"], row["status"], row["status_text"]) == (live_run.key, "paused", "paused")
    store.delete_run(other.key)
    assert json.loads(await first.read_message()) == {"runs": [], "gone": [other.key]}
    first.close()


async def test_a_long_list_is_streamed_in_parts(jp_ws_fetch, own_store, monkeypatch) -> None:
    monkeypatch.setattr(server_stream, "_MAX_ROWS_A_MESSAGE", 4)
    made = {open_store().create_run("digits").key for _ in range(10)}
    stream = await jp_ws_fetch("jupyter-train", "api", "stream")
    parts = [json.loads(await stream.read_message())["runs"] for _ in range(3)]
    assert [len(part) for part in parts] == [4, 4, 2]
    assert {row["key"] for part in parts for row in part} == made
    stream.close()


async def test_a_store_that_cannot_be_read_is_said_until_it_can(jp_ws_fetch, own_store) -> None:
    (own_store / "store").mkdir(exist_ok=True)
    path = Path(own_store / "store" / "store.db")
    path.write_bytes(b"no database at all" * 100)
    stream = await jp_ws_fetch("jupyter-train", "api", "stream")
    assert "cannot be read" in json.loads(await stream.read_message())["message"]
    path.unlink()
    record = open_store().create_run("digits")
    message = json.loads(await stream.read_message())
    while "message" in message:  # it looked before the file was gone
        message = json.loads(await stream.read_message())
    assert [row["key"] for row in message["runs"]] == [record.key]
    stream.close()
