"""Steering a running fit: every command, applied at a batch boundary, recorded with its step, answered."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging

from jupyter_train import get_run, runs, train
from jupyter_train.config import TrainConfig
from jupyter_train.config.commands import Command, command
from jupyter_train.exceptions import CommandError, CommandRefusedError, RunStateError
from jupyter_train.store import commands, open_store
from jupyter_train.store.command_channel import CommandChannel
from jupyter_train.store.command_queue import LOCAL, CommandQueue
from jupyter_train.training.callbacks.commands import FitCommands
from jupyter_train.training.checkpoints.callback import RunCheckpoint
from jupyter_train.training.interrupt import InterruptWatch
from tests.models import LitDigits, digits
from tests.training.trainers import quiet_trainer
from tests.waiting import until

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


class Steered(LitDigits):
    """Sends itself commands at given steps, as the control channel would: 8 steps an epoch."""

    def __init__(self, plan: dict[int, list[Command]], schedule: Callable[[Any], Any] | None = None) -> None:
        super().__init__()
        self.plan, self.schedule, self.rates = plan, schedule, []

    def training_step(self, batch, batch_idx):
        for one in self.plan.pop(self.global_step, []):
            LOCAL.of(runs()[0].key).put(one)
        self.rates.append(self.optimizers().param_groups[0]["lr"])
        return super().training_step(batch, batch_idx)

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
        if self.schedule is None:
            return optimizer
        return [optimizer], [{"scheduler": self.schedule(optimizer), "interval": "step"}]


def _command(verb: str, **arguments: Any) -> Command:
    return command(verb, arguments, "panel")


def _steered(plan: dict[int, list[Command]], schedule=None, **options: Any):
    model = Steered(plan, schedule)
    run = train(model, digits(), seed=1, quiet=True, **{"epochs": 3, **options})
    return run, model


def _said(run, kind: str = "command") -> list[tuple[int | None, str]]:
    return [(event.step, event.text) for event in run.events if event.kind == kind]


def test_stop_ends_well_and_the_cell_continues() -> None:
    run, _ = _steered({10: [_command("stop")]})
    assert (run.status, run.record.summary["progress"]["step"]) == ("stopped", 11)
    assert run.record.message == "stopped at step 11; the best and the last weights are kept"
    assert _said(run) == [(11, "stopped at step 11 (from the panel)")]
    assert run.metrics["val_loss"].notna().sum() == 2  # the last one because of the stop
    assert run.checkpoint is not None


def test_the_status_is_set_before_the_command_is_answered(monkeypatch) -> None:
    seen, answer = [], commands.answer

    def looked(store, run, command, given) -> None:
        seen.append((command.verb, store.get(run).status.value))
        answer(store, run, command, given)
        if command.verb == "pause":
            LOCAL.of(run).put(_command("resume"))

    monkeypatch.setattr(commands, "answer", looked)
    run, _ = _steered({3: [_command("pause")]})
    assert seen == [("pause", "paused"), ("resume", "running")]
    assert run.status == "finished"


class StoppedAtOnce(LitDigits):
    def on_train_start(self):
        LOCAL.of(runs()[0].key).put(_command("stop"))


@pytest.mark.parametrize("options", [{"monitor": "val_acc"}, {"early_stop": "val_acc:3"}])
def test_a_stop_before_the_first_batch_is_no_verdict_on_the_metric(options: dict[str, str]) -> None:
    run = train(StoppedAtOnce(), digits(), epochs=3, seed=1, quiet=True, **options)
    assert (run.status, run.record.message[:17]) == ("stopped", "stopped at step 0")


def test_stop_outranks_min_epochs() -> None:
    run, _ = _steered({2: [_command("stop")]}, min_epochs=2)
    assert run.record.summary["progress"]["step"] == 3


def test_a_checkpoint_of_the_moment_is_kept_beside_best_and_last() -> None:
    run, _ = _steered({4: [_command("checkpoint")]})
    assert _said(run) == [(5, "checkpoint manual-step5.ckpt written at step 5 (from the panel)")]
    content = torch.load(run.folder / "checkpoints" / "manual-step5.ckpt", weights_only=False)
    assert content["global_step"] == 5


def test_validate_now_validates_once_out_of_turn() -> None:
    run, _ = _steered({2: [_command("validate")]}, epochs=1)
    assert run.metrics["val_loss"].dropna().index.tolist() == [2, 7]


def test_max_epochs_and_patience_can_be_changed() -> None:
    run, _ = _steered({2: [_command("set_max_epochs", epochs=5)]})
    assert run.record.summary["progress"] | {"at": 0} == run.record.summary["progress"] | {"at": 0, "epochs": 5}
    assert run.metrics["train_loss"].notna().sum() == 40
    run, model = _steered({2: [_command("set_patience", patience=9)]}, early_stop="val_loss:2")
    assert model.trainer.early_stopping_callback.patience == 9


def test_a_learning_rate_is_set_exactly_and_recorded() -> None:
    run, model = _steered({3: [_command("set_lr", lr=0.02)]}, epochs=1)
    assert model.rates == [0.1] * 4 + [0.02] * 4
    assert run.metrics["lr"].dropna().to_dict() == {0: 0.1, 4: 0.02}
    assert _said(run) == [(4, "learning rate set to 0.02 at step 4 (from the panel)")]


SCHEDULES: dict[str, Callable[[Any], Any]] = {
    "StepLR": lambda o: torch.optim.lr_scheduler.StepLR(o, 3, 0.5),
    "ExponentialLR": lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.9),
    "LambdaLR": lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda step: 1 / (1 + step)),
    "CosineAnnealingLR": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 16, 0.001),
    "CosineAnnealingWarmRestarts": lambda o: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 5, eta_min=0.001),
    "OneCycleLR": lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.4, total_steps=16, cycle_momentum=False),
    "CyclicLR": lambda o: torch.optim.lr_scheduler.CyclicLR(o, 0.01, 0.1, 3, cycle_momentum=False),
    "LinearLR": lambda o: torch.optim.lr_scheduler.LinearLR(o, 0.1, 1.0, 10),
    "PolynomialLR": lambda o: torch.optim.lr_scheduler.PolynomialLR(o, 16, 2.0),
    "SequentialLR": lambda o: torch.optim.lr_scheduler.SequentialLR(
        o,
        [torch.optim.lr_scheduler.LinearLR(o, 0.1, 1.0, 4), torch.optim.lr_scheduler.CosineAnnealingLR(o, 12)],
        milestones=[4],
    ),
    "ChainedScheduler": lambda o: torch.optim.lr_scheduler.ChainedScheduler(
        [torch.optim.lr_scheduler.ConstantLR(o, 0.5, 4), torch.optim.lr_scheduler.ExponentialLR(o, 0.9)]
    ),
}


@pytest.mark.parametrize("at", [2, 6])
@pytest.mark.parametrize("name", SCHEDULES)
def test_the_rest_of_a_schedule_keeps_its_shape_and_is_scaled(name: str, at: int) -> None:
    _, plain = _steered({}, SCHEDULES[name], epochs=2)
    _, scaled = _steered({at: [_command("set_lr", factor=0.5)]}, SCHEDULES[name], epochs=2)
    assert scaled.rates[: at + 1] == plain.rates[: at + 1]
    assert scaled.rates[at + 1 :] == pytest.approx([0.5 * rate for rate in plain.rates[at + 1 :]], rel=1e-9)


def test_setting_a_rate_scales_the_rest_by_what_that_is() -> None:
    _, plain = _steered({}, SCHEDULES["ExponentialLR"], epochs=1)
    _, told = _steered({3: [_command("set_lr", lr=0.5)]}, SCHEDULES["ExponentialLR"], epochs=1)
    assert told.rates[:4] == plain.rates[:4]
    assert told.rates[4:] == pytest.approx([0.5 * 0.9**step for step in range(4)], rel=1e-12)


def test_a_rate_set_during_validation_holds_for_the_next_batch() -> None:
    class InValidation(Steered):
        def validation_step(self, batch, batch_idx):
            if not self.trainer.sanity_checking and self.current_epoch == 0 and batch_idx == 0:
                LOCAL.of(runs()[0].key).put(_command("set_lr", lr=0.5))
            return super().validation_step(batch, batch_idx)

        def configure_optimizers(self):
            optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
            return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.1)]  # steps after validation

    model = InValidation({})
    train(model, digits(), epochs=3, seed=1, quiet=True)
    assert model.rates == pytest.approx([0.1] * 8 + [0.5] * 8 + [0.05] * 8)


@pytest.mark.parametrize(("averages", "words"), [(False, "command"), (True, "refused")])
def test_a_checkpoint_inside_a_validation_is_refused_where_other_weights_validate(averages, words) -> None:
    class InValidation(Steered):
        def validation_step(self, batch, batch_idx):
            if not self.trainer.sanity_checking and self.current_epoch == 0 and batch_idx == 0:
                LOCAL.of(runs()[0].key).put(_command("checkpoint"))
            return super().validation_step(batch, batch_idx)

    callbacks = [EMAWeightAveraging(decay=0.5)] if averages else []
    run = train(InValidation({}), digits(), epochs=1, seed=1, quiet=True, callback=callbacks)
    [(step, text)] = _said(run, words)
    assert step == 8
    assert ("this validation may have changed weights or states" in text) == averages


REFUSED = {
    "unknown group": (_command("set_lr", lr=0.1, group=3), "no parameter group 3; the only one is 0"),
    "patience": (_command("set_patience", patience=3), "without `--early-stop`"),
    "an epoch that has begun": (_command("set_max_epochs", epochs=1), "epoch 1 is already running; give 2 or more"),
    "resume": (_command("resume"), "not paused"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_apply_is_refused_with_the_reason_and_training_continues(case: str) -> None:
    asked, words = REFUSED[case]
    run, _ = _steered({10: [asked]})
    assert run.status == "finished"
    assert [words in text for _, text in _said(run, "refused")] == [True]
    assert _said(run) == []


def test_a_command_whose_hook_fails_is_refused_and_training_continues() -> None:
    class Unwilling(Steered):
        def on_save_checkpoint(self, checkpoint):
            if self.global_step == 4:
                raise ValueError("not now")

    run = train(Unwilling({3: [_command("checkpoint")]}), digits(), epochs=1, seed=1, quiet=True)
    assert run.status == "finished"
    assert _said(run, "refused") == [(4, "checkpoint: ValueError: not now")]


def test_validating_without_validation_data_is_refused() -> None:
    run, _ = _steered({1: [_command("validate")]}, epochs=1, split="1/0")
    assert "no validation data" in _said(run, "refused")[0][1]


WRONG = {
    "unknown": ("jump", {}, "no such command. Did you mean"),
    "a rate of 0": ("set_lr", {"lr": 0}, "expected a number above 0"),
    "NaN": ("set_lr", {"lr": float("nan")}, "expected a number"),
    "text": ("set_lr", {"lr": "high"}, "expected a number"),
    "both": ("set_lr", {"lr": 1, "factor": 2}, "one of `lr` and `factor`"),
    "neither": ("set-lr", {}, "one of `lr` and `factor`"),
    "no epochs": ("set_max_epochs", {}, "`epochs` is missing"),
    "half an epoch": ("set_max_epochs", {"epochs": 1.5}, "whole number"),
    "an argument of another": ("stop", {"lr": 1}, "takes no arguments, not `lr`"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_command_that_makes_no_sense_is_refused_before_it_is_sent(case: str) -> None:
    verb, arguments, words = WRONG[case]
    with pytest.raises(CommandError, match=words.replace("(", "[(]") if case != "unknown" else "no such command"):
        command(verb, arguments)


class Endless(LitDigits):
    """Trains until it is stopped."""

    def training_step(self, batch, batch_idx):
        time.sleep(0.002)
        return super().training_step(batch, batch_idx)


def _asking(work: Callable[[Any], None]) -> tuple[Any, list[BaseException]]:
    """Trains while `work` asks for things through the store, from another thread."""
    failures: list[BaseException] = []

    def ask() -> None:
        try:
            until(lambda: len(runs()) and runs()[0].status == "running")
            work(get_run(runs()[0].key))
        except BaseException as err:  # noqa: BLE001  raised again by whoever asked
            failures.append(err)
        finally:
            if runs()[0].status in ("running", "paused"):
                runs()[0].stop()

    thread = threading.Thread(target=ask)
    thread.start()
    run = train(Endless(), digits(), epochs=100_000, seed=1, quiet=True)
    thread.join()
    return run, failures


def test_commands_through_the_store_are_answered() -> None:
    answers: list[str] = []

    def work(run) -> None:
        answers.append(run.pause())
        assert run.status == "paused"
        paused_at = run.record.summary.get("progress", {}).get("step")
        with pytest.raises(CommandRefusedError, match="paused already"):
            run.pause()
        answers.append(run.set_lr(factor=0.5))
        answers.append(run.resume())
        until(lambda run: run.status == "running", run)
        answers.append(run.stop())
        assert paused_at is None or paused_at > 0

    run, failures = _asking(work)
    assert failures == []
    assert [answer.split(" at step")[0] for answer in answers] == [
        "paused",
        "learning rate multiplied by 0.5",
        "resumed",
        "stopped",
    ]
    steps = [step for step, _ in _said(run)]
    assert steps[0] == steps[1] == steps[2]  # nothing was trained while paused
    assert run.status == "stopped"


def test_a_run_that_is_over_takes_no_commands() -> None:
    run = train(LitDigits(), digits(), epochs=1, seed=1, quiet=True)
    with pytest.raises(RunStateError, match="is finished; only a running fit takes commands"):
        run.stop()


def test_another_users_run_takes_no_commands(monkeypatch) -> None:
    def work(run) -> None:
        with monkeypatch.context() as somebody_else:
            somebody_else.setattr("jupyter_train.store.runs.user_name", lambda: "mallory")
            with pytest.raises(RunStateError, match="belongs to"):
                run.stop()

    assert _asking(work)[1] == []


def test_a_command_that_comes_too_late_is_answered() -> None:
    class Late(LitDigits):
        def on_train_end(self):
            store = open_store()
            self.row = commands.add(store, runs()[0].key, command("pause"))

    model = Late()
    train(model, digits(), epochs=1, seed=1, quiet=True)
    assert commands.answer_of(open_store(), model.row)[:2] == ("refused", "the fit had just ended")


def test_a_run_made_longer_while_it_ran_is_resumed_beyond_its_first_end() -> None:
    run, _ = _steered({2: [_command("set_max_epochs", epochs=5)], 34: [_command("stop")]})
    assert (run.status, run.record.summary["progress"]["step"]) == ("stopped", 35)
    run, _ = _steered({}, resume=run.ref)
    assert run.metrics["train_loss"].notna().sum() == 40
    assert run.record.summary["progress"]["epochs"] == 5


@pytest.mark.parametrize("options", [{}, {"accumulate_grad_batches": 3}, {"early_stop": "val_loss:1"}])
def test_a_run_stopped_inside_an_epoch_is_resumed_as_if_it_had_not_been(options: dict[str, Any]) -> None:
    """Lightning validates when it is stopped: that validation is none of an unbroken run's."""

    def seeded(plan: dict[int, list[Command]], **more: Any) -> Any:
        torch.manual_seed(3)
        return _steered(plan, **options, **more)

    whole, unbroken = seeded({})
    stopped, _ = seeded({4 if "accumulate_grad_batches" in options else 11: [_command("stop")]})
    assert stopped.status == "stopped"
    step = stopped.record.summary["progress"]["step"]
    run, model = seeded({}, resume=stopped.ref)
    assert run.attempts[-1]["from_step"] == step
    assert all(torch.equal(one, other) for one, other in zip(model.parameters(), unbroken.parameters(), strict=True))
    for name in ("train_loss", "val_loss", "lr"):
        assert run.metrics[name].dropna().to_dict() == whole.metrics[name].dropna().to_dict()
    assert run.best == whole.best


