"""The process that is forked: its children compute, end as they say, and never outlive their parent."""

from __future__ import annotations

import os
import signal
import subprocess

import psutil
import pytest

from jupyter_train.execution.workers import fork_server as stems
from jupyter_train.execution.workers.fork_server import FORK_SERVER, start
from tests.waiting import until

MODULE = "tests.execution.workers.forked_main"

LINE = f"said {float(512**3)}"
pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def error(tmp_path):
    file = open(tmp_path / "error.txt", "wb+")
    yield file
    file.close()


def _started(what: str, error):
    process, stdin, stdout = start(MODULE, [what], {"SAID_LATER": "said"}, error.fileno())
    pid, _, words = stdout.readline().decode().strip().partition(" ")
    return process, stdin, int(pid), words


@pytest.mark.parametrize("way", ["forked", "started"])
@pytest.mark.parametrize(("what", "code"), [("return", 5), ("fail", 1), ("die", -9)])
def test_a_child_computes_and_its_end_is_reported(way: str, what: str, code: int, error, monkeypatch) -> None:
    monkeypatch.setattr(stems, "_CAN_FORK", way == "forked")
    process, _stdin, pid, words = _started(what, error)
    assert words == LINE
    assert pid != os.getpid()
    assert process.wait() == code
    error.seek(0)
    assert (b"ValueError: it failed" in error.read()) == (what == "fail")


def test_children_are_forked_from_one_process_and_an_idle_one_ends_with_its_input(error) -> None:
    first, second = _started("wait", error), _started("wait", error)
    parents = {psutil.Process(pid).ppid() for _process, _stdin, pid, _words in (first, second)}
    assert parents == {FORK_SERVER.get()._process.pid}
    for process, stdin, _pid, _words in (first, second):
        stdin.close()
        assert process.wait() == 5


def test_a_child_can_be_killed_also_before_it_is_there(error) -> None:
    process, _stdin, pid, _words = _started("wait", error)
    process.kill()
    assert process.wait() == -9
    assert not psutil.pid_exists(pid)
    FORK_SERVER.get().close()
    process, _stdin, stdout = start(MODULE, ["wait"], {}, error.fileno())  # a new one, which imports for seconds
    process.kill()
    assert process.wait() == -9
    assert stdout.readline() == b""  # killed as soon as it was there


def test_when_the_stem_is_killed_its_children_are_over_and_the_next_has_another(error) -> None:
    process, _stdin, pid, _words = _started("wait", error)
    before = FORK_SERVER.get()._process.pid
    os.kill(before, signal.SIGKILL)
    assert process.wait() == -9
    assert FORK_SERVER.get()._process.pid != before
    os.kill(pid, signal.SIGKILL)  # workers notice by themselves; this one does not look
    assert _started("return", error)[0].wait() == 5


def test_another_environment_for_torch_has_another_stem(error, monkeypatch) -> None:
    before = FORK_SERVER.get()._process
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert FORK_SERVER.get()._process.pid != before.pid
    before.wait(20)


def test_one_that_has_threads_is_not_forked(error, monkeypatch) -> None:
    threaded = "import threading, time; threading.Thread(target=time.sleep, args=(30,), daemon=True).start()"
    path = os.path.join(os.getcwd(), "has_a_thread.py")
    with open(path, "w") as file:
        file.write(threaded)
    monkeypatch.setenv("PYTHONPATH", os.getcwd())
    monkeypatch.setattr(stems, "LIKELY", ("has_a_thread",))
    monkeypatch.setitem(__import__("sys").modules, "has_a_thread", object())
    monkeypatch.setattr(stems, "FORK_SERVER", stems._CurrentServer())
    first, _stdin, _stdout = stems.start(MODULE, ["return"], {}, error.fileno())
    assert first.wait() == -9
    process, _stdin, stdout = stems.start(MODULE, ["return"], {"SAID_LATER": "said"}, error.fileno())
    assert isinstance(process, subprocess.Popen)
    assert LINE in stdout.readline().decode()
    assert process.wait() == 5


def test_it_ends_with_the_process_that_started_it(python: str, tmp_path) -> None:
    code = (
        "from jupyter_train.execution.workers.fork_server import FORK_SERVER\n"
        "stem = FORK_SERVER.get(); stem.is_warm.wait(60); print(stem._process.pid, flush=True)\n"
        "import time; time.sleep(60)"
    )
    starter = subprocess.Popen([python, "-c", code], stdout=subprocess.PIPE, cwd=tmp_path)
    pid = int(starter.stdout.readline())
    assert psutil.pid_exists(pid)
    starter.kill()
    starter.wait()
    until(lambda: not psutil.pid_exists(pid))


@pytest.mark.parametrize("name", ["KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK", "PYTORCH_NVML_BASED_CUDA_CHECK"])
def test_what_libraries_set_once_they_are_imported_changes_nothing(name: str, monkeypatch) -> None:
    before = FORK_SERVER.get()
    before.is_warm.wait(60)
    monkeypatch.setenv(name, "TRUE")
    assert FORK_SERVER.is_warm
    assert FORK_SERVER.get() is before
