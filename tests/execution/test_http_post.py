"""One POST: taken, refused, pointed elsewhere or never answered; over in time in any case."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from jupyter_train.execution.http_post import HttpPost

BODY = json.dumps({"ref": "digits-k3f9"}).encode()


class FarEnd(BaseHTTPRequestHandler):
    """Answers as its path says, and keeps what it was sent."""

    got: list[tuple[str, bytes, Any]]
    is_over = threading.Event()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append((self.path, body, self.headers))
        if self.path == "/never":
            self.is_over.wait(30)
            return
        self.send_response(int(self.path[1:4]))
        if self.path.endswith("there"):
            self.send_header("Location", "//user:s3cret@other.example/s3cret")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing is said."""


@pytest.fixture
def far_end() -> Iterator[str]:
    FarEnd.got = []
    FarEnd.is_over.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), FarEnd)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    FarEnd.is_over.set()
    server.shutdown()
    server.server_close()


def test_json_is_sent_to_the_address_that_was_typed(far_end: str) -> None:
    assert HttpPost(f"http://me:pw@{far_end}/200?a=b", BODY, 30.0).problem() == ""
    [(path, body, headers)] = FarEnd.got
    assert (path, body) == ("/200?a=b", BODY)
    assert headers["Content-Type"] == "application/json"
    assert headers["Authorization"] == "Basic bWU6cHc="


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("404", "404 Not Found"),
        ("500", "500 Internal Server Error"),
        ("302/there", "it points to http://other.example/… (302); give that address"),
        ("302", "302 Found"),
    ],
)
def test_any_other_answer_is_said_and_not_followed(far_end: str, path: str, words: str) -> None:
    assert HttpPost(f"http://{far_end}/{path}", BODY, 30.0).problem() == words
    assert len(FarEnd.got) == 1


def test_nobody_there_is_said_without_the_address() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert HttpPost(f"http://127.0.0.1:{port}/s3cret", BODY, 30.0).problem() == "Connection refused"
    assert "s3cret" not in HttpPost("http://s3cret.invalid/", BODY, 30.0).problem()


def test_a_far_end_that_never_answers_is_left_in_time(far_end: str) -> None:
    assert HttpPost(f"http://{far_end}/never", BODY, 0.3).problem() == "no answer within 0.3 s"


def test_it_is_the_same_where_the_connection_notices_first(far_end: str, monkeypatch) -> None:
    join = threading.Thread.join
    monkeypatch.setattr(threading.Thread, "join", lambda thread, timeout_s=0.0: join(thread, timeout_s + 30.0))
    assert HttpPost(f"http://{far_end}/never", BODY, 0.1).problem() == "no answer within 0.1 s"
