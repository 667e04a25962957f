"""A real JupyterLab (which also serves Notebook 7) and a real Chromium."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.jupyter import Jupyter, Server

_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


def _chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without a browser these tests skip, unless they are required."""
    if _chromium() is not None:
        return
    if os.environ.get("JUPYTER_TRAIN_BROWSER_TESTS") == "required":
        raise pytest.UsageError("browser tests are required and there is no Chromium: apt-get install chromium")
    skip = pytest.mark.skip(reason="no Chromium: `apt-get install chromium` (or put one on PATH) to run browser tests")
    for item in items:
        if "tests/browser" in str(item.fspath):
            item.add_marker(skip)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(autouse=True)
def jp_asyncio_loop() -> None:
    """Playwright runs a loop of its own; pytest-jupyter's fixture of this name would close it."""


@pytest.fixture(autouse=True)
def jp_server_cleanup() -> None:
    """pytest-jupyter's, which needs its loop; the server here is a process."""


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Jupyter server of the tests' own: config, data, runtime and store in a temporary folder."""
    home = tmp_path_factory.mktemp("jupyter")
    port = _free_port()
    settings = home / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text(
        json.dumps({"fetchNews": "false", "checkForUpdates": False})
    )
    names = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime",
             "IPYTHONDIR": "ipython", "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
             "JUPYTER_TRAIN_HOME": "runs"}  # fmt: skip
    environment = {**os.environ, **{name: str(home / folder) for name, folder in names.items()}}
    environment["JUPYTER_TRAIN_STORE"] = str(home / "store" / "store.db")
    environment.pop("JUPYTER_TRAIN_PARENT", None)
    work = home / "work"
    work.mkdir()
    token = "browser-tests"
    log = (home / "server.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}",
         f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={work}", "--LabApp.expose_app_in_browser=True",
         "--JupyterNotebookApp.expose_app_in_browser=True"],
        env=environment, stdout=log, stderr=log, cwd=work,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_up(f"{url}/api/status?token={token}", process, home / "server.log")
        yield Server(
            url=url,
            token=token,
            work=work,
            home=home,
            pid=process.pid,
            store=environment["JUPYTER_TRAIN_STORE"],
        )
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
        log.close()


def _wait_until_up(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(log.read_text())
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"the Jupyter server did not start:\n{log.read_text()}")


@pytest.fixture(scope="package")
def chromium():
    """The system's Chromium, driven by Playwright."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium(), args=_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(params=["lab", "notebook"])
def application(request: pytest.FixtureRequest) -> str:
    """JupyterLab and Notebook 7."""
    return str(request.param)


@pytest.fixture
def jupyter(server: Server, chromium, application: str) -> Iterator[Jupyter]:
    """A fresh browser profile on the application."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(60_000)
    driver = Jupyter(server, context, application)
    yield driver
    driver.close()
