"""The server extension: only behind the server's login, hostile input answered, no torch needed."""

from __future__ import annotations

import json
import sqlite3

import pytest
import tornado.httpclient

from jupyter_train.events import EventKind
from jupyter_train.run import RunStatus
from jupyter_train.server.handlers import routes
from jupyter_train.service import queries
from jupyter_train.store import RunFolder, commands, open_store
from jupyter_train.store.metrics.appender import MetricAppender
from jupyter_train.store.metrics.blocks import Point
from jupyter_train.store.runs import Event

AS_JSON = {"Content-Type": "application/json"}
KEY = "0199a3c2-0000-7000-8000-000000000000"
PATHS = [
    "jupyter-train/api/runs",
    "jupyter-train/api/stream",
    f"jupyter-train/api/runs/{KEY}",
    f"jupyter-train/api/runs/{KEY}/snapshot",
    f"jupyter-train/api/runs/{KEY}/curves",
    f"jupyter-train/api/runs/{KEY}/bundle",
    f"jupyter-train/api/runs/{KEY}/commands",
    f"jupyter-train/api/runs/{KEY}/details",
]


async def test_runs_are_listed(jp_fetch, own_store) -> None:
    record = open_store().create_run("digits", tags=["a"])
    answer = await jp_fetch("jupyter-train", "api", "runs")
    found = json.loads(answer.body)["runs"]
    assert [(run["key"], run["status"], run["tags"]) for run in found] == [(record.key, "queued", ["a"])]


async def test_what_a_damaged_store_still_knows_is_listed_and_the_rest_is_said(jp_fetch, own_store) -> None:
    keys = [open_store().create_run("digits").key for _ in range(3)]
    connection = sqlite3.connect(own_store / "store" / "store.db")
    with connection:
        connection.execute("UPDATE runs SET summary = '{' WHERE key = ?", (keys[1],))
    connection.close()
    found = json.loads((await jp_fetch("jupyter-train", "api", "runs")).body)
    assert [run["key"] for run in found["runs"]] == [keys[2], keys[0]]
    assert found["message"].startswith("1 run is not shown")
    for path in ("snapshot", "details", "bundle"):
        with pytest.raises(tornado.httpclient.HTTPClientError) as refused:
            await jp_fetch("jupyter-train", "api", "runs", keys[1], path)
        said = json.loads(refused.value.response.body)
        assert (refused.value.code, "damaged" in said["message"]) == (503, True)
        assert "sqlite" not in said["message"]
    (own_store / "store" / "store.db").write_bytes(b"\xff" * 20_000)
    with pytest.raises(tornado.httpclient.HTTPClientError) as refused:
        await jp_fetch("jupyter-train", "api", "runs")
    assert refused.value.code == 503


async def test_a_snapshot_is_served(jp_fetch, own_store) -> None:
    record = open_store().create_run("digits")
    answer = await jp_fetch("jupyter-train", "api", "runs", record.key, "snapshot")
    assert json.loads(answer.body)["ref"] == record.ref


async def test_a_window_of_the_curves_is_served(jp_fetch, own_store) -> None:
    record = open_store().create_run("digits")
    appender = MetricAppender(RunFolder(record.folder).metrics)
    for step in range(3000):
        appender.append("train_loss", Point(step, 0.0, 1 / (step + 1), 0.0))
    appender.commit()
    appender.close()
    answer = await jp_fetch(
        "jupyter-train", "api", "runs", record.key, "curves", params={"first": "1000", "last": "1009"}
    )
    (family,) = json.loads(answer.body)["families"]
    assert family["name"] == "loss"
    assert family["series"][0]["steps"] == "999,1000,1001,1002,1003,1004,1005,1006,1007,1008,1009,1010"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "first=1",
        "first=2&last=1",
        "first=-1&last=3",
        "first=a&last=b",
        "first=0&last=99999999999999999999999",
        "first=1e3&last=2e3",
        "first=0&last=" + "9" * 4000,
        "first=0&last=" + "9" * 5000,
    ],
)
async def test_a_window_of_nonsense_is_refused(jp_fetch, own_store, query) -> None:
    record = open_store().create_run("digits")
    given = dict(part.split("=") for part in query.split("&") if part)
    with pytest.raises(tornado.httpclient.HTTPClientError) as caught:
        await jp_fetch("jupyter-train", "api", "runs", record.key, "curves", params=given)
    assert caught.value.code == 400


