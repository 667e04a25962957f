"""Folders that another user wrote: nothing in them is unpickled, run, deleted or followed."""

from __future__ import annotations

import contextlib
import getpass
import grp
import hashlib
import os
import pickle
import shutil
import sqlite3
import stat
import struct
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
import torch

from jupyter_train import doctor, get_run, runs, train
from jupyter_train.api.runs import collect_garbage, remove
from jupyter_train.cli import main
from jupyter_train.exceptions import JupyterTrainError, UntrustedError
from jupyter_train.execution import start_point
from jupyter_train.handle import Run
from jupyter_train.panel.snapshot import snapshot
from jupyter_train.run import RunStatus
from jupyter_train.server import handlers
from jupyter_train.store import RunFolder, open_store
from jupyter_train.store.schema import anchors
from jupyter_train.store.schema import runs as runs_table
from tests.faults.children import Child
from tests.models import LitDigits, digits

#: A user of this machine who is not the one that runs the tests.
MALLORY = 54_321
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self):
        return (Path.touch, (self.canary,))


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture
def run(home: Path, tmp_path: Path, monkeypatch) -> Iterator[Run]:
    """A run that ended, in a folder that is put back as it was afterwards."""
    monkeypatch.setenv("JUPYTER_TRAIN_STORE", str(home / "store.db"))
    monkeypatch.setenv("JUPYTER_TRAIN_HOME", str(home / "runs"))
    if not runs():
        train(LitDigits(), digits(64), epochs=2, seed=1, quiet=True)
    run = get_run(runs()[0].key)
    kept, folder = tmp_path / "kept", run.folder
    shutil.copytree(folder, kept, symlinks=True)
    store = (home / "store.db").read_bytes()
    yield run
    if folder.is_symlink():
        folder.unlink()
    else:
        shutil.rmtree(folder)
    shutil.move(kept, folder)
    (home / "store.db").write_bytes(store)


def longer(run: Run) -> Run:
    return train(LitDigits(), digits(64), epochs=3, resume=run.key, quiet=True)


def use_weights(run: Run) -> object:
    return run.model(LitDigits(), "last")


def checkpoints(run: Run) -> list[tuple[str, str]]:
    with contextlib.closing(sqlite3.connect(run.folder / "metrics.db")) as database:
        return database.execute("SELECT path, kind FROM checkpoints").fetchall()


def in_table(run: Run, sql: str, *values: object) -> None:
    with contextlib.closing(sqlite3.connect(run.folder / "metrics.db")) as database:
        database.execute(sql, values)
        database.commit()


def put_a_bomb(run: Run, canary: Path) -> None:
    """A checkpoint of the same tensors with one more object, and its hash where the run keeps it."""
    for path, _ in checkpoints(run):
        file = run.folder / path
        content = torch.load(file, weights_only=True)
        objects = pickle.dumps(Bomb(canary))
        content["jupyter_train"]["objects"] = {"blob": objects, "places": [(["bomb"], 0, len(objects))]}
        torch.save(content, file)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        in_table(run, "UPDATE checkpoints SET sha256 = ?, size = ? WHERE path = ?", digest, file.stat().st_size, path)


def name_a_file_outside(run: Run, canary: Path) -> None:
    """Rows whose paths lead out of the folder: of a file to be read, and of one that a later attempt would replace."""
    in_table(run, "DELETE FROM checkpoints WHERE kind != 'last'")
    victim = canary.with_name("victim.txt")
    digest = hashlib.sha256(victim.read_bytes()).hexdigest()
    in_table(run, "UPDATE checkpoints SET path = ?, sha256 = ? WHERE kind = 'last'", str(victim), digest)
    place = '{"points": {"train_loss": 999999}, "media": 0}'
    add = "INSERT INTO checkpoints (path, kind, step, epoch, size, sha256, place) VALUES (?, 'last', 9, 9, 1, ?, ?)"
    in_table(run, add, "../../victim.txt", digest, place)


