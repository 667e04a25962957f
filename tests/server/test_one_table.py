"""One table answers a panel, whether it asks the kernel or the server."""

from __future__ import annotations

import json

import pytest

from jupyter_train import train
from jupyter_train.config.commands import VERBS
from jupyter_train.exceptions import QueryError
from jupyter_train.panel.bundle import MIME_TYPE
from jupyter_train.panel.viewers import VIEWERS
from jupyter_train.service import kernel_channel, queries
from jupyter_train.store.command_queue import LOCAL
from tests.models import LitDigits, digits

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
ARGUMENTS = {"set_lr": {"factor": 0.5}, "set_max_epochs": {"epochs": 3}, "set_patience": {"patience": 2}}


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch):
    """A run that this kernel has trained, and shows."""
    run = train(lambda: LitDigits(), digits, epochs=1, seed=1, quiet=True)
    newest = queries.ask(run.key, "snapshot", {})
    monkeypatch.setattr(VIEWERS, "newest", lambda key: newest if key == run.key else None)
    return run


@pytest.mark.parametrize("name", ["snapshot", "curves", "details", "bundle"])
async def test_the_kernel_and_the_server_give_the_same_answer(name: str, shown, jp_fetch) -> None:
    content = {"first": 0, "last": 5} if name == "curves" else {}
    from_kernel = kernel_channel.answer({"run": shown.key, "verb": name, **content})
    path = ("jupyter-train", "api", "runs", shown.key, name)
    from_server = json.loads((await jp_fetch(*path, params=content)).body)
    assert from_kernel["status"] == "ok"
    found = json.loads(json.dumps(from_kernel["snapshot" if name == "snapshot" else "found"]))
    if name == "details":  # only the server knows what its application can open
        assert all(link.pop("path", None) in (None, "") for link in from_server["links"])
    for answer in (found, from_server):
        answer.get(MIME_TYPE, {}).pop("as_of", None)  # when it was asked
    assert found == from_server


@pytest.mark.parametrize(
    "verb", [verb for verb in VERBS if verb in ARGUMENTS or verb in ("pause", "stop", "checkpoint")]
)
def test_a_command_reaches_the_fit_of_this_process_by_either_way(verb: str, store) -> None:
    record = store.create_run("digits")
    queue = LOCAL.open(record.key)
    try:
        arguments = ARGUMENTS.get(verb, {})
        sent = {"run": record.key, "verb": "command", "command": verb, "arguments": arguments}
        assert kernel_channel.answer(sent) == {"status": "ok", "message": "requested"}
        assert queries.ask(record.key, "command", {"command": verb, "arguments": arguments}) == {"message": "requested"}
        first, second = queue.take()
        assert (first.verb, first.arguments, first.source) == (second.verb, second.arguments, second.source)
        assert first.verb == verb
    finally:
        LOCAL.close(record.key)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("nothing", {}, "unknown query; expected `snapshot`, `curves`, `details`, `bundle`, `note`, `command`"),
        ("curves", {"first": "0"}, "expected steps as `first` and `last`"),
        ("note", {"note": 3}, "expected `note`, a text of at most 10,000 letters"),
        ("command", {"command": "stop", "arguments": []}, "expected `command` and `arguments`"),
    ],
)
def test_what_is_no_question_is_answered_with_what_would_be(name, content, expected, shown) -> None:
    with pytest.raises(QueryError) as caught:
        queries.ask(shown.key, name, content)
    assert str(caught.value) == expected


def test_the_kernel_says_the_same_of_what_it_cannot_answer(shown) -> None:
    answer = kernel_channel.answer({"run": shown.key, "verb": "curves", "first": "0"})
    assert answer == {"status": "error", "message": "expected steps as `first` and `last`"}
    answer = kernel_channel.answer({"run": shown.key, "verb": "nothing"})
    assert answer["message"].startswith("unknown verb; expected `watch`, `snapshot`")
    answer = kernel_channel.answer({"run": "elsewhere", "verb": "snapshot"})
    assert answer == {"status": "elsewhere", "message": "this kernel does not train the run"}