async def test_a_bundle_is_served_as_a_kernel_would_publish_it(jp_fetch, own_store) -> None:
    record = open_store().create_run("digits")
    answer = await jp_fetch("jupyter-train", "api", "runs", record.key, "bundle")
    assert set(json.loads(answer.body)) == {"application/vnd.jupyter-train.run+json", "text/html", "text/plain"}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("verb", ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"])
@pytest.mark.parametrize("token", ["", "wrong"])
async def test_no_request_gets_in_without_the_token(
    jp_serverapp, http_server_client, jp_base_url, path, verb, token
) -> None:
    url = f"{jp_base_url}{path}" + (f"?token={token}" if token else "")
    body = None if verb in ("GET", "HEAD", "DELETE") else "{}"
    with pytest.raises(tornado.httpclient.HTTPClientError) as caught:
        await http_server_client.fetch(url, method=verb, body=body, follow_redirects=False)
    assert caught.value.code in (403, 405)


async def _login(http_server_client, jp_base_url, jp_serverapp) -> str:
    """What a browser holds after the login, its XSRF cookie apart."""
    url = f"{jp_base_url}api/status?token={jp_serverapp.identity_provider.token}"
    answer = await http_server_client.fetch(url)
    found = [cookie.split(";")[0] for cookie in answer.headers.get_list("Set-Cookie")]
    return "; ".join(cookie for cookie in found if not cookie.startswith("_xsrf"))


def _walk(jp_serverapp) -> list[str]:
    """Our routes as the running application knows them."""
    found: list[str] = []
    routers = [jp_serverapp.web_app.default_router]
    while routers:
        for rule in routers.pop().rules:
            if hasattr(rule.target, "rules"):
                routers.append(rule.target)
            pattern = getattr(getattr(rule.matcher, "regex", None), "pattern", "")
            if "jupyter-train" in pattern:
                found.append(pattern.removesuffix("$").replace("([^/]+)", KEY))
    return found


async def test_every_route_of_the_application_refuses_foreign_pages_and_forged_requests(
    jp_serverapp, http_server_client, jp_base_url, live_run
) -> None:
    paths = [path.replace(KEY, live_run.key) for path in _walk(jp_serverapp)]
    assert len(paths) == len(routes())
    forged = {"Cookie": await _login(http_server_client, jp_base_url, jp_serverapp)}
    foreign = forged | {"Origin": "http://evil.example"}
    body = '{"verb": "stop", "arguments": {}, "note": "evil"}'
    answers: dict[str, int] = {}
    for path in paths:
        for verb in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
            sent = body if verb in ("POST", "PUT", "PATCH") else None
            for name, headers in (("foreign", foreign), ("forged", forged)):
                if name == "forged" and verb in ("GET", "HEAD"):
                    continue  # reading needs no XSRF cookie; another origin cannot read the answer
                answer = await http_server_client.fetch(
                    path, method=verb, body=sent, headers=headers, raise_error=False, follow_redirects=False
                )
                answers[f"{name} {verb} {path}"] = answer.code
    unknown = {name for name in answers if name.endswith("stream") and " GET " not in name}  # verbs a websocket lacks
    refused = {name: {403, 404} if name in unknown else {403} for name in answers}
    assert {name: code for name, code in answers.items() if code not in refused[name]} == {}
    assert commands.waiting(open_store(), live_run.key) == []
    assert open_store().get(live_run.key).note == ""
    mine = await http_server_client.fetch(paths[0], headers=forged)
    assert mine.code == 200  # the cookies are good: it was the origin, or the missing XSRF cookie


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (("api", "runs", "..", "snapshot"), 400),
        (("api", "runs", "%2e%2e%2f%2e%2e", "snapshot"), 400),
        (("api", "runs", "x' OR 1=1 --", "snapshot"), 400),
        (("api", "runs", "0199a3c2-0000-7000-8000-000000000000", "snapshot"), 404),
        (("api", "nothing"), 404),
    ],
)
async def test_hostile_paths_are_answered(jp_fetch, own_store, path, code) -> None:
    with pytest.raises(tornado.httpclient.HTTPClientError) as caught:
        await jp_fetch("jupyter-train", *path)
    assert caught.value.code == code


@pytest.mark.parametrize("limit", ["0", "-1", "abc", "99999", "1e3", "٣", "9" * 4000, "9" * 5000])
async def test_a_bad_limit_is_a_400(jp_fetch, own_store, limit) -> None:
    with pytest.raises(tornado.httpclient.HTTPClientError) as caught:
        await jp_fetch("jupyter-train", "api", "runs", params={"limit": limit})
    assert caught.value.code == 400


