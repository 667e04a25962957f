"""What a run is followed with: its record as soon as there is one, and its panel where it is to be shown."""

from __future__ import annotations

import time
from typing import Any

from jupyter_train.api.panel_observer import PanelObserver
from jupyter_train.panel.live import LivePanel
from jupyter_train.panel.redraw_schedule import PanelPart
from jupyter_train.run import RunStatus
from jupyter_train.store import RunFolder
from jupyter_train.store.run_lock import RunLock
from tests.waiting import until


class Screen:
    """A front end that keeps what it is shown."""

    is_line = True

    def __init__(self) -> None:
        self.shown: list[Any] = []

    def loading(self, words: str) -> None:
        self.shown.append(words)

    def show(self, snapshot: dict[str, Any], part: PanelPart = PanelPart.WHOLE) -> int:
        self.shown.append((snapshot["ref"], snapshot["status"]))
        return 1

    def clear(self) -> None:
        self.shown.append("nothing")


def test_a_quiet_run_is_noted_and_shown_nowhere(store) -> None:
    observer = PanelObserver(store, None, goes_elsewhere=False)
    assert observer.record is None
    record = store.create_run("digits")
    observer.on_start(record, None)
    assert observer.record is record
    assert (observer.reached(1, 0.5), observer.keeps(None)) == ("", True)


def test_a_run_of_this_process_is_drawn_until_its_last_state(store) -> None:
    record, screen = store.create_run("digits"), Screen()
    lock = RunLock(RunFolder(record.folder).lock)
    lock.acquire()
    store.set_status(record.key, RunStatus.RUNNING, started_at=time.time())
    panel = LivePanel(screen)
    PanelObserver(store, panel, goes_elsewhere=False).on_start(store.get(record.key), None)
    until(lambda: (record.ref, "running") in screen.shown)
    store.set_status(record.key, RunStatus.FINISHED)
    panel.finish()
    lock.release()
    assert screen.shown[-1] == (record.ref, "finished")


def test_a_run_of_another_process_is_one_line_in_a_terminal(store, capsys) -> None:
    record, screen = store.create_run("digits"), Screen()
    panel = LivePanel(screen)
    panel.loading("loading torch …")
    PanelObserver(store, panel, goes_elsewhere=True).on_start(record, None)
    assert screen.shown == ["loading torch …", "nothing"]
    assert capsys.readouterr().err == (f"{record.ref} runs in its own process; `%runs show {record.ref}` shows it\n")
