"""`self.logger.experiment`: the usual calls of TensorBoard and W&B, and one warning for each of the others."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import numpy as np
import pytest

from jupyter_train.training.logging.experiment import Experiment


class Kept:
    """Takes what a run's logger takes, and notes it."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def at(self, step: Any) -> int:
        return 7 if step is None else int(step)

    def log_values(self, metrics: Any, step: int) -> None:
        self.calls.append(("values", dict(metrics), step))

    def log_image(self, key: str, images: list[Any], step: int | None = None) -> None:
        self.calls.append(("image", key, len(images), step))

    def keep_figure(self, key: str, figure: Any, step: int | None) -> None:
        self.calls.append(("figure", key, figure, step))

    def keep_histogram(self, key: str, values: Any, step: int | None) -> None:
        self.calls.append(("histogram", key, values, step))


class Figure:
    def savefig(self, *_: Any) -> None:
        """As matplotlib's."""


FIGURE = Figure()


@pytest.mark.parametrize(
    ("call", "kept"),
    [
        (lambda e: e.add_scalar("loss", 0.5), ("values", {"loss": 0.5}, 7)),
        (lambda e: e.add_scalar("loss", 0.5, 3, walltime=1.0), ("values", {"loss": 0.5}, 3)),
        (lambda e: e.add_scalars("loss", {"a": 1, "b": 2}, 3), ("values", {"loss": {"a": 1, "b": 2}}, 3)),
        (lambda e: e.add_image("x", np.zeros((3, 4, 4)), 3, dataformats="CHW"), ("image", "x", 1, 3)),
        (lambda e: e.add_images("x", np.zeros((5, 3, 4, 4))), ("image", "x", 5, None)),
        (lambda e: e.add_figure("f", FIGURE), ("figure", "f", FIGURE, None)),
        (lambda e: e.add_histogram("h", [1, 2], 3), ("histogram", "h", [1, 2], 3)),
        (lambda e: e.log({"loss": 1}, step=3), ("values", {"loss": 1}, 3)),
    ],
)
def test_the_usual_calls_are_kept(call: Any, kept: tuple[Any, ...]) -> None:
    logger = Kept()
    call(Experiment(logger))
    assert logger.calls == [kept]


def test_figures_among_what_is_logged_or_in_a_list_are_kept_each() -> None:
    logger = Kept()
    experiment = Experiment(logger)
    experiment.add_figure("f", [FIGURE, FIGURE])
    experiment.log({"f": FIGURE, "loss": 1})
    assert logger.calls == [
        ("figure", "f", FIGURE, None),
        ("figure", "f", FIGURE, None),
        ("figure", "f", FIGURE, 7),
        ("values", {"loss": 1}, 7),
    ]


def test_any_other_call_does_nothing_and_warns_once() -> None:
    logger = Kept()
    experiment = Experiment(logger)
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        for _ in range(3):
            assert experiment.config.update({"a": 1}) is None
            assert experiment.add_audio("a", b"") is None
    assert [str(warning.message) for warning in noted] == [
        "logger.experiment.config.update: not kept by the run",
        "logger.experiment.add_audio: not kept by the run",
    ]
    assert logger.calls == []


def test_it_can_be_copied_and_looked_at() -> None:
    experiment = Experiment(Kept())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert isinstance(copy.copy(experiment), Experiment)
        pickle.dumps(experiment)
        assert not hasattr(experiment, "__array__")
        assert not hasattr(experiment.config, "__array__")