async def test_a_run_that_is_over_is_deleted_and_a_live_one_is_not(jp_fetch, live_run) -> None:
    record = open_store().create_run("digits")
    await jp_fetch("jupyter-train", "api", "runs", record.key, method="DELETE")
    assert [left.key for left in open_store().list_runs()] == [live_run.key]
    assert not RunFolder(record.folder).path.exists()
    with pytest.raises(tornado.httpclient.HTTPClientError) as caught:
        await jp_fetch("jupyter-train", "api", "runs", live_run.key, method="DELETE")
    assert (caught.value.code, open_store().get(live_run.key).ref) == (409, live_run.ref)


async def test_an_unreadable_store_is_a_503(jp_fetch, own_store) -> None:
    (own_store / "store").mkdir()
    (own_store / "store" / "store.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(tornado.httpclient.HTTPClientError) as caught:
        await jp_fetch("jupyter-train", "api", "runs")
    assert caught.value.code == 503


def test_every_route_is_among_those_tried_without_a_token() -> None:
    assert [path.replace("([^/]+)", KEY).strip("/") for path, _ in routes()] == PATHS


async def _post(jp_fetch, key: str, body: str):
    return await jp_fetch(
        "jupyter-train", "api", "runs", key, "commands", method="POST", body=body, headers=dict(AS_JSON)
    )


async def test_a_command_becomes_a_row_that_the_owner_can_take(jp_fetch, live_run, monkeypatch) -> None:
    monkeypatch.setattr(queries, "_ANSWER_WAIT_S", 0.0)
    answer = await _post(jp_fetch, live_run.key, '{"verb": "set_lr", "arguments": {"factor": 0.5}}')
    assert (answer.code, json.loads(answer.body)["message"]) == (
        202,
        "requested; the run does it at its next batch boundary",
    )
    assert [(one.verb, one.arguments, one.source) for one in commands.waiting(open_store(), live_run.key)] == [
        ("set_lr", {"factor": 0.5}, "panel")
    ]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", 400),
        ("[]", 400),
        ("7", 400),
        ("{not json", 400),
        ('{"verb": 5}', 400),
        ('{"verb": "stop", "arguments": []}', 400),
        ('{"verb": "__class__", "arguments": {}}', 400),
        ('{"verb": "set_lr", "arguments": {"lr": -1}}', 400),
        ('{"verb": "set_lr", "arguments": {"lr": ' + "9" * 4000 + "}}", 400),
        ('{"verb": "set_lr", "arguments": {"lr": 1e999}}', 400),
        ('{"verb": "set_lr", "arguments": {"lr": 1, "group": 1e300}}', 400),
        ('{"verb": "set_max_epochs", "arguments": {"epochs": ' + "9" * 400 + "}}", 400),
        ('{"verb": "add_trial", "arguments": {"values": {"lr": ' + "9" * 4000 + "}}}", 400),
        ('{"verb": "stop", "arguments": ' + "[" * 4000, 400),
        ('{"verb": "set_lr", "arguments": {"lr": ' + "[" * 1900 + "]" * 1900 + "}}", 400),
        ('{"verb": "\\ud800", "arguments": {"\\u0000": 1}}', 400),
        ('{"verb": "stop", "arguments": {"\\ud800": 1}}', 400),
        ('{"verb": "stop", "arguments": {"' + "x" * 5000 + '": 1}}', 413),
    ],
)
async def test_a_hostile_command_is_answered_and_leaves_no_row(jp_fetch, live_run, body, code) -> None:
    with pytest.raises(tornado.httpclient.HTTPClientError) as caught:
        await _post(jp_fetch, live_run.key, body)
    assert caught.value.code == code
    assert commands.waiting(open_store(), live_run.key) == []


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
@pytest.mark.parametrize(("part", "method"), [("commands", "POST"), ("details", "PATCH")])
async def test_a_body_that_is_said_to_be_no_json_is_refused(jp_fetch, live_run, kind, part, method) -> None:
    body = '{"verb": "stop", "note": "theirs"}'
    with pytest.raises(tornado.httpclient.HTTPClientError) as caught:
        await jp_fetch(
            "jupyter-train", "api", "runs", live_run.key, part, method=method, body=body, headers={"Content-Type": kind}
        )
    assert caught.value.code in (400, 415)  # 400 where tornado has found that the body is not in that form
    assert (commands.waiting(open_store(), live_run.key), open_store().get(live_run.key).note) == ([], "")


