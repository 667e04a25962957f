"""The extension in a real kernel: completion, the panel's first moments, Interrupt and queued cells."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from queue import Empty
from typing import Any

import pytest

from tests.kernel import data_of, started
from tests.waiting import until

MIME = "application/vnd.jupyter-train.run+json"
pytestmark = pytest.mark.timeout(180)

MODEL = """
import torch, pytorch_lightning as pl, time
from tests.models import LitDigits, digits
data = digits()
class Slow(LitDigits):
    def training_step(self, batch, batch_idx):
        time.sleep(0.02)
        return super().training_step(batch, batch_idx)
"""


@pytest.fixture
def kernel(own_store, monkeypatch):
    from pathlib import Path

    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    with started(str(own_store)) as found:
        found.run("%load_ext jupyter_train")
        yield found


COMPLETIONS = [
    ("%train net data --ep", "--epochs"),
    ("run = %train net data --max-st", "--max-steps"),
    ("for i in x:\n    run = %train net data --early", "--early-stop"),
    ("%train net data --mode m", "max"),
    ("%train net data --precision bf", "bf16-mixed"),
    ("%train net data --early-stop val_", "val_loss"),
    ("%train net data --on-interrupt=r", "--on-interrupt=return"),
    ("%%train\nmodel: net\nepo", "epochs: "),
    ("%%train\nmodel: net\nmode: mi", "min"),
    ("%runs comp", "compare"),
]


def test_completion_of_options_choices_runs_and_metrics(kernel) -> None:
    for cell, expected in COMPLETIONS:
        assert expected in kernel.matches(cell), cell
    from jupyter_train.store import open_store

    ref = open_store().create_run("digits").ref
    assert ref in kernel.matches(f"%runs show {ref[:4]}")
    assert kernel.matches("x = '''\n%train --ep") == [] or "--epochs" not in kernel.matches("x = '''\n%train --ep")
    modules = kernel.run("import sys; [n for n in ('torch', 'pandas', 'wandb', 'papermill') if n in sys.modules]")
    assert data_of(modules)[-1]["text/plain"] == "[]"


NAMES = {
    "%train Bi": {"BigNet", "Bin"},
    "run = %train Bi": {"BigNet", "Bin"},
    "%tune Bi": {"BigNet", "Bin"},
    "for _ in range(2):\n    run = %train BigNet(bi": {"bigger"},
    "%train BigNet() bi": {"bigger", "bin_rows"},
    "%train BigNet() (bi": {"bigger", "bin_rows"},
    "%train BigNet() (x,bi": {"bigger", "bin_rows"},
    "%train net data --callback Bi": {"BigNet"},
    "%train net data --lr {bi": {"bigger"},
    "%%train\nmodel: Bi": {"BigNet"},
    "%%train\ndata: (bi": {"bin_rows"},
}


def test_classes_and_objects_of_the_notebook_are_completed(kernel) -> None:
    kernel.run("class BigNet:\n    pass\nbigger = BigNet()\nBin = bin_rows = [1]\n_bits = 1")
    for cell, expected in NAMES.items():
        found = set(kernel.matches(cell))
        assert expected <= found, cell
        assert "_bits" not in found
    assert kernel.matches("%train net data --epochs bi") == []
    assert kernel.matches("%train net data --mode bi") == []


def test_the_panel_says_loading_before_torch_is_imported(kernel) -> None:
    line = "%train tests.models.LitDigits() __import__('tests.models').models.digits() --epochs 1 --seed 1"
    messages = kernel.run(line)
    shown = [data for data in data_of(messages) if MIME in data]
    assert shown[0][MIME] == {"schema": 1, "run": "", "status": "loading", "message": "loading torch …"}
    assert shown[-1][MIME]["status"] == "finished"
    assert len({m["content"]["transient"]["display_id"] for m in messages if "display_data" in m["msg_type"]}) == 1
    assert [m["msg_type"] for m in messages].count("display_data") == 1
    assert [m["msg_type"] for m in messages if m["msg_type"] in ("stream", "execute_result", "error")] == []


@pytest.mark.timeout(400)
def test_updates_follow_watchers(kernel) -> None:
    kernel.run(MODEL)

    def updates(is_enough: Callable[[list[Any]], bool] | None = None, watch: bool = False) -> list[dict[str, Any]]:
        """Bundles from the fifth second of a run on, until there are enough; without a condition those of 4 seconds."""
        sent = kernel.execute("run = %train Slow() data --epochs 100000 --seed 1")
        run, began, found = "", 0.0, []

        def read() -> bool:
            nonlocal run, began
            with contextlib.suppress(Empty):
                message = kernel.client.get_iopub_msg(timeout=0.5)
                if message["msg_type"] == "update_display_data":
                    run = message["content"]["data"].get(MIME, {}).get("run", "")
                    began = began or (time.monotonic() if run else 0.0)
                    if began and time.monotonic() > began + 5:
                        found.append(message["content"]["data"])
            if watch and run:
                ask = kernel.client.session.msg("jupyter_train_request", {"verb": "watch", "run": run})
                kernel.client.control_channel.send(ask)
            return is_enough(found) if is_enough is not None else bool(began) and time.monotonic() > began + 9

        until(read)
        kernel.manager.interrupt_kernel()
        kernel.collect(sent)
        return found

    small = updates(lambda found: len(found) > 1)
    assert len({data["text/html"] for data in small}) == len(small)
    assert all("<img" in data["text/html"] and data[MIME]["families"] == [] for data in small)
    updates(lambda found: any(data[MIME]["families"] for data in found), watch=True)
    assert updates() == []


def test_a_console_which_ignores_updates_gets_the_last_state_printed(kernel) -> None:
    kernel.run(MODEL)
    messages = kernel.collect(kernel.client.execute("run = %train LitDigits() data --epochs 1 --seed 1"))
    first = [m["content"]["data"]["text/plain"] for m in messages if m["msg_type"] == "display_data"]
    assert first == ["loading torch …"]
    printed = "".join(m["content"]["text"] for m in messages if m["msg_type"] == "stream")
    assert "finished  1 of 1 epoch  step 8 / 8" in printed
    assert "val_loss" in printed


def test_interrupt_stops_the_cell_and_the_queued_cells_and_the_next_run_works(kernel) -> None:
    kernel.run(MODEL)
    training = kernel.execute("%train Slow() data --epochs 500 --seed 1\nafter = 1")
    queued = kernel.client.execute("queued = 1")
    while True:
        message = kernel.client.get_iopub_msg(timeout=60)
        if message["msg_type"] == "update_display_data" and message["content"]["data"][MIME].get("run"):
            break
    kernel.manager.interrupt_kernel()
    reply = kernel.reply(training)["content"]
    assert (reply["status"], reply["ename"]) == ("error", "TrainingInterrupted")
    assert len(reply["traceback"]) == 1
    assert kernel.reply(queued)["content"]["status"] in ("aborted", "error")
    names = kernel.run("sorted({'after', 'queued'} & set(dir()))")
    assert data_of(names)[-1]["text/plain"] == "[]"
    again = kernel.run("run = %train LitDigits() data --epochs 1 --seed 1\nprint(run.status)")
    assert "finished\n" in [m["content"].get("text") for m in again if m["msg_type"] == "stream"]


def test_a_malformed_control_message_is_answered_with_an_error(kernel) -> None:
    ask = kernel.client.session.msg("jupyter_train_request", {"verb": "explode", "run": "x"})
    kernel.client.control_channel.send(ask)
    reply = kernel.client.control_channel.get_msg(timeout=10)
    assert reply["content"]["status"] == "error"
