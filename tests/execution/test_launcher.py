"""Where a run trains is decided in one place, and this process's random state is as before."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch

from jupyter_train.config import TrainConfig
from jupyter_train.exceptions import JupyterTrainError
from jupyter_train.execution.launcher import launch_run
from jupyter_train.execution.run_spec import RunSpec
from jupyter_train.training.run_observer import RunObserver
from tests.models import LitDigits, digits

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


class Started(RunObserver):
    """Notes what it is told of the run's start."""

    def __init__(self) -> None:
        self.told: list[tuple[str, bool]] = []

    def on_start(self, record: Any, writer: Any) -> None:
        self.told.append((record.key, writer is not None))


def spec(**options: Any) -> RunSpec:
    return RunSpec(config=TrainConfig.of({"epochs": 1, "seed": 1, **options}))


def build(_config: TrainConfig) -> tuple[Any, Any]:
    return LitDigits(), digits(64)


def random_state() -> tuple[Any, ...]:
    return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()


@pytest.mark.parametrize(("options", "kind"), [({}, "train"), ({"cv": 2}, "cv"), ({"seeds": 2}, "cv")])
def test_it_trains_here_and_draws_nothing_of_this_process(store, options: dict[str, Any], kind: str) -> None:
    observer, before = Started(), random_state()
    result = launch_run(store, spec(**options), build, observer)
    assert random_state() == before
    assert (result.status, result.error, result.recorded.kind) == ("finished", None, kind)
    assert observer.told == [(result.recorded.key, True)]


def test_an_error_of_the_fit_is_in_the_result_and_a_slip_is_raised(store) -> None:
    class Fails(LitDigits):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            raise ValueError("no")

    result = launch_run(store, spec(), lambda _config: (Fails(), digits(64)))
    assert (result.status, type(result.error)) == ("failed", ValueError)
    before = random_state()
    with pytest.raises(JupyterTrainError):
        launch_run(store, spec(), lambda _config: (3, digits(64)))
    assert random_state() == before
    assert len(store.list_runs()) == 1