async def test_a_run_that_is_over_answers_with_the_reason(jp_fetch, own_store) -> None:
    store = open_store()
    record = store.create_run("digits")
    store.set_status(record.key, RunStatus.STOPPED)
    with pytest.raises(tornado.httpclient.HTTPClientError) as caught:
        await _post(jp_fetch, record.key, '{"verb": "stop"}')
    assert caught.value.code == 409
    assert "is stopped; only a running fit takes commands" in json.loads(caught.value.response.body)["message"]


async def test_an_unknown_run_takes_no_command(jp_fetch, own_store) -> None:
    with pytest.raises(tornado.httpclient.HTTPClientError) as caught:
        await _post(jp_fetch, KEY, '{"verb": "stop"}')
    assert caught.value.code == 404


async def _note(jp_fetch, key: str, body: str):
    return await jp_fetch(
        "jupyter-train", "api", "runs", key, "details", method="PATCH", body=body, headers=dict(AS_JSON)
    )


async def test_details_hold_the_end_of_the_log_and_a_note_that_can_be_changed(jp_fetch, own_store) -> None:
    store = open_store()
    record = store.create_run("digits", config={"epochs": 3, "mode": None}, tags=["nightly", "two words"])
    store.add_events(record.key, [Event(1.0, 5, "warning", "a word", {})])
    RunFolder(record.folder).log.write_text("first\n" + "x" * 80 + "\n" * 2 + "y" * 40_000 + "\nlast\n")
    found = json.loads((await jp_fetch("jupyter-train", "api", "runs", record.key, "details")).body)
    assert (found["log"], found["config"], found["note"]) == ("last\n", {"epochs": 3}, "")
    assert found["tags"] == ["nightly", "two words"]
    assert found["events"] == [{"at": 1.0, "step": 5, "kind": "warning", "text": "a word"}]
    await _note(jp_fetch, record.key, '{"note": "<b>good</b>"}')
    assert store.get(record.key).note == "<b>good</b>"


@pytest.mark.parametrize("place", ["https://wandb.example/runs/1", "javascript:alert(1)", "offline, /tmp/wandb"])
async def test_details_name_the_places_where_more_of_a_run_lies(jp_fetch, jp_root_dir, own_store, place) -> None:
    store = open_store()
    inside = store.create_run("digits", notebook=str(jp_root_dir / "deep" / "a b.ipynb"))
    outside = store.create_run("digits", notebook=str(jp_root_dir.parent / "other.ipynb"))
    store.add_events(inside.key, [Event(1.0, None, EventKind.MIRROR, f"W&B: {place}", {"place": place})])
    found = json.loads((await jp_fetch("jupyter-train", "api", "runs", inside.key, "details")).body)["links"]
    assert {link["name"]: link["text"] for link in found} == {
        "notebook": inside.notebook,
        "folder": inside.folder,
        "W&B": place,
    }
    assert found[0]["path"] == "deep/a b.ipynb"
    assert found[2].get("url", "") == (place if place.startswith("https") else "")
    found = json.loads((await jp_fetch("jupyter-train", "api", "runs", outside.key, "details")).body)["links"]
    assert [(link["name"], link.get("path")) for link in found] == [("notebook", ""), ("folder", None)]


@pytest.mark.parametrize(
    "body", ["", "[]", "[" * 60_000, "9" * 5000, '{"note": 5}', '{"note": "' + "x" * 10_001 + '"}']
)
async def test_a_hostile_note_is_refused(jp_fetch, own_store, body: str) -> None:
    record = open_store().create_run("digits", note="mine")
    with pytest.raises(tornado.httpclient.HTTPClientError) as caught:
        await _note(jp_fetch, record.key, body)
    assert (caught.value.code, open_store().get(record.key).note) == (400, "mine")


async def test_another_users_note_is_left_alone(jp_fetch, own_store, monkeypatch) -> None:
    record = open_store().create_run("digits", note="mine")
    monkeypatch.setattr("jupyter_train.store.runs.user_name", lambda: "mallory")
    with pytest.raises(tornado.httpclient.HTTPClientError) as caught:
        await _note(jp_fetch, record.key, '{"note": "theirs"}')
    assert (caught.value.code, open_store().get(record.key).note) == (409, "mine")
