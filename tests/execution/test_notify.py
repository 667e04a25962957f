"""Somebody is told when a run is over, however it ended; the address is not in the record."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from jupyter_train import get_run, runs, train
from jupyter_train.exceptions import OptionError
from jupyter_train.execution.notify import shown
from tests.execution.test_detached import Dying, Failing
from tests.execution.waiting import until
from tests.models import LitDigits, digits

pytestmark = [pytest.mark.filterwarnings("ignore::UserWarning"), pytest.mark.timeout(120)]


@pytest.fixture
def told():
    """A server of the test's own; gives its address and what it was sent."""
    received = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self):
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(500 if "broken" in self.path else 204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", received
    server.shutdown()
    server.server_close()


def test_a_url_is_told_how_a_run_ended(told) -> None:
    url, received = told
    run = train(LitDigits(), digits(64), epochs=1, quiet=True, notify=f"{url}/hook-s3cret")
    [said] = received
    assert (said["ref"], said["status"], said["best"]["metric"]) == (run.ref, "finished", "val_loss")
    assert "notified http://127.0.0.1/…" in [event.text for event in run.events]
    assert "s3cret" not in json.dumps([run.config, [event.text for event in run.events]])


def test_a_failed_and_a_killed_run_are_told_too(told) -> None:
    url, received = told
    with pytest.raises(ValueError, match="a broken step"):
        train(Failing(), digits(), epochs=2, quiet=True, notify=url)
    assert (received[0]["status"], received[0]["message"]) == ("failed", "ValueError: a broken step")
    train(Dying(), digits(), epochs=2, quiet=True, detach=True, notify=url)
    until(lambda _: len(received) == 2, get_run(runs()[0].key))
    assert received[1]["status"] == "failed"
    assert "SIGKILL" in received[1]["message"]


def test_a_command_gets_the_run_in_its_environment_and_on_its_input(tmp_path) -> None:
    command = f'cat > {tmp_path}/said.json; echo "$JUPYTER_TRAIN_REF $JUPYTER_TRAIN_STATUS" > {tmp_path}/words'
    run = train(LitDigits(), digits(64), epochs=1, quiet=True, name="a $(touch hacked)", notify=command)
    assert (tmp_path / "words").read_text().split() == [run.ref, "finished"]
    assert json.loads((tmp_path / "said.json").read_text())["key"] == run.key


def test_nobody_there_harms_nothing(told) -> None:
    url, _ = told
    cases = {f"{url}/broken": "could not notify http://127.0.0.1/…: Internal Server Error",
             "http://127.0.0.1:9/x": "could not notify http://127.0.0.1/…", "exit 3": "exit code 3"}  # fmt: skip
    for target, words in cases.items():
        run = train(LitDigits(), digits(64), epochs=1, quiet=True, notify=target)
        assert run.status == "finished"
        assert any(words in event.text for event in run.events if event.kind == "warning")


def test_what_may_be_secret_in_a_target_is_not_shown() -> None:
    assert shown("TOKEN=s3cret curl -H $TOKEN x") == "curl"
    assert shown("https://me:s3cret@example.org/hook/s3cret?s3cret") == "https://example.org/…"


@pytest.mark.parametrize("target", ["", "  ", "ftp://x", "https://"])
def test_a_target_that_cannot_be_is_refused(target: str) -> None:
    with pytest.raises(OptionError, match="expected a shell command, or a URL"):
        train(LitDigits(), digits(64), epochs=1, quiet=True, notify=target)
