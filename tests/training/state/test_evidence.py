"""A resumed run is called exact where something says so of its weights: the returned loss, or hashes of them."""

from __future__ import annotations

import itertools
import os
import signal

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from jupyter_train import runs, train
from jupyter_train.events import VERDICT_EVENTS, Verdict
from jupyter_train.panel.snapshot import snapshot
from jupyter_train.store import MetricReader, RunFolder
from jupyter_train.store.metrics.reader import WEIGHTS
from jupyter_train.training.lightning.safe_points import SafePoint
from jupyter_train.training.state import evidence
from jupyter_train.training.state.evidence import WeightsHash, WeightsHashRecorder
from tests.models import LitDigits, digits
from tests.waiting import until

pytestmark = [pytest.mark.filterwarnings("ignore::UserWarning"), pytest.mark.timeout(240)]

ENGINES = pytest.mark.parametrize("engine", ["lean", "lightning"])
ROWS = 160  # four batches an epoch


class Lit(LitDigits):
    """Best after its first epoch, so that a resume from the best one goes through all others again.

    Args:
        is_hidden: Whether it draws from a generator that no checkpoint knows.
    """

    draws = torch.Generator().manual_seed(1)

    def __init__(self, is_hidden: bool = False):
        super().__init__()
        self.is_hidden = is_hidden

    def loss_of(self, batch):
        images = batch[0] + 0.1 * torch.randn(batch[0].shape, generator=Lit.draws) if self.is_hidden else batch[0]
        return cross_entropy(self(images), batch[1])

    def training_step(self, batch, batch_idx):
        loss = self.loss_of(batch)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("val_rank", float(self.current_epoch))


class OnEpoch(Lit):
    def training_step(self, batch, batch_idx):
        loss = self.loss_of(batch)
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss


class OnBoth(Lit):
    def training_step(self, batch, batch_idx):
        loss = self.loss_of(batch)
        self.log("my_loss", loss, on_step=True, on_epoch=True)
        return {"loss": loss, "seen": batch_idx}


class Unlogged(Lit):
    """The loss is recorded for it."""

    def training_step(self, batch, batch_idx):
        return self.loss_of(batch)


class LogsOther(Lit):
    """Has `loss` in its name, and is none."""

    def training_step(self, batch, batch_idx):
        self.log("loss_weight", 0.5)
        return self.loss_of(batch)


class ByHand(Lit):
    """Optimizes manually, returns nothing and logs nothing."""

    def __init__(self, is_hidden: bool = False):
        super().__init__(is_hidden)
        self.automatic_optimization = False

    def training_step(self, batch, batch_idx):
        self.log("loss_weight", 0.5)
        optimizer = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(self.loss_of(batch))
        optimizer.step()
        if self.trainer.is_last_batch:
            self.lr_schedulers().step()

    def configure_optimizers(self):
        optimizer = super().configure_optimizers()
        return [optimizer], [torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)]


class Waits(pl.Callback):
    """Begins the next epoch once hashes of the last one are on the disk."""

    def on_train_epoch_end(self, trainer, pl_module):
        run = runs()[0]
        until(lambda _: len(hashes(run)) > trainer.current_epoch, run)


class Flushes(pl.Callback):
    """Has everything recorded so far hashed and written, so that no moment is left out."""

    def on_train_batch_end(self, trainer, *_):
        trainer.callbacks[0]._writer.flush()

    def on_train_epoch_end(self, trainer, pl_module):
        trainer.callbacks[0]._writer.flush()


class AwaitsVerdict(pl.Callback):
    """Begins the fifth epoch once a verdict has been reported."""

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == 4:
            until(lambda run: any(event.kind in VERDICT_EVENTS for event in run.events), runs()[0])


class Norms(pl.Callback):
    """Logs something besides, in some epochs."""

    def __init__(self, epochs: int):
        self.epochs = epochs

    def on_train_batch_end(self, trainer, pl_module, *_):
        if trainer.current_epoch < self.epochs:
            pl_module.log("norm", pl_module.net[0].weight.detach().norm())


def hashes(run):
    with MetricReader(RunFolder(run.folder).metrics) as reader:
        return reader.points(WEIGHTS)


@pytest.fixture
def unhashed(monkeypatch):
    """There is no time for a hash."""
    monkeypatch.setattr(evidence, "MAX_TIME_SHARE", 1e-12)


