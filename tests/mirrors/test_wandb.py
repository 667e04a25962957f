"""The W&B mirror: what it sends equals the store, row by row; killed and started again, nothing twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import pytest

from jupyter_train import train, tune
from jupyter_train.mirrors.wandb import WandbMirror, has_key
from jupyter_train.mirrors.wandb_file import history_rows, read_records, sent_counts
from jupyter_train.run import RunStatus
from jupyter_train.store.writer import Row
from tests.mirrors.recording import begun, stored
from tests.models import LitDigits, digits
from tests.waiting import until

pytestmark = [pytest.mark.timeout(240), pytest.mark.filterwarnings("ignore::UserWarning")]
OWN = ("trainer/global_step", "epoch")


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "wandb-config"))
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "wandb-cache"))
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "wandb-data"))


def sent_rows(folder: Path) -> list[dict]:
    """Every row of the offline files, oldest first."""
    paths = sorted(folder.glob("wandb/offline-run-*/run-*.wandb"), key=lambda path: path.stat().st_mtime)
    return [row for path in paths for row in history_rows(path)]


def mirrored(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """(step, value) pairs by series, as decoded from the offline files."""
    found = defaultdict(list)
    for row in sent_rows(folder):
        for name, value in row.items():
            if name not in OWN and not name.startswith("_"):
                found[name].append((row["trainer/global_step"], float(value)))
    return dict(found)


def mirror(store, key: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "jupyter_train.mirrors.wandb", "--store", store.url, "--run", key]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_what_the_mirror_sends_equals_the_store() -> None:
    run = train(LitDigits(), digits(), epochs=3, seed=1, quiet=True, wandb="digits")
    until(lambda: mirrored(run.folder) == stored(run.folder))
    texts = [event.text for event in run.events if event.kind == "mirror"]
    assert len(texts) == 1
    assert texts[0].startswith("W&B: offline, ")


def test_killed_twice_it_sends_what_is_missing_exactly_once(store) -> None:
    record, folder, lock, writer = begun(store)
    step = 0
    for target in (300, 900):
        process = mirror(store, record.key)
        while sent_counts(folder.path)["loss"] < target:
            for _ in range(20):
                writer.add(Row(step, 0.0, time.time(), [("loss", step / 7), ("acc", step / 9)]))
                step += 1
            time.sleep(0.05)
            assert process.poll() is None
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        until(lambda: _is_quiet(folder.path))
    writer.close(RunStatus.FINISHED)
    lock.release()
    assert mirror(store, record.key).wait(timeout=120) == 0
    assert mirrored(folder.path) == stored(folder.path)
    assert len(stored(folder.path)["loss"]) == step


TAKEN = ("epoch", "trainer/global_step", "_step", "_runtime", "_timestamp", "_wandb", "logged/epoch")


def test_names_that_mean_something_to_wandb_are_sent_once_and_keep_their_meaning(store) -> None:
    """Killed in between, so that what was sent is found by name as well."""
    record, folder, lock, writer = begun(store)
    names = (*TAKEN, "step", "loss")
    for steps in (range(4), range(4, 9)):
        for step in steps:
            writer.add(Row(step, step / 4, time.time(), [(name, 100.0 + step) for name in names]))
        writer.flush()
        process = mirror(store, record.key)
        until(lambda most=max(steps): sent_counts(folder.path)["loss"] >= most)  # the newest waits
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    until(lambda: _is_quiet(folder.path))
    writer.close(RunStatus.FINISHED)
    lock.release()
    assert mirror(store, record.key).wait(timeout=120) == 0
    rows = sorted(sent_rows(folder.path), key=lambda row: row["trainer/global_step"])
    assert [(row["trainer/global_step"], row["epoch"]) for row in rows] == [(step, step / 4) for step in range(9)]
    for name in names:
        sent = f"logged/{name}" if name in TAKEN else name
        assert [row[sent] for row in rows] == [100.0 + step for step in range(9)], name
    assert all(row["_timestamp"] > 1e9 and row["_runtime"] < 1e4 for row in rows)
    said = [event.text for event in store.events_of(record.key) if "means something else" in event.text]
    assert len(said) == len(TAKEN)


def _is_quiet(folder: Path) -> bool:
    """True when wandb's own process, orphaned by the kill, writes no more."""
    before = sent_counts(folder)
    time.sleep(1.0)
    return sent_counts(folder) == before


