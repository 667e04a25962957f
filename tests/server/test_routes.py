"""The server extension: only behind the server's login, hostile input answered, no torch needed."""

from __future__ import annotations

import json

import pytest
import tornado.httpclient

from jupyter_train.store import open_store


@pytest.fixture
def jp_server_config():
    return {"ServerApp": {"jpserver_extensions": {"jupyter_train": True}}}


PATHS = ["jupyter-train/api/runs", "jupyter-train/api/runs/0199a3c2-0000-7000-8000-000000000000/snapshot"]


async def test_runs_are_listed(jp_fetch, own_store) -> None:
    record = open_store().create_run("digits", tags=["a"])
    answer = await jp_fetch("jupyter-train", "api", "runs")
    found = json.loads(answer.body)["runs"]
    assert [(run["key"], run["status"], run["tags"]) for run in found] == [(record.key, "queued", ["a"])]


async def test_a_snapshot_is_served(jp_fetch, own_store) -> None:
    record = open_store().create_run("digits")
    answer = await jp_fetch("jupyter-train", "api", "runs", record.key, "snapshot")
    assert json.loads(answer.body)["ref"] == record.ref


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("verb", ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"])
@pytest.mark.parametrize("token", ["", "wrong"])
async def test_nobody_gets_in_without_the_token(
    jp_serverapp, http_server_client, jp_base_url, path, verb, token
) -> None:
    url = f"{jp_base_url}{path}" + (f"?token={token}" if token else "")
    body = None if verb in ("GET", "HEAD", "DELETE") else "{}"
    with pytest.raises(tornado.httpclient.HTTPClientError) as caught:
        await http_server_client.fetch(url, method=verb, body=body, follow_redirects=False)
    assert caught.value.code in (403, 405)


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


@pytest.mark.parametrize("limit", ["0", "-1", "abc", "99999", "1e3", "٣"])
async def test_a_bad_limit_is_a_400(jp_fetch, own_store, limit) -> None:
    with pytest.raises(tornado.httpclient.HTTPClientError) as caught:
        await jp_fetch("jupyter-train", "api", "runs", params={"limit": limit})
    assert caught.value.code == 400


async def test_an_unreadable_store_is_a_503(jp_fetch, own_store) -> None:
    (own_store / "store").mkdir()
    (own_store / "store" / "store.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(tornado.httpclient.HTTPClientError) as caught:
        await jp_fetch("jupyter-train", "api", "runs")
    assert caught.value.code == 503