@pytest.fixture
def hashed(monkeypatch):
    """There is time for every hash."""
    monkeypatch.setattr(evidence, "MAX_TIME_SHARE", 1e12)
    monkeypatch.setattr(evidence, "PERIOD_S", 1e9)
    monkeypatch.setattr(evidence, "END_PERIOD_S", 0.0)


OPTIONS = {"epochs": 3, "seed": 1, "quiet": True, "monitor": "val_rank", "mode": "min"}


def gone_on(model, callback=(), then=(), *, resume=None, **options):
    """A run of three epochs, resumed from the end of the first."""
    train(model, lambda: digits(ROWS), callback=list(callback), **OPTIONS, **options)
    run = runs()[0]
    changes = options | (resume or {})
    again = train(model, lambda: digits(ROWS), callback=list(then), resume=run.ref, from_="best", quiet=True, **changes)
    assert again.attempts[1]["from_step"] == (2 if "accumulate_grad_batches" in options else 4)
    return again


def verdict(run) -> str:
    """As every view has it."""
    told = [event for event in run.events if event.kind in VERDICT_EVENTS]
    assert len(told) == 1
    words, found = run.attempts[1]["verified"], Verdict(run.attempts[1]["verdict"])
    assert words.startswith(found)
    assert told[0].kind == found.event_kind
    assert told[0].text == f"attempt 2 {words}"
    assert {"step": told[0].step, "kind": told[0].kind, "text": told[0].text} in snapshot(run._store, run.key)["events"]
    return words


@ENGINES
@pytest.mark.parametrize(
    ("model", "options"),
    [
        (Lit, {}),
        (OnBoth, {}),
        (OnEpoch, {}),
        (Unlogged, {}),
        (Lit, {"accumulate_grad_batches": 3}),
        (OnBoth, {"record_every": 2}),
    ],
)
def test_the_returned_loss_is_evidence(model, options, engine, unhashed) -> None:
    run = gone_on(lambda: model(), engine=engine, **options)
    assert hashes(run) == []
    assert verdict(run).startswith("verified exact: ")


@ENGINES
@pytest.mark.parametrize(
    ("model", "names"), [(LogsOther, "`loss_weight`, `val_rank`"), (ByHand, "`lr`, `loss_weight`, `val_rank`")]
)
def test_without_the_loss_and_without_a_hash_nothing_is_verified(model, names, engine, unhashed) -> None:
    """Even where the weights are others."""
    run = gone_on(lambda: model(is_hidden=True), engine=engine)
    assert verdict(run) == f"not verified: only {names} were compared, which say nothing about the weights"


@ENGINES
@pytest.mark.parametrize("model", [LogsOther, ByHand])
def test_a_hash_is_evidence_where_no_loss_is(model, engine, hashed) -> None:
    run = gone_on(lambda: model(), [Waits()], [Waits()], engine=engine)
    assert [point.epoch for point in hashes(run)][-2:] == [8.5, 12.5]
    assert verdict(run).startswith("verified exact: ")


@ENGINES
@pytest.mark.parametrize("model", [LogsOther, ByHand])
def test_other_weights_are_found_out_behind_equal_values(model, engine, hashed) -> None:
    run = gone_on(lambda: model(is_hidden=True), [Waits()], [Waits()], engine=engine)
    assert verdict(run) == "diverged at step 8: the weights differ from what was recorded before"


def test_a_hash_of_the_very_moment_of_a_checkpoint_lies_before_it(hashed, monkeypatch) -> None:
    """The moment does not come again in the resumed run."""
    monkeypatch.setattr(evidence, "PERIOD_S", 0.0)
    run = gone_on(lambda: Lit(), [Flushes()], [Flushes()])
    whole = sorted([*range(1, 13), 4.5, 8.5, 12.5])
    assert [point.epoch for point in hashes(run)] == whole
    assert verdict(run).startswith("verified exact: ")


def test_a_divergence_is_one_event(hashed) -> None:
    """What differs at the end of the epoch is found later, and reported where all of it stands."""
    run = gone_on(lambda: OnBoth(is_hidden=True), [Flushes()], [Flushes()])
    assert verdict(run) == "diverged at step 4: `my_loss_step` differs from what was recorded before"
    words = run.record.summary["resume"]["words"]
    assert words.startswith("diverged at step 4: `my_loss_step`, `my_loss_epoch`, the weights differ from")


def test_a_series_that_does_not_come_again_is_named() -> None:
    run = gone_on(lambda: Lit(), [Norms(3)], [Norms(0)])
    assert verdict(run) == "not verified: `norm` of step 4 was recorded before and did not come again"


