"""A URL or a command is notified when a run is over, however it ended; the address is not in the record."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import socketserver
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import psutil
import pytest

from jupyter_train import get_run, runs, train, tune
from jupyter_train.config import TrainConfig, TuneConfig
from jupyter_train.config.notification import address, redacted_target
from jupyter_train.exceptions import OptionError
from jupyter_train.execution import notify
from jupyter_train.store import open_store
from tests.execution.test_detached import Dying, Failing
from tests.models import LitDigits, digits
from tests.waiting import until

pytestmark = [pytest.mark.filterwarnings("ignore::UserWarning"), pytest.mark.timeout(120)]


@pytest.fixture
def hook():
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


def test_a_url_is_notified_how_a_run_ended(hook) -> None:
    url, received = hook
    run = train(LitDigits(), digits(64), epochs=1, quiet=True, notify=f"{url}/hook-s3cret")
    [said] = received
    assert (said["ref"], said["status"], said["best"]["metric"]) == (run.ref, "finished", "val_loss")
    assert "notified http://127.0.0.1/…" in [event.text for event in run.events]
    assert "s3cret" not in json.dumps([run.config, [event.text for event in run.events]])


def test_a_failed_and_a_killed_run_are_reported_too(hook) -> None:
    url, received = hook
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


def test_a_target_that_does_not_answer_harms_nothing(hook) -> None:
    url, _ = hook
    cases = {
        f"{url}/broken": "could not notify http://127.0.0.1/…: 500 Internal Server Error",
        "http://127.0.0.1:9/x": "could not notify http://127.0.0.1/…",
        "exit 3": "the `--notify` command `exit` failed: exit code 3",
    }
    for target, words in cases.items():
        run = train(LitDigits(), digits(64), epochs=1, quiet=True, notify=target)
        assert run.status == "finished"
        assert any(words in event.text for event in run.events if event.kind == "warning")


def test_what_may_be_secret_in_a_target_is_not_shown_target() -> None:
    assert redacted_target("TOKEN=s3cret curl -H $TOKEN x") == "curl"
    assert redacted_target("https://me:s3cret@example.org/hook/s3cret?s3cret") == "https://example.org/…"


#: What people type, or what is pasted wrongly, and what is expected instead.
ODD = {
    "": "a shell command, or a URL",
    "  ": "a shell command, or a URL",
    "ftp://x": "a shell command, or a URL",
    "https://": "a shell command, or a URL",
    "http:example.org/hook": "a shell command, or a URL",
    "http:///hook": "a shell command, or a URL",
    "file:///etc/passwd": "a shell command, or a URL",
    "http://[::1/hook": "Invalid IPv6 URL",
    "http://[nonsense]/": "a shell command, or a URL",
    "http://example.org:port/": "Port could not be cast",
    "http://example.org:99999/": "Port out of range",
    "http://example.org:0/": "a shell command, or a URL",
    "http://exa mple.org/": "write it as `%20`",
    "http://example.org/a\r\nX-Evil: 1": "write it as `%0D`",
    "http://example.org\\@evil.example/": "write it as `%5C`",
    "http://a..b/": "no host is called like that",
    f"http://{'a' * 64}.org/": "no host is called like that",
    "http://exa!mple.org/": "no host is called like that",
    "http://example.org/" + "x" * 3000: "at most 2,048 letters",
    "http://example.org/\0": "without NUL",
    "http://example.org/\ud800": "without NUL",
    "echo \0": "without NUL",
    "echo " + "x" * 200_000: "at most 100,000 letters",
    "nosuchcommand --now s3cret": "there is no command `nosuchcommand` here",
}


@pytest.mark.parametrize("target", ODD, ids=lambda target: repr(target)[:40])
def test_an_odd_target_is_refused_before_anything_is_trained(target: str) -> None:
    for made in (
        lambda: train(LitDigits(), digits(64), epochs=1, quiet=True, notify=target),
        lambda: TuneConfig.of({"notify": target, "trials": 1, "minimize": "x"}, {"a": "1..2"}),
    ):
        with pytest.raises(OptionError) as caught:
            made()
        assert ODD[target] in str(caught.value)
        assert "\n" not in str(caught.value)
        assert str(caught.value).startswith("`--notify …`: expected")  # what was typed may hold a secret
        assert len(str(caught.value)) < 300
    assert open_store().list_runs() == []


USED = {
    "HTTP://Example.org/Hook?a=b c".replace(" ", "%20"): "http://example.org/Hook?a=b%20c",
    "https://münchen.example/straße?ö=1#part": "https://xn--mnchen-3ya.example/stra%C3%9Fe?%C3%B6=1",
    "http://[::1]:8080": "http://[::1]:8080/",
    "http://127.0.0.1:9/x%2Fy": "http://127.0.0.1:9/x%2Fy",
}


@pytest.mark.parametrize("target", USED)
def test_a_url_is_brought_into_the_form_that_is_sent(target: str) -> None:
    assert TrainConfig.of({"epochs": 1, "notify": f" {target} "}).notify == target
    assert address(target).url == USED[target]


def test_a_command_may_hold_a_url_and_a_url_may_hold_a_user() -> None:
    commands = ("curl -d @- https://example.org", "printf POST https://example.org", "echo a:b", "exit 3", "./later.sh")
    for command in (*commands, "(nosuch; x)"):
        assert TrainConfig.of({"epochs": 1, "notify": command}).notify == command
    to = address("https://me:p%40ss@example.org/x")
    assert (to.url, to.headers["Authorization"]) == ("https://example.org/x", "Basic bWU6cEBzcw==")


def notified(target: str) -> tuple[str, str]:
    """The event of a notification: its kind and text."""
    store = open_store()
    record = store.create_run("digits")
    notify.notify(store, record.key, target)
    [event] = store.events_of(record.key)
    assert "s3cret" not in event.text
    return event.kind, event.text


class Far(socketserver.BaseRequestHandler):
    """A far end that answers as its path says."""

    def handle(self):
        asked = self.request.recv(1 << 16).split()[1].decode()
        self.server.asked.append(asked)
        if asked.startswith("/drip"):
            with contextlib.suppress(OSError):
                while not self.server.is_over.wait(0.05):
                    self.request.sendall(b"H")
        elif asked.startswith("/redirect"):
            self.request.sendall(b"HTTP/1.1 302 Found\r\nLocation: //user:s3cret@other.example/s3cret\r\n\r\n")
        elif asked.startswith("/garbage"):
            self.request.sendall(b"\x00\xff not http s3cret\r\n\r\n")


@pytest.fixture
def far():
    """A far end of the test's own; gives its address, and the requested paths."""
    socketserver.ThreadingTCPServer.daemon_threads = True
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Far)
    server.asked, server.is_over = [], threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", server.asked
    server.is_over.set()
    server.shutdown()
    server.server_close()


