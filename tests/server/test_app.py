"""The extension app: a run that lives keeps the server awake."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from jupyter_train.run import RunStatus
from jupyter_train.server.app import ACTIVITY, JupyterTrainApp
from jupyter_train.store import RunFolder, open_store
from jupyter_train.store.run_lock import RunLock


def app_of(jp_serverapp) -> JupyterTrainApp:
    [app] = jp_serverapp.extension_manager.extension_apps[JupyterTrainApp.name]
    assert isinstance(app, JupyterTrainApp)
    return app


async def test_a_live_run_keeps_the_server_awake_and_a_dead_one_does_not(jp_serverapp, own_store) -> None:
    app = app_of(jp_serverapp)
    store = open_store()
    record = store.create_run("digits")
    store.set_status(record.key, RunStatus.RUNNING)  # and nobody holds its lock: its owner is dead
    asleep = jp_serverapp.web_app.last_activity()
    await app.report_activity()
    assert jp_serverapp.web_app.last_activity() == asleep
    lock = RunLock(RunFolder(record.folder).lock)
    lock.acquire()
    try:
        await app.report_activity()
    finally:
        lock.release()
    assert jp_serverapp.web_app.last_activity() > asleep


async def test_the_servers_own_shutdown_waits_for_a_live_run(jp_serverapp, own_store, monkeypatch) -> None:
    """As `--ServerApp.shutdown_no_activity_timeout` asks every minute: with no kernels, and nothing else going on."""
    app = app_of(jp_serverapp)
    stopped: list[bool] = []
    monkeypatch.setattr(jp_serverapp, "stop", lambda: stopped.append(True))
    monkeypatch.setattr(jp_serverapp, "shutdown_no_activity_timeout", 60)
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    for name in [name for name in jp_serverapp.web_app.settings if name.endswith("_last_activity")] + ["started"]:
        jp_serverapp.web_app.settings[name] = long_ago
    jp_serverapp.kernel_manager.last_kernel_activity = long_ago
    jp_serverapp.web_app.settings["last_activity_times"].clear()
    store = open_store()
    record = store.create_run("digits")
    store.set_status(record.key, RunStatus.RUNNING)
    lock = RunLock(RunFolder(record.folder).lock)
    lock.acquire()
    try:
        await app.report_activity()
        jp_serverapp.shutdown_no_activity()
        assert stopped == []
    finally:
        lock.release()
    jp_serverapp.web_app.settings[ACTIVITY] = long_ago
    await app.report_activity()
    jp_serverapp.shutdown_no_activity()
    assert stopped == [True]


async def test_a_store_that_cannot_be_read_keeps_nothing_awake(jp_serverapp, own_store) -> None:
    (own_store / "store").mkdir(exist_ok=True)
    (own_store / "store" / "store.db").write_bytes(b"no database at all" * 100)
    await app_of(jp_serverapp).report_activity()
    assert ACTIVITY not in jp_serverapp.web_app.settings