def test_the_verdict_is_reported_while_a_longer_run_continues() -> None:
    run = gone_on(lambda: Lit(), [Norms(3)], [Norms(0), AwaitsVerdict()], resume={"epochs": 5})
    assert verdict(run) == "not verified: `norm` of step 4 was recorded before and did not come again"


def test_a_series_that_breaks_off_is_named() -> None:
    run = gone_on(lambda: Lit(), [Norms(3)], [Norms(2)])
    assert verdict(run) == "not verified: `norm` of step 8 was recorded before and did not come again"


def test_a_callback_that_was_taken_away_explains_its_series() -> None:
    run = gone_on(lambda: Lit(), [Norms(3)])
    assert "norm" not in run.metrics.loc[4:].dropna(axis=1, how="all")
    assert verdict(run) == "verified exact: 10 values up to step 11 are the same, bit for bit"


def test_rows_that_are_thinned_or_lie_beyond_the_end_are_not_missed() -> None:
    run = gone_on(lambda: Lit(), resume={"record_every": 4})
    assert run.metrics["train_loss"].dropna().index.tolist() == [0, 1, 2, 3, 4, 8]
    assert verdict(run).startswith("verified exact: ")


def test_a_run_that_is_made_shorter_is_verified_as_far_as_it_goes() -> None:
    run = gone_on(lambda: Lit(), resume={"epochs": 2})
    assert verdict(run) == "verified exact: 5 values up to step 7 are the same, bit for bit"


def test_a_run_that_ended_inside_an_epoch_is_made_longer_and_misses_nothing() -> None:
    """The rows of its end are those of no epoch of the longer run."""
    options = OPTIONS | {"epochs": None, "max_steps": 10}
    run = train(lambda: OnBoth(), lambda: digits(ROWS), **options)
    longer = train(lambda: OnBoth(), lambda: digits(ROWS), resume=run.ref, max_steps=16, quiet=True)
    assert longer.attempts[1]["from_step"] == 10
    assert not [event for event in longer.events if "did not come again" in event.text]


def test_weights_are_hashed_in_no_trial(hashed) -> None:
    from jupyter_train import tune

    study = tune(
        LitDigits, lambda: digits(ROWS), space={"lr": [0.1, 0.2]}, trials=2, epochs=1, minimize="val_loss", quiet=True
    )
    assert [hashes(trial) for trial in study.children] == [[], []]


def test_a_run_resumed_at_its_last_step_has_progress_and_its_last_values(hashed) -> None:
    run = train(lambda: Lit(), lambda: digits(ROWS), callback=[Waits()], **OPTIONS)
    before = hashes(run)
    again = train(lambda: Lit(), lambda: digits(ROWS), resume=run.ref, from_="last", quiet=True)
    assert again.attempts[1]["from_step"] == 12
    progress = snapshot(again._store, again.key)["progress"]
    assert {"stage": "ended", "epoch": 3, "epochs": 3, "step": 12, "steps": 12}.items() <= progress.items()
    assert again.record.summary["progress"]["step"] == 12
    assert again.last.keys() == {"lr", "train_loss", "val_rank"}
    assert again.best is not None
    assert hashes(again) == before != []


class Now(LitDigits):
    """Logs a number, a metric object and (by a callback) a norm in some batches only."""

    def __init__(self):
        super().__init__()
        from torchmetrics import MeanMetric

        self.mean = MeanMetric()

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        if batch_idx % 4 == 0:
            self.log("every_4th", loss, prog_bar=True)
            self.log("every_4th_both", loss, on_step=True, on_epoch=True)
            self.mean(loss)
            self.log("metric", self.mean, on_step=True, on_epoch=True)
        return loss


class Sometimes(pl.Callback):
    """Logs in every third batch, and presses Interrupt at a step."""

    def __init__(self, step: int = 0):
        self.step = step

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if batch_idx % 3 == 0:
            pl_module.log("every_3rd", outputs["loss"])
        if trainer.global_step == self.step > 0:
            os.kill(os.getpid(), signal.SIGINT)


@ENGINES
def test_what_is_logged_in_some_batches_is_recorded_as_in_an_unbroken_run(engine) -> None:
    options = {"epochs": 2, "seed": 1, "quiet": True, "engine": engine}
    whole = train(lambda: Now(), digits, callback=[Sometimes()], **options)
    broken = train(lambda: Now(), digits, callback=[Sometimes(11)], on_interrupt="return", **options)
    again = train(lambda: Now(), digits, resume=broken.ref, callback=[Sometimes()], quiet=True, engine=engine)
    assert again.attempts[1]["from_step"] == 11
    names = sorted(whole.metrics.columns)
    assert again.metrics[names].to_csv() == whole.metrics[names].to_csv()
    assert whole.metrics["every_4th"].notna().all()


