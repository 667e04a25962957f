"""A real JupyterLab (which also serves Notebook 7) and a real Chromium."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.browser import serving
from tests.browser.jupyter import Jupyter, Server


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without a browser these tests skip, unless they are required."""
    if serving.chromium_path() is not None:
        return
    if os.environ.get("JUPYTER_TRAIN_BROWSER_TESTS") == "required":
        raise pytest.UsageError("browser tests are required and there is no Chromium: apt-get install chromium")
    skip = pytest.mark.skip(reason="no Chromium: `apt-get install chromium` (or put one on PATH) to run browser tests")
    for item in items:
        if "tests/browser" in str(item.fspath):
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def jp_asyncio_loop() -> None:
    """Playwright runs a loop of its own; pytest-jupyter's fixture of this name would close it."""


@pytest.fixture(autouse=True)
def jp_server_cleanup() -> None:
    """pytest-jupyter's, which needs its loop; the server here is a process."""


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Jupyter server of the tests' own."""
    with serving.jupyter_server(tmp_path_factory.mktemp("jupyter")) as found:
        yield found


@pytest.fixture(scope="package")
def chromium():
    """The system's Chromium."""
    with serving.chromium() as browser:
        yield browser


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
