"""Metric objects resume with all that they had: states, windows, extremes, copies and groups."""

from __future__ import annotations

import os
import signal

import pytest
import pytorch_lightning as pl
import torch
from torchmetrics import MeanAbsoluteError, MeanMetric, MeanSquaredError, Metric, MetricCollection, R2Score
from torchmetrics.aggregation import CatMetric, RunningMean
from torchmetrics.classification import MulticlassAccuracy
from torchmetrics.wrappers import (
    BinaryTargetTransformer,
    BootStrapper,
    ClasswiseWrapper,
    MetricTracker,
    MinMaxMetric,
    MultioutputWrapper,
    MultitaskWrapper,
    Running,
)

from jupyter_train import train
from jupyter_train.training.state.torchmetrics_state import copy_metric_states, metric_states, restore_metric_states
from tests.models import LitDigits, digits

pytestmark = [pytest.mark.filterwarnings("ignore::UserWarning"), pytest.mark.timeout(120)]

CLASSES = 3


class Longest(Metric):
    """Keeps plain data of its own beside its one state."""

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros(()))
        self.seen: list[torch.Tensor] = []
        self.by_name = {"pair": (0, None), 1: [torch.zeros(2)]}
        self.share = lambda total: total / 2  # no data

    def update(self, values, target):
        self.total = self.total + values.sum()
        self.seen.append(values.max())
        self.by_name = {"pair": (len(self.seen), "last"), 1: [target]}

    def compute(self):
        number, _ = self.by_name["pair"]
        return self.share(self.total) + sum(self.seen) * number + self.by_name[1][0].sum()


def _values(generator):
    return torch.rand(8, generator=generator), torch.rand(8, generator=generator)


def _pairs(generator):
    return torch.rand(8, 2, generator=generator), torch.rand(8, 2, generator=generator)


def _classes(generator):
    return torch.rand(8, CLASSES, generator=generator), torch.randint(CLASSES, (8,), generator=generator)


def _tasks(generator):
    values = _values(generator)
    return {"one": values[0], "two": values[1]}, {"one": values[1], "two": values[0]}


def _one(generator):
    return (torch.rand(8, generator=generator),)


def _groups():
    return MetricCollection([MeanSquaredError(), MeanAbsoluteError(), R2Score()])


KINDS = {
    "states": (MeanSquaredError, _values),
    "list state": (CatMetric, _one),
    "min and max": (lambda: MinMaxMetric(MeanSquaredError()), _values),
    "running mean": (lambda: RunningMean(window=4), _one),
    "running": (lambda: Running(MeanSquaredError(), window=4), _values),
    "tracker": (lambda: MetricTracker(MeanSquaredError()), _values),
    "tracker of min and max": (lambda: MetricTracker(MinMaxMetric(MeanSquaredError()), maximize=False), _values),
    "tracker of a collection": (lambda: MetricTracker(_groups()), _values),
    "collection": (_groups, _values),
    "classwise": (lambda: ClasswiseWrapper(MulticlassAccuracy(num_classes=CLASSES, average=None)), _classes),
    "outputs": (lambda: MultioutputWrapper(MeanSquaredError(), 2), _pairs),
    "tasks": (lambda: MultitaskWrapper({"one": MeanSquaredError(), "two": MinMaxMetric(MeanSquaredError())}), _tasks),
    "transformed": (lambda: BinaryTargetTransformer(MinMaxMetric(MeanSquaredError()), threshold=0.5), _values),
    "bootstrap": (
        lambda: BootStrapper(MinMaxMetric(MeanSquaredError()), num_bootstraps=3, raw=True, mean=False, std=False),
        _values,
    ),
    "own data": (Longest, _values),
}


class Holds(pl.LightningModule):
    def __init__(self, make):
        super().__init__()
        self.metric = make()

    def go(self, inputs, batches, generator):
        """What is computed after every batch; a tracker begins its next copy at every fifth."""
        values = []
        for batch in batches:
            if isinstance(self.metric, MetricTracker) and batch % 5 == 0:
                self.metric.increment()
            torch.manual_seed(batch)
            self.metric.update(*inputs(generator))
            values.append(_plain(self._computed()))
        return values

    def _computed(self):
        if isinstance(self.metric, BootStrapper):  # its own result leaves out the extremes
            return [one.compute() for one in self.metric.metrics]
        return self.metric.compute_all() if isinstance(self.metric, MetricTracker) else self.metric.compute()