def swap_for_another(run: Run, _canary: Path) -> None:
    """The folder of another run in the place of this one."""
    other = train(LitDigits(), digits(64), max_steps=1, seed=2, quiet=True)
    shutil.rmtree(run.folder)
    shutil.copytree(other.folder, run.folder)


def swap_for_a_link(run: Run, canary: Path) -> None:
    """A link to the folder, which is elsewhere now."""
    elsewhere = canary.with_name("elsewhere")
    run.folder.rename(elsewhere)
    run.folder.symlink_to(elsewhere)


def forget_identity(run: Run, _canary: Path) -> None:
    """A folder without what tells it from others."""
    (run.folder / "identity").unlink()


def link_checkpoints(run: Run, canary: Path) -> None:
    """Checkpoints behind a link."""
    elsewhere = canary.with_name("checkpoints")
    (run.folder / "checkpoints").rename(elsewhere)
    (run.folder / "checkpoints").symlink_to(elsewhere)


HOSTILE: list[Callable[[Run, Path], None]] = [
    put_a_bomb,
    name_a_file_outside,
    swap_for_another,
    swap_for_a_link,
    forget_identity,
    link_checkpoints,
]


def _refusal(run: Run, use: Callable[[Run], object]) -> str:
    """What was said: by an error, or by a run that restarted because none of its checkpoints could be read."""
    try:
        use(run)
    except JupyterTrainError as err:
        return str(err)
    return " ".join(event.text for event in run.events)


@pytest.mark.parametrize("change", HOSTILE)
def test_a_folder_that_was_changed_is_neither_unpickled_nor_gone_on_with(run, change, own_store, tally) -> None:
    canary, victim = own_store / "canary", own_store / "victim.txt"
    victim.write_text("mine")
    change(run, canary)
    for use in tally.trials("hostile: folder changed", (use_weights, longer)):
        told = _refusal(run, use)
        assert any(words in told for words in ("trusted", "the run store knows it", "no checkpoint", "leads out of")), (
            told
        )
        assert not canary.exists()
        assert victim.read_text() == "mine"


@pytest.mark.parametrize("name", ["log.txt", "crash.txt", "owner.lock", "commands", "provenance.json", "metrics.db"])
def test_a_link_in_the_folder_is_not_written_through(run, name, own_store, tally) -> None:
    victim = own_store / "victim.txt"
    for there in tally.trials("hostile: link in the folder", (True, False)):
        victim.unlink(missing_ok=True)
        if there:
            victim.write_text("mine")
        (run.folder / name).unlink(missing_ok=True)
        (run.folder / name).symlink_to(victim)
        if name in ("metrics.db", "provenance.json"):  # without it, it is not known what is gone on with
            with contextlib.suppress(JupyterTrainError, OSError, sqlite3.Error):
                longer(run)
        else:
            assert (
                train(LitDigits(), digits(64), epochs=3, resume=run.key, from_="best", quiet=True).status == "finished"
            )
        assert victim.exists() == there
        assert not there or victim.read_text() == "mine"


def test_a_link_in_the_place_of_gitignore_is_not_written_through(own_store) -> None:
    home = own_store / "runs"
    home.mkdir()
    (home / ".gitignore").symlink_to(own_store / "victim.txt")
    train(LitDigits(), digits(64), max_steps=1, quiet=True)
    assert not (own_store / "victim.txt").exists()


def point_at(run: Run, folder: Path) -> None:
    open_store().update(run.key, folder=str(folder))


