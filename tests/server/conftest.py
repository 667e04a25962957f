"""A Jupyter server with our extension."""

from __future__ import annotations

import pytest


@pytest.fixture
def jp_server_config():
    return {"ServerApp": {"jpserver_extensions": {"jupyter_train": True}}}
