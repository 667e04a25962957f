"""A run whose loss is no finite number: it says so, in every view; `--on-nan stop` ends it."""

from __future__ import annotations

import math
import time

import pytest
import torch
from torch.nn.functional import cross_entropy

from jupyter_train import runs, train
from jupyter_train.exceptions import OptionError
from jupyter_train.panel.bundle import as_html
from jupyter_train.panel.snapshot import snapshot
from jupyter_train.panel.status import notices
from jupyter_train.panel.svg import svg
from jupyter_train.server.rows import row_of
from jupyter_train.store import open_store
from jupyter_train.store.command_queue import CommandQueue
from jupyter_train.store.row_queue import Row
from jupyter_train.store.run_index import index_entries
from jupyter_train.training.callbacks.on_nan import HALT, watch_non_finite
from tests.models import LitDigits, digits, weights

pytestmark = [pytest.mark.filterwarnings("ignore::UserWarning"), pytest.mark.timeout(120)]
GREEN, AMBER = "#2da44e", "#b07503"


class Becomes(LitDigits):
    """A loss that is no finite number from a step on."""

    def __init__(self, value: float, step: int = 0, pause_s: float = 0.0):
        super().__init__()
        self.factor, self.step, self.pause_s = value, step, pause_s

    def training_step(self, batch, batch_idx):
        time.sleep(self.pause_s)
        loss = cross_entropy(self(batch[0]), batch[1])
        loss = loss * self.factor if self.global_step >= self.step else loss
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        """Nothing: the loss of training tells."""


class OnlyLooks(Becomes):
    """Never changes its weights, which would be NaN after one step with an infinite loss."""

    def optimizer_step(self, epoch, batch_idx, optimizer, optimizer_closure):
        optimizer_closure()


@pytest.mark.parametrize(
    ("model", "word", "ended_with"),
    [(Becomes(math.nan), "NaN", "NaN"), (OnlyLooks(math.inf), "infinite", "inf")],
    ids=["NaN", "inf"],
)
def test_a_run_with_no_finite_loss_from_its_first_step_ends_with_a_warning(model, word, ended_with) -> None:
    run = train(model, digits(64), epochs=2, seed=1, quiet=True)
    store, found = open_store(), f"finished with {ended_with}"
    assert run.status == "finished"
    assert run.record.message.startswith(f"`train_loss` is {word} from its first value to the end: try a lower")
    assert found in repr(run)
    assert found in repr(runs())
    assert run.best is None
    shot = snapshot(store, run.key)
    assert notices(shot)[0] == ("warning", run.record.message)
    assert f"train_loss is {word} from its first value on" in [event["text"] for event in shot["events"]]
    assert not [text for _, text in notices(shot) if text.startswith("train_loss is")]  # the message says it
    assert GREEN not in as_html(shot)
    assert f"color:{AMBER}" in as_html(shot).partition(run.ref)[0]
    assert "no value of train_loss is a finite number" in svg(shot)
    assert row_of(store, index_entries(store, 1)[0], "")["ended_with"] == ended_with


def test_a_loss_that_is_finite_again_is_only_said() -> None:
    class Recovers(Becomes):
        def on_train_batch_end(self, *_):
            self.factor = 1.0

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.0)

        def optimizer_step(self, epoch, batch_idx, optimizer, optimizer_closure):
            optimizer_closure()

    run = train(Recovers(math.nan), digits(64), epochs=2, seed=1, quiet=True)
    assert (run.status, run.record.message, run.record.ended_with) == ("finished", "", "")
    assert "train_loss is NaN from its first value on" in [event.text for event in run.events if event.kind == "nan"]


def test_on_nan_stop_ends_the_run_at_the_next_batch_and_says_why() -> None:
    run = train(Becomes(math.nan, 3, 0.01), digits(64), epochs=10_000, seed=1, quiet=True, on_nan="stop")
    assert run.status == "stopped"
    assert run.record.message.startswith("train_loss became NaN at step 3; ended by `--on-nan stop` at step ")
    assert "stopped with NaN" in repr(run)
    assert run.record.message.endswith(", the best weights from before are kept") == (run.best is not None)
    assert run.record.config["on_nan"] == "stop"
    with pytest.raises(OptionError, match=r"expected.*warn.*stop"):
        train(LitDigits(), digits(64), epochs=1, on_nan="end")


def test_on_nan_stop_promises_no_best_weights_where_there_were_none() -> None:
    run = train(Becomes(math.nan), digits(64), epochs=10_000, seed=1, quiet=True, on_nan="stop")
    assert run.status == "stopped"
    assert run.record.message.endswith(", there were no best weights before")
    assert run._checkpoint("best") is None


class Breaks(LitDigits):
    """Its weights are NaN, or its value infinite, in the third epoch, and a validation that does not notice."""

    def __init__(self, how: str):
        super().__init__()
        self.how = how

    def on_train_batch_end(self, *_):
        if self.current_epoch == 2 and self.how == "weights":
            torch.nn.init.constant_(self.net[0].weight, math.nan)

    def validation_step(self, batch, batch_idx):
        is_worst = self.how == "value" and self.current_epoch == 2
        self.log("val_loss", -math.inf if is_worst else 1.0 - 0.1 * self.current_epoch)


@pytest.mark.parametrize("how", ["weights", "value"])
def test_the_best_weights_are_not_replaced_by_such_as_hold_nan_or_by_an_infinite_value(how: str) -> None:
    run = train(Breaks(how), digits(64), epochs=3, seed=1, quiet=True)
    best = run._checkpoint("best")
    assert (best.epoch, round(best.value, 4)) == (1, 0.9)
    assert all(torch.isfinite(tensor).all() for tensor in weights(run.load_into(LitDigits(), which="best")))
    said = [event.text for event in run.events if "hold NaN: the best ones before them stay" in event.text]
    assert bool(said) == (how == "weights")


@pytest.mark.parametrize(("on_nan", "is_halted"), [("stop", True), ("warn", False)])
@pytest.mark.parametrize(
    ("monitored", "name", "matters"),
    [("val_acc", "val_acc", True), ("val_acc", "train_Loss", True), ("val_acc", "lr", False), (None, "val_acc", False)],
)
def test_a_halt_is_queued_for_a_loss_or_the_monitored_metric(
    recording, on_nan: str, is_halted: bool, monitored: str | None, name: str, matters: bool
) -> None:
    queue, writer = CommandQueue(), recording.writer
    watch_non_finite(writer, queue, on_nan, lambda: monitored)
    writer.add(Row(0, 0.0, 0.0, [(name, 0.5)]))
    writer.add(Row(1, 0.0, 0.0, [(name, math.nan)]))
    assert recording.events == [f"{name} became NaN at step 1"]
    halts = [(one.verb, one.arguments, one.source) for one in queue.take()]
    assert halts == [(HALT, {"reason": f"{name} became NaN at step 1"}, "--on-nan stop")] * (is_halted and matters)
    assert writer.non_finite.ended_with == ("NaN" if matters else "")