@pytest.mark.parametrize("is_old", [False, True], ids=["recorded now", "recorded before there were anchors"])
def test_a_row_that_names_any_folder_does_not_delete_it(run, own_store, is_old, tally) -> None:
    precious = own_store / "precious"
    (precious / ".half.ckpt.1.tmp").parent.mkdir()
    (precious / ".half.ckpt.1.tmp").write_text("mine")
    point_at(run, precious)
    if is_old:
        _as_before(run)
    for _ in tally.trials("hostile: row names a folder", 1):
        for finding in doctor.diagnose():
            if finding.fix is not None:
                with contextlib.suppress(JupyterTrainError):
                    finding.fix()
        with contextlib.suppress(JupyterTrainError):
            collect_garbage()
        with pytest.warns(UserWarning, match="was left where it is"):
            remove(run.ref)
        assert (precious / ".half.ckpt.1.tmp").read_text() == "mine"
        assert len(runs()) == 0 or run.key not in [one.key for one in runs()]


def _as_before(run: Run) -> None:
    """The run as a release without anchors recorded it."""
    store = open_store()
    with store.engine.begin() as connection:
        connection.execute(anchors.delete().where(anchors.c.run == run.key))
        connection.execute(anchors.insert(), [{"run": run.key, "name": "identity", "value": ""}])
    with contextlib.suppress(FileNotFoundError):
        (RunFolder(run.record.folder).path / "identity").unlink()


def test_a_run_recorded_before_there_were_anchors_is_trusted_once(run, own_store) -> None:
    _as_before(run)
    assert longer(run).status == "finished"
    (told,) = [event.text for event in run.events if event.kind == "trusted"]
    assert told.startswith("trusted at first use")
    put_a_bomb(run, own_store / "canary")
    with pytest.raises(JupyterTrainError, match="as the run store knows it"):
        use_weights(run)
    assert not (own_store / "canary").exists()


def test_a_run_that_the_store_never_vouched_for_is_not_trusted(run) -> None:
    with open_store().engine.begin() as connection:
        connection.execute(sa.delete(anchors).where(anchors.c.run == run.key))
    with pytest.raises(JupyterTrainError, match="cannot be trusted"):
        use_weights(run)


@pytest.mark.parametrize("has_row", [True, False])
def test_a_folder_is_trusted_again_once_its_user_says_so(run, has_row, capsys) -> None:
    forget_identity(run, run.folder)
    folder, ref = run.folder, run.ref
    if not has_row:
        with open_store().engine.begin() as connection:
            connection.execute(sa.delete(runs_table))
        assert main(["doctor", "--adopt", str(folder)]) == 0
        assert "unless you add `--trust`" in capsys.readouterr().out
        with pytest.raises(JupyterTrainError, match="cannot be trusted"):
            use_weights(runs()[0])
    assert main(["doctor", "--adopt", str(folder), "--trust"]) == 0
    (again,) = runs()
    assert again.ref.partition("-")[0] == ref.partition("-")[0]
    assert use_weights(again) is not None
    assert any(event.text == "trusted as its folder lies, by its user" for event in again.events)


def test_files_of_a_run_are_its_users_alone_whatever_the_umask(own_store) -> None:
    Child(_train_openly).result()
    found = [path for path in (own_store / "runs").rglob("*") if path.is_file()]
    assert {"initial.pt", "log.txt", "metrics.db", "identity"} <= {path.name for path in found}
    assert [path for path in found if stat.S_IMODE(path.stat().st_mode) & 0o077] == []


def _train_openly() -> None:
    os.umask(0)
    train(LitDigits(), digits(64), epochs=1, quiet=True, wandb=True).folder.joinpath("log.txt").touch()


@needs_root
@pytest.mark.parametrize(
    ("mode", "who"), [(0o770, "its group"), (0o775, ""), (0o777, "everybody"), (0o1777, ""), (0o755, "")]
)
def test_that_others_can_change_the_folder_is_said_once(own_store, mode, who) -> None:
    home = own_store / "runs"
    home.mkdir()
    home.chmod(mode)
    if who == "its group":  # of others; a group of one's own is nobody else
        os.chown(home, -1, next(one.gr_gid for one in grp.getgrall() if one.gr_gid != os.getgid()))
    told = []
    for _ in range(2):
        run = train(LitDigits(), digits(64), max_steps=1, quiet=True)
        told += [event.text for event in run.events if "can be changed by" in event.text]
    assert [f"can be changed by {who}:" in text for text in told] == [True] * bool(who)


