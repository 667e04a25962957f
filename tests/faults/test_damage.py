"""Random bytes of the stores changed: whatever looks at them ends with words, and shows what can still be read."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_train import doctor, get_run, runs
from jupyter_train.exceptions import JupyterTrainError
from jupyter_train.run import RunStatus
from jupyter_train.server import handlers
from jupyter_train.server.rows import RowChanges
from jupyter_train.service import queries
from jupyter_train.store import RunFolder, open_store
from jupyter_train.store.metrics.appender import MetricAppender
from jupyter_train.store.metrics.blocks import Point
from jupyter_train.store.metrics.reader import Checkpoint, Medium
from jupyter_train.store.runs import Event
from tests.faults.counts import share

pytestmark = [pytest.mark.timeout(3600)]
_RUNS = 12
_POINTS = 700


@pytest.fixture
def keys(own_store: Path) -> list[str]:
    """Runs that have ended, with events, curves, media and checkpoints."""
    store = open_store()
    made = []
    for number in range(_RUNS):
        summary = {
            "best": {"metric": "val_loss", "value": 0.1, "mode": "min", "epoch": 1, "step": 9},
            "trail": [0.2, 0.1],
            "progress": {"epoch": 2, "epochs": 5, "step": 20},
            "last": {"val_loss": 0.1},
            "data": "320 rows",
            "resources": {"cpu": [1.0, 2.0]},
            "cell": "a",
        }
        record = store.create_run("digits", tags=["a"], config={"epochs": 5, "lr": 0.1, "expressions": {"lr": "lr"}})
        store.set_status(record.key, RunStatus.RUNNING, started_at=time.time())
        events = [Event(time.time(), step, "command", f"paused at {step}", {"verb": "pause"}) for step in range(5)]
        store.add_events(record.key, events)
        store.set_status(record.key, RunStatus.FINISHED, ended_at=time.time(), summary=summary, size_bytes=1000)
        made.append(record.key)
        if number < 3:
            write_curves(RunFolder(record.folder))
    return made


def write_curves(folder: RunFolder) -> None:
    appender = MetricAppender(folder.metrics)
    for name in ("train_loss", "val_loss"):
        for step in range(_POINTS):
            appender.append(name, Point(step, step / 100, 1 / (step + 1), 1e9 + step))
    appender.set_meta("progress", {"epoch": 2, "epochs": 5, "step": 20})
    appender.set_meta("summary", {"data": "320 rows"})
    appender.add_medium(Medium(0, "picture", 3, "image", "media/a.png", 10, "ab", "a caption"))
    (folder.checkpoints / "last.ckpt").write_bytes(b"x" * 10)
    appender.add_checkpoint(Checkpoint("checkpoints/last.ckpt", "last", 20, 2, None, 10, "ab"))
    appender.commit()
    appender.close()


def damage(path: Path, seed: int) -> None:
    """Changes 1 to 32 bytes, now and then many beside each other or the file's end."""
    chance = random.Random(seed)
    content = bytearray(path.read_bytes())
    for _ in range(chance.choice([1, 4, 16, 32])):
        place = chance.randrange(len(content))
        for offset in range(chance.choice([1, 1, 1, 64])):
            content[(place + offset) % len(content)] = chance.randrange(256)
    if chance.random() < 0.1:
        del content[chance.randrange(len(content)) :]
    path.write_bytes(content)


def looks(key: str) -> Iterator[Callable[[], Any]]:
    """What people and pages do to see their runs."""
    yield lambda: (repr(runs()), runs()._repr_html_())
    yield lambda: json.dumps(handlers._list(100, "/"))
    yield lambda: look_twice(RowChanges("/"))
    yield lambda: list(runs())
    yield lambda: repr(get_run(key))
    yield lambda: get_run(key).metrics
    yield lambda: (get_run(key).checkpoint, get_run(key).best, get_run(key).attempts, get_run(key).events)
    yield lambda: json.dumps(queries.ask(key, "snapshot", {}))
    yield lambda: json.dumps(queries.ask(key, "bundle", {}))
    yield lambda: json.dumps(queries.ask(key, "curves", {"first": 0, "last": 300}))
    yield lambda: json.dumps(handlers._details(key, "/"))


def look_twice(changes: RowChanges) -> None:
    for _ in range(2):
        json.dumps([*changes.look(open_store())[0]])


def not_said(look: Callable[[], Any]) -> str:
    """The traceback of whatever is no error of ours: those are shown as one line, with what to do next."""
    try:
        look()
    except JupyterTrainError as err:
        return "" if len(str(err).splitlines()) == 1 else f"more than one line: {err}"
    except handlers.DAMAGE:  # the border of the routes, which says so to the page
        return "" if "handlers" in traceback.format_exc() else traceback.format_exc()
    except Exception:  # noqa: BLE001  it is what is looked for
        return traceback.format_exc()
    return ""


@pytest.mark.parametrize(("which", "trials"), [("central", (4, 40)), ("curves", (3, 30)), ("both", (3, 30))])
def test_damaged_bytes_never_show_a_traceback(keys, own_store, tally, which, trials, tmp_path_factory):
    kept = tmp_path_factory.mktemp("kept") / "whole"
    folders = [Path(open_store().get(key).folder) for key in keys[:3]]
    shutil.copytree(own_store, kept)
    wrong = []
    for seed in tally.trials(f"bytes changed in the stores: {which}", range(share(*trials))):
        restore(kept, own_store, folders)
        if which != "curves":
            damage(own_store / "store" / "store.db", seed)
        if which != "central":
            for number, folder in enumerate(folders):
                damage(folder / "metrics.db", 1000 * seed + number)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # says that values are damaged
            wrong += [(seed, found) for look in looks(keys[seed % 3]) if (found := not_said(look))]
            wrong += [(seed, "a value that never was") for key in keys[seed % 3 :][:1] if shows_another(key)]
        report = [one.message for one in doctor.diagnose()]
        assert report
        assert all(words and "\n" not in words for words in report)
        wrong += [(seed, words) for words in report if "could be checked" in words and "Error" in words]
    assert not wrong, f"{len(wrong)}\n{wrong[0][1]}\n" + "\n".join(sorted({one.splitlines()[-1] for _, one in wrong}))


def shows_another(key: str) -> bool:
    """Whether a value is shown that was not recorded: what is damaged is left out."""
    try:
        metrics = get_run(key).metrics
    except JupyterTrainError:
        return False
    shown = [metrics[name].dropna() for name in ("train_loss", "val_loss") if name in metrics]
    return any(value != 1 / (int(step) + 1) for column in shown for step, value in column.items())


def restore(kept: Path, own_store: Path, folders: list[Path]) -> None:
    for name in ("store.db", "store.db-journal"):
        with contextlib.suppress(FileNotFoundError):
            (own_store / "store" / name).unlink()
    shutil.copy(kept / "store" / "store.db", own_store / "store" / "store.db")
    for folder in folders:
        with contextlib.suppress(FileNotFoundError):
            (folder / "metrics.db-journal").unlink()
        shutil.copy(kept / folder.relative_to(own_store) / "metrics.db", folder / "metrics.db")
