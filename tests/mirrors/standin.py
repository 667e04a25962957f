"""A loopback stand-in for the W&B server: enough of its API for the real client to sync a run to it."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class StandIn:
    """What the client sent: history rows in order, by offset."""

    def __init__(self) -> None:
        self.history: dict[int, dict[str, Any]] = {}
        self.operations: list[str] = []
        #: `errors`, `slow` or `hangs up`; empty while all is well.
        self.fault = ""
        self.refused = 0
        self.lock = threading.Lock()

    def rows(self) -> list[dict[str, Any]]:
        with self.lock:
            return [self.history[offset] for offset in sorted(self.history)]

    def take_stream(self, body: dict[str, Any]) -> None:
        """A file-stream request: lines of `wandb-history.jsonl` from an offset on."""
        part = (body.get("files") or {}).get("wandb-history.jsonl")
        if part is None:
            return
        with self.lock:
            for index, line in enumerate(part["content"]):
                self.history[part["offset"] + index] = json.loads(line)

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        """A GraphQL request, answered by what its text asks for."""
        query = body.get("query", "")
        self.operations.append(query.split("(")[0].split("{")[0].strip())
        entity = {"id": "e", "name": "me"}
        project = {"id": "p", "name": "digits", "entity": entity}
        bucket = {
            "id": "b",
            "name": (body.get("variables") or {}).get("name") or "run",
            "displayName": "run",
            "description": "",
            "config": "{}",
            "sweepName": None,
            "project": project,
            "historyLineCount": 0,
        }
        if "upsertBucket" in query:
            return {"upsertBucket": {"bucket": bucket, "inserted": True}}
        if "createRunFiles" in query:
            return {"createRunFiles": {"runID": "b", "uploadHeaders": [], "files": []}}
        if "serverInfo" in query:
            return {"serverInfo": {"features": [], "latestLocalVersionInfo": None}, "viewer": _viewer(entity)}
        if "viewer" in query:
            return {"viewer": _viewer(entity)}
        if "model(" in query or "project(" in query:
            return {"model": {"bucket": None}, "project": None, "entity": entity}
        return {}


def _viewer(entity: dict[str, str]) -> dict[str, Any]:
    return {"id": "v", "entity": entity["name"], "username": "me", "flags": "{}", "teams": {"edges": []}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stand_in: StandIn

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self._is_broken():
            return
        if self.headers.get("Content-Encoding") == "gzip":
            content = gzip.decompress(content)
        body = json.loads(content or b"{}")
        if self.path.endswith("/graphql"):
            self._say({"data": self.stand_in.answer(body)})
        else:
            self.stand_in.take_stream(body)
            self._say({"limits": {}, "exitcode": None})

    def do_GET(self) -> None:
        if not self._is_broken():
            self._say({})

    do_PUT = do_GET  # noqa: N815

    def _is_broken(self) -> bool:
        """Answers as a server in trouble; True when that was all."""
        fault = self.stand_in.fault
        if fault == "slow":
            time.sleep(2.0)
        if fault in ("", "slow"):
            return False
        self.stand_in.refused += 1
        if fault == "errors":
            self._say({"error": "in trouble"}, 500)
        else:
            self.close_connection = True
            self.connection.close()
        return True

    def _say(self, answer: dict[str, Any], status: int = 200) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving() -> Iterator[tuple[StandIn, str]]:
    """The stand-in and its URL on a random loopback port."""
    stand_in = StandIn()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"stand_in": stand_in}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield stand_in, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
