"""What an earlier release pickled is found under its present names."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from jupyter_train.store.unpickling import loads


@pytest.mark.parametrize(
    ("module", "name", "present"),
    [
        ("config.folds", "Fold", "config.cross_validation.Fold"),
        ("config.space", "Range", "config.search_space.Range"),
        ("training.datasets", "StandIn", "training.data.seeded_dataset.DatasetProxy"),
        ("training.encoder", "Encoder", "training.data.encoder.Encoder"),
        ("training.finders", "Finding", "training.inspection.finders.FinderResult"),
        ("training.indexed", "IndexedDataset", "training.data.in_memory.IndexedDataset"),
        ("training.order", "Order", "training.data.sample_order.SampleOrder"),
        ("training.order", "Place", "training.data.sample_order.PassStart"),
        ("tuning.plan", "Copier", "tuning.trial_spec.ModelCopier"),
        ("tuning.plan", "Maker", "tuning.trial_spec.ModelFactory"),
        ("tuning.plan", "Plan", "tuning.trial_spec.TrialSpec"),
        ("tuning.plan", "Takes", "tuning.trial_spec.ModelArguments"),
    ],
)
def test_a_class_of_an_earlier_release_is_found(module: str, name: str, present: str) -> None:
    found = loads(b"cjupyter_train.%s\n%s\n." % (module.encode(), name.encode()))
    assert f"{found.__module__}.{found.__qualname__}" == f"jupyter_train.{present}"


def test_anything_else_is_what_it_was() -> None:
    buffers: list[pickle.PickleBuffer] = []
    array = np.arange(1000.0)
    stream = pickle.dumps({"a": array}, protocol=5, buffer_callback=buffers.append)
    assert len(buffers) == 1
    assert np.array_equal(loads(stream, buffers)["a"], array)
    assert loads(pickle.dumps([1, "two", pytest.approx])) == [1, "two", pytest.approx]


def test_a_name_of_another_package_is_not_changed() -> None:
    with pytest.raises(ModuleNotFoundError, match="others"):
        loads(b"cothers.tuning.plan\nPlan\n.")