def _plain(value):
    if isinstance(value, torch.Tensor):
        return value.tolist()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value]


@pytest.mark.parametrize("take", [metric_states, copy_metric_states])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_resumes_in_a_fresh_model_as_if_uninterrupted(kind, take, tmp_path) -> None:
    make, inputs = KINDS[kind]
    generator = torch.Generator().manual_seed(0)
    before, after = Holds(make), Holds(make)
    before.go(inputs, range(7), generator)
    torch.save(take(before), tmp_path / "states")
    state = generator.get_state()
    expected = before.go(inputs, range(7, 16), generator)
    restore_metric_states(after, torch.load(tmp_path / "states", weights_only=True))
    assert after.go(inputs, range(7, 16), generator.set_state(state)) == expected


def test_held_states_are_of_their_moment() -> None:
    holds, generator = Holds(Longest), torch.Generator().manual_seed(0)
    holds.go(_values, range(3), generator)
    held, shown = copy_metric_states(holds), repr(metric_states(holds))
    holds.metric.seen.append(torch.ones(()))
    holds.metric.total += 1
    assert repr(held) == shown != repr(metric_states(holds))


def test_large_attributes_are_not_held() -> None:
    holds = Holds(Longest)
    holds.metric.by_name = {"large": [torch.zeros(1_000_001)]}
    assert copy_metric_states(holds) is None


def test_groups_of_a_collection_come_again() -> None:
    """A fresh collection would form them again, by the states there are by then."""
    before, after = (Holds(lambda: MetricCollection({"a": MeanMetric(), "b": MeanMetric()})) for _ in range(2))
    before.metric.update(torch.ones(2))
    restore_metric_states(after, metric_states(before))
    assert after.metric._groups == before.metric._groups == {0: ["a", "b"]}
    assert after.metric._groups_checked


def test_states_of_earlier_checkpoints_are_restored() -> None:
    holds = Holds(lambda: MinMaxMetric(MeanSquaredError()))
    states = {"sum_squared_error": torch.tensor(6.0), "total": torch.tensor(3)}
    earlier = {"states": states, "updates": 2}
    restore_metric_states(holds, {"metric": {"states": {}, "updates": 2}, "metric._base_metric": earlier})
    assert _plain(holds.metric.compute()) == {"raw": 2.0, "max": 2.0, "min": 2.0}


def test_a_metric_that_the_model_has_no_longer_is_named() -> None:
    kept = metric_states(Holds(MeanSquaredError))
    with pytest.warns(UserWarning, match="states of the metrics `metric`, which the model no longer has"):
        restore_metric_states(LitDigits(), kept)


class Logs(LitDigits):
    """Records in every batch what a metric object has come to; presses Interrupt at a step."""

    def __init__(self, kind, stop=0):
        super().__init__()
        self.metric, self.stop = KINDS[kind][0](), stop

    def on_train_epoch_start(self):
        if isinstance(self.metric, MetricTracker):
            self.metric.increment()

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        detached = loss.detach()[None]
        self.metric.update(*([detached] if isinstance(self.metric, RunningMean) else [detached, 0 * detached]))
        value = self.metric.compute()
        self.log_dict(value if isinstance(value, dict) else {"value": value})
        if isinstance(self.metric, MetricTracker):
            self.log("copies", float(len(self.metric)))
        return loss

    def on_train_batch_end(self, *_):
        if self.trainer.global_step == self.stop > 0:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("kind", ["min and max", "running mean", "tracker"])
def test_a_resumed_run_records_what_an_unbroken_one_does(kind) -> None:
    options = {"epochs": 3, "seed": 1, "quiet": True}
    whole = train(lambda: Logs(kind), lambda: digits(160), **options)
    broken = train(lambda: Logs(kind, 6), lambda: digits(160), on_interrupt="return", **options)
    again = train(lambda: Logs(kind), lambda: digits(160), resume=broken.ref, quiet=True)
    assert again.attempts[1]["from_step"] == 6
    names = sorted(whole.metrics.columns)
    assert again.metrics[names].to_csv() == whole.metrics[names].to_csv()
