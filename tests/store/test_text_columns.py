"""A NUL or half a surrogate pair, from a user or a library: kept as its escape, and never in place of their error."""

from __future__ import annotations

import json
import re
import sqlite3

import numpy as np
import pytest

from jupyter_train import compare, get_run, runs, train
from jupyter_train.cli import main
from jupyter_train.config.commands import command
from jupyter_train.exceptions import RunNotFoundError
from jupyter_train.execution.workers import crash_report
from jupyter_train.panel.bundle import bundle
from jupyter_train.panel.snapshot import snapshot
from jupyter_train.store import RunFolder, commands, open_store
from jupyter_train.store.run_lock import RunLock
from jupyter_train.store.runs import Event
from jupyter_train.store.text_columns import storable, storable_tree, without_codes
from tests.models import LitDigits, digits

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
BAD = "a\0b\ud800c"
KEPT = r"a\x00b\ud800c"


def test_only_what_cannot_be_stored_is_escaped() -> None:
    cases = {
        "plain": "plain",
        "": "",
        "ä €\n\t\x1b": "ä €\n\t\x1b",
        "\U0001f600": "\U0001f600",
        BAD: KEPT,
        "\udfff": r"\udfff",
        "\ud83d\ude00"[:1] + "x": r"\ud83dx",
    }
    assert {text: storable(text) for text in cases} == cases
    assert storable_tree({BAD: [BAD, {"n": 1, "x": None}]}) == {KEPT: [KEPT, {"n": 1, "x": None}]}


class Coloured(LitDigits):
    """Names a metric as a terminal would obey."""

    def training_step(self, batch, batch_idx):
        self.log("acc\x1b[31m\x9b2J", 0.5)
        return super().training_step(batch, batch_idx)


def test_a_terminal_gets_no_codes_from_names(capsys) -> None:
    run = train(Coloured(), digits(64), epochs=1, quiet=True, tag=["a\x1b[8mb"], note="\x1b]0;title\x07")
    plain = bundle(snapshot(run._store, run.key))["text/plain"]
    shown = [repr(run), repr(runs()), repr(compare(run.key, run.key)), plain]
    capsys.readouterr()
    assert main(["runs", "show", run.ref]) == main(["runs", "list"]) == 0
    shown.append(capsys.readouterr().out)
    codes = [re.findall(r"[\x00-\x08\x0b-\x1f\x7f-\x9f].{,20}", text) for text in shown]
    assert codes == [[]] * len(shown)
    assert r"acc\x1b[31m\x9b2J" in shown[0]
    assert without_codes("a\tb\n\x1b[31m\r\x85ä") == "a\tb\n\\x1b[31m\\x0d\\x85ä"


class Odd(LitDigits):
    """Logs, prints, keeps and raises what cannot be stored."""

    def __init__(self):
        super().__init__()
        self.save_hyperparameters({"word": BAD})

    def training_step(self, batch, batch_idx):
        self.log(f"train_{BAD}", 0.5)
        self.logger.log_image(BAD, [np.zeros((4, 4))], caption=[BAD])
        self.logger.log_table("words", columns=[BAD], data=[[BAD]])
        if self.global_step == 2:
            print(BAD)
            raise ValueError(f"mine: {BAD}")
        return super().training_step(batch, batch_idx)


def test_the_users_own_error_is_raised_and_everything_is_kept_readable() -> None:
    with pytest.raises(ValueError, match="mine: ") as caught:
        train(Odd(), digits(128), epochs=2, quiet=True, note=BAD, tag=[BAD, "b"])
    assert str(caught.value) == f"mine: {BAD}"
    run = get_run(runs()[0].key)
    assert (run.status, run.record.message) == ("failed", f"ValueError: mine: {KEPT}")
    assert (run.notes, run.record.tags, run.config["note"]) == (KEPT, [KEPT, "b"], KEPT)
    assert run.metrics[f"train_{KEPT}"].dropna().tolist() == [0.5, 0.5, 0.5][: len(run.metrics) or 3]
    assert run.record.summary["hyperparameters"]["word"] == KEPT
    assert KEPT in run.log
    assert "\0" not in run.log
    for shown in (bundle(snapshot(open_store(), run.key)), repr(run), run.record.summary, repr(runs())):
        json.dumps(shown, ensure_ascii=False).encode()
    with sqlite3.connect(RunFolder(run.folder).metrics) as connection:
        assert (KEPT, KEPT) in connection.execute("SELECT name, caption FROM media").fetchall()


def test_notes_events_commands_and_words_to_look_for_are_kept_in_the_same_way(store) -> None:
    record = store.create_run(BAD, note=BAD, config={BAD: BAD})
    get_run(record.key).notes = f"later {BAD}"
    store.add_events(record.key, [Event(1.0, None, "warning", BAD, {BAD: [BAD]})])
    assert store.get(record.key).note == f"later {KEPT}"
    assert store.get(record.key).config == {KEPT: KEPT}
    [event] = store.events_of(record.key)
    assert (event.text, event.data) == (KEPT, {KEPT: [KEPT]})
    lock = RunLock(RunFolder(record.folder).lock)
    lock.acquire()
    store.update(record.key, status="running")
    row = commands.add(store, record.key, command("add_trial", {"values": {"word": BAD}}, "panel"))
    [waiting] = commands.waiting(store, record.key)
    commands.answer(store, record.key, waiting, commands.Answer(commands.REFUSED, BAD, 0))
    lock.release()
    assert (waiting.arguments, commands.answer_of(store, row).text) == ({"values": {"word": KEPT}}, KEPT)
    with pytest.raises(RunNotFoundError):
        store.find(f"nothing like {BAD}")


def test_what_a_dying_process_leaves_can_be_read(tmp_path) -> None:
    crash_report.keep_rank(tmp_path, "1", f"Traceback {BAD}", f"ValueError: {BAD}")
    assert crash_report.rank_message(tmp_path).startswith("rank 1: ValueError: a")
    crash_report.keep_refusal(tmp_path, BAD)
    assert crash_report.refusal(1, tmp_path) == BAD