@pytest.fixture
def fit_commands(recording) -> tuple[FitCommands, CommandQueue]:
    """Commands for a run that no fit of this process trains, and their queue."""
    queue, watch = CommandQueue(), InterruptWatch()
    checkpoint = RunCheckpoint(recording.folder, recording.writer, TrainConfig(), True)
    channel = CommandChannel(recording.store, recording.key, recording.folder)
    return FitCommands(queue, channel, recording.writer, checkpoint, watch), queue


def test_before_the_first_batch_a_stop_is_applied_and_the_others_wait(fit_commands, recording) -> None:
    fit, queue = fit_commands
    for one in (_command("set_lr", lr=0.5), _command("stop"), _command("validate")):
        queue.put(one)
    fit.apply_stop_at_start(quiet_trainer())
    assert fit.stopped == "stopped before its first batch"
    assert [one.verb for one in queue.take()] == ["set_lr", "validate"]
    assert recording.events == ["stopped at step 0 (from the panel)"]


def test_after_a_batch_only_what_lightning_decides_on_then_is_applied(fit_commands, recording) -> None:
    fit, queue = fit_commands
    trainer = quiet_trainer(max_epochs=3)
    assert not fit.apply_after_batch(trainer)
    queue.put(_command("set_max_epochs", epochs=7))
    assert not fit.apply_after_batch(trainer)
    assert trainer.max_epochs == 3
    assert fit.apply_before_batch(trainer)
    assert (trainer.max_epochs, recording.events) == (7, ["epochs set to 7 at step 0 (from the panel)"])


def test_a_fit_that_is_ended_ends_after_its_batch_whatever_its_least_length(fit_commands) -> None:
    trainer = quiet_trainer(max_epochs=9, min_epochs=5, min_steps=100)
    fit, _ = fit_commands
    fit.end(trainer, "the search has enough")
    loop = trainer.fit_loop
    assert (fit.stopped, trainer.should_stop) == ("the search has enough", True)
    assert (loop.min_epochs, loop.min_steps) == (0, None)
