"""The panel's line in a real terminal, as wide as terminals are."""

from __future__ import annotations

import io
import re
import sys
import time
from pathlib import Path

import pexpect
import pytest

from jupyter_train.panel.live import OUTLINE_PERIOD_S, LivePanel
from jupyter_train.panel.redraw_schedule import LINE_PERIOD_S
from jupyter_train.panel.terminal import TerminalLine
from jupyter_train.run import RunStatus
from jupyter_train.store import RunFolder, RunWriter
from jupyter_train.store.writer import Row
from tests.shares import in_full

TREE = Path(__file__).parents[2]
SCRIPT = """
import time
from jupyter_train import train
from tests.models import LitDigits, digits
class Slow(LitDigits):
    def training_step(self, batch, batch_idx):
        time.sleep(0.03)
        return super().training_step(batch, batch_idx)
train(Slow(), digits(), epochs=12, seed=1)
"""
#: What may stand in a line: whole fields only.
FIELD = re.compile(
    r"slow-\w{4}|running|starting|validating|checking validation|▕[█·]{12}▏|\d+ of 12 epochs|step \d+ / 96|step 0"
    r"|steps/s [\d.]+|ETA \d+:\d\d|best val_loss \d\.\d+ \(epoch \d+\)|\w+_(loss|acc) \d(\.\d+)?"
)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("columns", in_full([60, 80, 140], but=[80]))
def test_a_terminals_line_moves_and_is_made_of_whole_fields(own_store, columns: int) -> None:
    child = pexpect.spawn(
        sys.executable,
        ["-W", "ignore", "-c", SCRIPT],
        encoding="utf-8",
        timeout=150,
        dimensions=(30, columns),
        cwd=str(TREE),
    )
    shown = child.read()
    child.close()
    assert child.exitstatus == 0, shown
    states = [state for state in shown.split("\r\x1b[2K") if "epochs" in state and "\n" not in state]
    assert len(set(states)) > 3
    assert max(map(len, states)) < columns
    for state in states:
        assert [field for field in state.split("  ") if not FIELD.fullmatch(field)] == []
    assert re.search(r"\d+ of 12 epochs  (train|val)_loss \S+ .*ETA \d", "\n".join(states))
    final = shown.rpartition("\r\x1b[2K")[2]
    assert "12 of 12 epochs" in final
    assert max(map(len, final.splitlines())) < columns


def test_the_last_state_is_printed_once_and_whole(store) -> None:
    """However late the panel hears that it is the last."""
    record = store.create_run("late")
    writer = RunWriter(store, record.key, RunFolder(record.folder))
    store.set_status(record.key, RunStatus.RUNNING, started_at=time.time())
    for step in range(5):
        writer.add(Row(step, 0.0, time.time(), [("train_loss", 1.0 + step)]))
    out = io.StringIO()
    panel = LivePanel(TerminalLine(out))
    panel.follow(store, record.key)
    writer.close(RunStatus.FINISHED)
    time.sleep(4 * LINE_PERIOD_S + OUTLINE_PERIOD_S)
    panel.finish()
    assert out.getvalue().count("finished") == 1
    assert re.search(r"train_loss +5 +1 +5", out.getvalue())