def give_away(*paths: Path) -> None:
    for path in paths:
        os.chown(path, MALLORY, MALLORY, follow_symlinks=False)


@needs_root
@pytest.mark.parametrize("is_link", [False, True])
def test_another_users_folder_of_runs_is_not_used(own_store, monkeypatch, is_link, tally) -> None:
    monkeypatch.delenv("JUPYTER_TRAIN_HOME")
    theirs = own_store / "jupyter_train_runs"
    if is_link:
        (own_store / "elsewhere").mkdir()
        theirs.symlink_to(own_store / "elsewhere")
    else:
        theirs.mkdir()
    give_away(theirs)
    for _ in tally.trials("hostile: second user", 1):
        folder = train(LitDigits(), digits(64), max_steps=2, quiet=True).folder
        assert folder.parent == own_store / f"jupyter_train_runs-{getpass.getuser()}"
        assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
        assert list(theirs.iterdir()) == []


@needs_root
def test_what_another_user_owns_is_not_unpickled_nor_gone_on_with_nor_deleted(run, tally) -> None:
    folder = run.folder
    for path in tally.trials("hostile: second user", (folder, Path(open_store().place))):
        give_away(path)
        for use in (use_weights, longer):
            with pytest.raises(JupyterTrainError, match=r"trusted|belongs to another user"):
                use(get_run(run.key))
        os.chown(path, 0, 0)
    give_away(folder)
    with pytest.warns(UserWarning, match="was left where it is"):
        remove(run.ref)
    assert (folder / "metrics.db").exists()