def test_a_run_is_finished_though_wandb_cannot_start(monkeypatch, tmp_path: Path) -> None:
    from jupyter_train.mirrors import process

    monkeypatch.setattr(process.sys, "executable", str(tmp_path / "no-python"))
    run = train(LitDigits(), digits(), epochs=1, seed=1, quiet=True, wandb=True)
    assert run.status == "finished"
    assert [event.text for event in run.events if event.kind == "mirror"] == [
        "wandb: not started (No such file or directory); training continues"
    ]


def test_the_real_client_syncs_the_same_rows_to_a_server(monkeypatch) -> None:
    from tests.mirrors.standin import serving

    with serving() as (stand_in, url):
        monkeypatch.setenv("WANDB_MODE", "online")
        monkeypatch.setenv("WANDB_BASE_URL", url)
        monkeypatch.setenv("WANDB_API_KEY", "0123456789" * 4)
        run = train(LitDigits(), digits(), epochs=3, seed=1, quiet=True, wandb="digits")
        until(lambda: received(stand_in) == stored(run.folder))


def received(stand_in) -> dict[str, list[tuple[int, float]]]:
    """(step, value) pairs by series, as the stand-in got them."""
    found = defaultdict(list)
    for row in stand_in.rows():
        for name, value in row.items():
            if name not in OWN and not name.startswith("_"):
                found[name].append((row["trainer/global_step"], float(value)))
    return dict(found)


def test_the_trials_of_a_search_are_one_group() -> None:
    from wandb.proto import wandb_internal_pb2 as messages

    study = tune(
        LitDigits,
        digits(),
        space={"hidden": [8, 16]},
        sampler="grid",
        epochs=1,
        maximize="val_acc",
        seed=1,
        quiet=True,
        wandb="digits",
    )
    groups = []
    for run in study.children:
        until(lambda run=run: mirrored(run.folder).get("val_acc"))
        (path,) = run.folder.glob("wandb/offline-run-*/run-*.wandb")
        for blob in read_records(path):
            record = messages.Record()
            record.ParseFromString(blob)
            if record.WhichOneof("record_type") == "run":
                groups.append(record.run.run_group)
    assert groups
    assert set(groups) == {study.ref}


NETRC = "machine api.wandb.ai login user password canary\nmachine own.example.org login user password canary\n"
KEYS = {
    "nothing": ({}, None, False),
    "a variable": ({"WANDB_API_KEY": "canary"}, None, True),
    "a file": ({}, NETRC, True),
    "a file for an own server": ({"WANDB_BASE_URL": "https://own.example.org:8080/x"}, NETRC, True),
    "a file for another server": ({"WANDB_BASE_URL": "http://other.example.org"}, NETRC, False),
    "a file that cannot be read": ({}, "machine", False),
}


@pytest.mark.parametrize("case", KEYS)
def test_a_key_is_found_where_wandb_looks_for_it(case: str, monkeypatch, tmp_path: Path) -> None:
    variables, netrc, found = KEYS[case]
    for name in ("WANDB_API_KEY", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if netrc is not None:
        (tmp_path / "netrc").write_text(netrc)
        (tmp_path / "netrc").chmod(0o600)
    assert has_key() is found


def test_a_run_that_was_never_sent_has_no_rows_there(tmp_path: Path) -> None:
    mirror = WandbMirror("")
    assert dict(mirror.count_sent(tmp_path)) == {}
    assert (mirror.name_of("epoch"), mirror.name_of("val_loss")) == ("logged/epoch", "val_loss")