def test_a_redirect_is_no_notification(far) -> None:
    url, asked = far
    said = notified(f"{url}/redirect/s3cret")
    assert said == (
        "warning",
        "could not notify http://127.0.0.1/…: it points to http://other.example/… (302); give that address",
    )
    assert asked == ["/redirect/s3cret"]


@pytest.mark.parametrize("path", ["/garbage/s3cret", "/nothing/s3cret"])
def test_an_answer_that_is_none_is_a_line_on_the_run(far, path: str) -> None:
    kind, text = notified(f"{far[0]}{path}")
    assert kind == "warning"
    assert text.startswith("could not notify http://127.0.0.1/…: ")


def test_a_far_end_that_drips_a_slow_name_and_a_command_without_an_end_are_left_in_time(
    far, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(notify, "_TIMEOUT_S", 0.6)
    is_over = threading.Event()
    look_up = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *more: is_over.wait(20) if host == "slow.example" else look_up(host, *more)
    )
    began = time.monotonic()
    for target in (f"{far[0]}/drip", "http://slow.example/", f"echo $$ > {tmp_path}/pid; sleep 60"):
        kind, text = notified(target)
        assert kind == "warning"
        assert text.endswith("within 0.6 s")
    assert time.monotonic() - began < 15
    is_over.set()
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))
    for thread in threading.enumerate():
        if thread.name == "jupyter_train notify":
            thread.join(20)
            assert not thread.is_alive()


def test_a_command_is_not_waited_for_by_what_it_leaves_running(tmp_path) -> None:
    kind, _ = notified(f"sleep 60 & echo $! > {tmp_path}/pid")
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert kind == "notify"


def test_a_run_of_several_fits_is_reported_once_as_is_a_search(hook) -> None:
    url, received = hook
    several = train(LitDigits(), digits(64), epochs=1, cv=2, seeds=2, quiet=True, notify=f"{url}/hook-s3cret")
    assert [(one["ref"], one["status"]) for one in received] == [(several.ref, "finished")]
    assert "s3cret" not in json.dumps([several.config, [event.text for event in several.events]])
    study = tune(
        LitDigits,
        digits(64),
        space={"lr": "1e-3..1e-1"},
        trials=2,
        epochs=1,
        cv=2,
        minimize="val_loss",
        quiet=True,
        notify=f"{url}/hook-s3cret",
    )
    assert [one["ref"] for one in received[1:]] == [study.ref]


def test_a_failed_notification_never_takes_the_place_of_the_users_error(monkeypatch) -> None:
    """A message with a NUL, which no process takes into its environment, and an unexpected fault."""
    with pytest.raises(ValueError, match="a broken step"):
        train(NulFailing(), digits(), epochs=2, quiet=True, notify='test -n "$JUPYTER_TRAIN_MESSAGE"')
    assert [event.text for event in get_run(runs()[0].key).events if event.kind == "notify"] == [
        "ran the `--notify` command `test`"
    ]
    monkeypatch.setattr(notify, "_call", lambda *_: 1 / 0)
    run = train(LitDigits(), digits(64), epochs=1, quiet=True, notify="echo")
    assert "the `--notify` command `echo` failed: ZeroDivisionError" in [event.text for event in run.events]


class NulFailing(Failing):
    def fail(self):
        raise ValueError("a broken step \0 \ud800")