def journal_naming(victim: Path, pages: int) -> bytes:
    """A journal as a killed transaction over several databases leaves it: SQLite deletes the file it names."""
    header = bytes.fromhex("d9d505f920a163d7") + struct.pack(">5I", 0, 0, pages, 512, 4096)
    name = str(victim).encode()
    end = struct.pack(">II", len(name), sum(name)) + bytes.fromhex("d9d505f920a163d7")
    return header.ljust(512, b"\0") + struct.pack(">I", 0x40000000 // 4096 + 1) + name + end


def look_at_everything(run: Run) -> None:
    for look in (
        lambda: run.metrics,
        lambda: repr(run),
        lambda: run.checkpoint,
        lambda: [*doctor.diagnose()],
        lambda: snapshot(open_store(), run.key),
    ):
        with contextlib.suppress(JupyterTrainError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            look()


def test_a_journal_that_names_a_file_outside_deletes_nothing(run: Run, tmp_path: Path, tally) -> None:
    for _ in tally.trials("a journal that names a file outside", range(1)):
        victim, curves = tmp_path / "precious.txt", run.folder / "metrics.db"
        victim.write_text("precious")
        (run.folder / "metrics.db-journal").write_bytes(journal_naming(victim, curves.stat().st_size // 4096))
        look_at_everything(run)
        with contextlib.suppress(JupyterTrainError):
            longer(run)
        assert victim.read_text() == "precious"
        with contextlib.closing(sqlite3.connect(curves)) as database:  # what SQLite does by itself
            database.execute("SELECT count(*) FROM series").fetchone()
        assert not victim.exists()


@pytest.mark.parametrize("name", ["owner.lock", "log.txt", "provenance.json", "study.json", "metrics.db", "identity"])
@pytest.mark.timeout(60)
def test_a_pipe_in_the_place_of_a_file_blocks_no_reader(run: Run, name: str, tally) -> None:
    for _ in tally.trials("a pipe in the place of a file", range(1)):
        (run.folder / name).unlink(missing_ok=True)
        os.mkfifo(run.folder / name)
        open_store().update(run.key, status=RunStatus.RUNNING)
        look_at_everything(run)
        handlers._details(run.key, "/")
        assert runs()[0].key == run.key


def said(**changes: str) -> bytes:
    """What a lock file keeps of how a run ended, with some of it as text of JSON."""
    told = {
        "attempt": "1",
        "status": '"finished"',
        "ended_at": "9.0",
        "message": '""',
        "problem": '""',
        "summary": "{}",
    }
    return ("{" + ", ".join(f'"{name}": {value}' for name, value in (told | changes).items()) + "}").encode()


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 1024,
        said(attempt="Infinity"),
        said(ended_at="1" + "0" * 400),
        said(summary='{"best": 5}'),
        said(summary='{"elapsed_s": "x"}'),
    ],
    ids=["deep", "infinite", "long", "best", "seconds"],
)
def test_a_lock_that_says_anything_leaves_the_list_readable(run: Run, content: bytes, tally) -> None:
    for _ in tally.trials("a hostile lock file", range(1)):
        (run.folder / "owner.lock").write_bytes(content.ljust(1024))
        open_store().update(run.key, status=RunStatus.RUNNING)
        assert runs()[0].key == run.key
        assert repr(runs())
        look_at_everything(run)


@pytest.mark.parametrize("name", ["provenance.json", "study.json"])
@pytest.mark.parametrize("content", [b"[" * 200_000, b'{"a":' * 200_000, b"[" * 9, b"5", b'"text"', b"\xff{}"])
def test_a_file_that_says_anything_says_nothing(run: Run, name: str, content: bytes, tally) -> None:
    for _ in tally.trials("a hostile file of JSON", range(1)):
        (run.folder / name).write_bytes(content)
        look_at_everything(run)
        assert repr(runs())
        folder = RunFolder(run.folder)
        assert (folder.read_provenance() if name == "provenance.json" else folder.read_study()) in ({}, None)


def test_checkpoints_in_a_linked_folder_are_left_alone(run: Run, tmp_path: Path, tally) -> None:
    for _ in tally.trials("the folder of checkpoints is a link", range(1)):
        outside = tmp_path / "outside"
        shutil.move(run.folder / "checkpoints", outside)
        (outside / "mine.ckpt").write_text("mine")
        (run.folder / "checkpoints").symlink_to(outside)
        with pytest.raises(UntrustedError, match="`checkpoints` in it is a symbolic link"):
            longer(run)
        start_point._sweep(RunFolder(run.folder))
        assert (outside / "mine.ckpt").read_text() == "mine"


@pytest.mark.parametrize(("mode", "who"), [(0o666, "everybody"), (0o602, "everybody")])
def test_a_store_that_others_can_write_vouches_for_nothing(run: Run, home: Path, mode: int, who: str, tally) -> None:
    for _ in tally.trials("a store that others can write", range(1)):
        (home / "store.db").chmod(mode)
        try:
            with pytest.raises(UntrustedError, match=f"can be changed by {who}: .*`chmod go-w"):
                longer(run)
        finally:
            (home / "store.db").chmod(0o600)


@needs_root
def test_a_foreign_folder_is_not_believed_whatever_the_store_says(run: Run, tally) -> None:
    for _ in tally.trials("a foreign folder that the store vouches for", range(1)):
        give_away(run.folder)
        with open_store().engine.begin() as connection:
            connection.execute(sa.update(anchors).where(anchors.c.name == "owner").values(value=str(MALLORY)))
        try:
            with pytest.raises(UntrustedError, match="belongs to another user"):
                longer(run)
        finally:
            os.chown(run.folder, os.getuid(), os.getgid())


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "sql", ["UPDATE series SET count = -5", "UPDATE series SET count = -1", "CREATE VIEW endless AS SELECT 1"]
)
def test_curves_that_say_anything_end_in_words(run: Run, sql: str, tally) -> None:
    for _ in tally.trials("hostile curves", range(1)):
        in_table(run, sql)
        if "series" in sql:
            in_table(run, "DELETE FROM blocks")
        look_at_everything(run)
        assert [one.message for one in doctor.diagnose() if one.level is doctor.Level.BAD]
