"""What a worker process prints: masked line by line, an uncaught error as one text."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_train.store.redacted_output import RedactedOutput
from jupyter_train.store.redaction import MASK

SECRET = "ghp_canary000000000000000000000000000003"


def test_a_line_is_masked_once_it_is_complete() -> None:
    below = io.StringIO()
    out = RedactedOutput(below)
    for part in ("before ", SECRET[:9], SECRET[9:], " after"):
        assert out.write(part) == len(part)
    assert below.getvalue() == ""
    out.write("\nnext")
    assert below.getvalue() == f"before {MASK} after\n"
    out.flush()
    assert below.getvalue() == f"before {MASK} after\nnext"
    out.flush()
    assert below.getvalue().endswith("next")


def test_a_line_without_an_end_is_written_in_parts() -> None:
    below = io.StringIO()
    out = RedactedOutput(below)
    out.write("x" * 60_000)
    assert below.getvalue() == ""
    out.write("y" * 10_000)
    assert below.getvalue() == "x" * 60_000 + "y" * 10_000


def test_it_is_a_text_stream_with_the_descriptor_of_the_one_below(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as below:
        out = RedactedOutput(below)
        assert (out.writable(), out.fileno()) == (True, below.fileno())
        print("a", SECRET, file=out, flush=True)
    assert (tmp_path / "log").read_text() == f"a {MASK}\n"


CODE = f"""
import sys, threading
from jupyter_train.store.redacted_output import mask_own_output
mask_own_output()
def fails():
    raise ValueError("in a thread: {SECRET}")
print("printed {SECRET}")
thread = threading.Thread(target=fails)
thread.start()
thread.join()
raise RuntimeError("at the end: {SECRET}")
"""


@pytest.fixture(scope="module")
def ended() -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CODE]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=dict(os.environ))


def test_nothing_that_a_process_prints_or_dies_of_shows_a_secret(ended) -> None:
    assert ended.stdout == f"printed {MASK}\n"
    for words in (f"ValueError: in a thread: {MASK}", f"RuntimeError: at the end: {MASK}"):
        assert words in ended.stderr
    assert "canary" not in ended.stderr.replace(f'"in a thread: {SECRET}"', "").replace(f'"at the end: {SECRET}"', "")
    assert ended.returncode == 1