class Everything(nn.Module):
    """Shared, frozen, half-precision and empty tensors, buffers that are kept and one that is not."""

    def __init__(self):
        super().__init__()
        self.one = nn.Linear(3, 3)
        self.same = self.one
        self.halved = nn.Parameter(torch.ones(4, dtype=torch.bfloat16), requires_grad=False)
        self.norm = nn.BatchNorm1d(3)
        self.register_buffer("empty", torch.zeros(0))
        self.register_buffer("flag", torch.tensor([True, False]))
        self.register_buffer("cache", torch.zeros(2), persistent=False)


def changed(change) -> bool:
    torch.manual_seed(0)
    module = Everything()
    before = float(WeightsHash(module))
    with torch.no_grad():
        change(module)
    return float(WeightsHash(module)) != before


@pytest.mark.parametrize(
    ("change", "is_seen"),
    [
        (lambda module: None, False),
        (lambda module: module.one.weight[2, 2].mul_(1 + 1e-7), True),
        (lambda module: module.halved.add_(1), True),
        (lambda module: module.norm.running_mean.add_(1e-7), True),
        (lambda module: module.norm.num_batches_tracked.add_(1), True),
        (lambda module: module.flag.logical_not_(), True),
        (lambda module: module.cache.add_(1), False),
    ],
)
def test_a_fingerprint_sees_every_kept_value(change, is_seen) -> None:
    assert changed(change) is is_seen


def test_a_fingerprint_is_of_the_moment_it_was_made_and_an_exact_number() -> None:
    module = nn.Linear(3, 3)
    taken, expected = WeightsHash(module), float(WeightsHash(module))
    with torch.no_grad():
        module.weight.add_(1)
    assert not taken.is_hashed
    assert float(taken) == expected == int(expected)
    assert 0 <= expected < 2**52
    assert taken.is_hashed


def test_of_large_models_a_sample_is_hashed(monkeypatch) -> None:
    monkeypatch.setattr(evidence, "MAX_VALUES", 100)
    taken = WeightsHash(nn.Linear(100, 100, bias=False))
    assert taken.size_bytes == 400
    assert float(taken) == float(taken)


def test_weights_of_an_unknown_kind_are_named_once_and_hurt_nothing(hashed, monkeypatch) -> None:
    def refuse(_copies):
        raise RuntimeError("no such layout")

    monkeypatch.setattr(evidence, "_hash_number", refuse)
    run = train(lambda: Lit(), lambda: digits(ROWS), callback=[Waits()], **OPTIONS | {"epochs": 2})
    assert run.status == "finished"
    warned = [event.text for event in run.events if "cannot be hashed" in event.text]
    assert warned == [
        "the weights cannot be hashed (RuntimeError: no such layout); a resumed run is verified by its values alone"
    ]


class Written:
    """Takes rows, and hashes at once."""

    verification = None

    def __init__(self):
        self.steps: list[int] = []

    def add(self, row):
        self.steps.append(row.step)
        float(row.values[0][1])


@pytest.mark.parametrize(("cost_s", "most"), [(0.001, 20), (0.05, 2), (1.0, 0)])
def test_hashing_keeps_to_its_share_of_the_time(cost_s, most, monkeypatch) -> None:
    """Twenty seconds of training, by a clock of the test's own."""
    clock = itertools.count()
    now = [0.0]
    monkeypatch.setattr(evidence.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(evidence.time, "thread_time", lambda: now[0])
    monkeypatch.setattr(evidence, "_MIN_COST_S", cost_s)
    ticks = iter(clock)
    monkeypatch.setattr(evidence.time, "perf_counter", lambda: next(ticks) * cost_s)
    trainer = pl.Trainer(logger=False, enable_checkpointing=False, accelerator="cpu", devices=1)
    trainer.strategy._lightning_module = LitDigits()
    written = Written()
    log = WeightsHashRecorder(written)
    for step in range(20_000):
        trainer.fit_loop.epoch_loop._batches_that_stepped = step
        now[0] = step / 1000
        log.at(SafePoint.BETWEEN_BATCHES, trainer)
    assert most - 1 <= len(written.steps) <= most
    assert len(written.steps) * cost_s <= 20 * evidence.MAX_TIME_SHARE
