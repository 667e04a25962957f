"""REST routes over the run store. Every verb asks for the server's login."""

from __future__ import annotations

import json
import re
from typing import Any

from jupyter_server.base.handlers import APIHandler
from tornado import web
from tornado.ioloop import IOLoop

from jupyter_train.exceptions import RunNotFoundError, StoreError
from jupyter_train.panel.snapshot import packed, snapshot
from jupyter_train.store import open_store

_KEY = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
_MOST_RUNS = 1000


class RunsHandler(APIHandler):
    """`GET api/runs`: the newest runs."""

    @web.authenticated
    async def get(self) -> None:
        """A list of runs: key, ref, status, best, created_at, duration_s, size_bytes."""
        limit = self.get_query_argument("limit", "100")
        if not limit.isascii() or not limit.isdigit() or not 1 <= int(limit) <= _MOST_RUNS:
            raise web.HTTPError(400, f"limit: expected 1 to {_MOST_RUNS}")
        self.finish(json.dumps({"runs": await _in_thread(_list, int(limit))}))


class SnapshotHandler(APIHandler):
    """`GET api/runs/KEY/snapshot`: what a panel draws."""

    @web.authenticated
    async def get(self, key: str) -> None:
        """The run's snapshot."""
        if not _KEY.match(key):
            raise web.HTTPError(400, "expected a run's key")
        try:
            found = await _in_thread(_snapshot, key)
        except RunNotFoundError as err:
            raise web.HTTPError(404, "no such run") from err
        self.finish(json.dumps(found))


async def _in_thread(work: Any, *arguments: Any) -> Any:
    try:
        return await IOLoop.current().run_in_executor(None, work, *arguments)
    except RunNotFoundError:
        raise
    except StoreError as err:
        raise web.HTTPError(503, str(err)) from err


def _list(limit: int) -> list[dict[str, Any]]:
    store = open_store()
    return [
        {
            "key": record.key, "ref": record.ref, "status": store.status_of(record).value, "kind": record.kind,
            "best": record.summary.get("best"), "created_at": record.created_at, "duration_s": record.duration_s,
            "size_bytes": record.size_bytes, "tags": record.tags, "parent": record.parent,
        }
        for record in store.list_runs(limit)
    ]  # fmt: skip


def _snapshot(key: str) -> dict[str, Any]:
    return packed(snapshot(open_store(), key))


def routes() -> list[tuple[str, type[APIHandler]]]:
    """Our routes, below the server's base URL."""
    return [
        (r"/jupyter-train/api/runs", RunsHandler),
        (r"/jupyter-train/api/runs/([^/]+)/snapshot", SnapshotHandler),
    ]
