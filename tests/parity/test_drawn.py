"""Combinations drawn by hypothesis end the same with both loops."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pytorch_lightning import callbacks as cb

from tests.parity import models as m
from tests.parity.both_ways import carry_out, differences
from tests.parity.cases import Case, Ticks, both

pytestmark = [pytest.mark.filterwarnings("ignore")]

MODELS = [
    m.Plain,
    m.Normed,
    m.Tied,
    m.Grouped,
    m.Secant,
    m.Decayed,
    m.OwnSteps,
    m.PerStep,
    m.EverySecondStep,
    m.OnPlateau,
    m.LogsAll,
    m.WithoutIndex,
    m.SkipsSteps,
    m.LeavesEarly,
    m.OwnTransfer,
    m.OwnSteppingHooks,
    m.Stops,
    m.Swaps,
]
OPTIONS: dict[str, Any] = {
    "accumulate_grad_batches": [1, 2, 3, 5],
    "gradient_clip_val": [None, 0.05, 1.0],
    "gradient_clip_algorithm": ["norm", "value"],
    "precision": ["32-true", "bf16-mixed"],
    "max_epochs": [1, 3],
    "max_steps": [-1, 7],
    "min_steps": [None, 9],
    "val_check_interval": [1.0, 0.4, 2],
    "check_val_every_n_epoch": [1, 2],
    "limit_train_batches": [1.0, 0.6, 4],
    "limit_val_batches": [1.0, 1, 0],
    "num_sanity_val_steps": [0, 2],
    "log_every_n_steps": [1, 3, 50],
    "reload_dataloaders_every_n_epochs": [0, 1],
    "inference_mode": [True, False],
    "detect_anomaly": [False, True],
}
CALLBACKS = {
    "none": list,
    "user's": lambda: [Ticks()],
    "early stopping": lambda: [cb.EarlyStopping("train_loss", min_delta=0.1, check_on_train_epoch_end=True)],
    "accumulation": lambda: [cb.GradientAccumulationScheduler({1: 2})],
    "monitors": lambda: [cb.LearningRateMonitor("step"), cb.Timer("00:00:10:00")],
}


@pytest.mark.full
@settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), phases=[Phase.generate]
)
@given(
    model=st.sampled_from(MODELS),
    options=st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in OPTIONS.items()}),
    batch_size=st.sampled_from([1, 5, 8, 44, 64]),
    drop_last=st.booleans(),
    extra=st.sampled_from(list(CALLBACKS)),
    watched=st.sampled_from(["", "callbacks", "all"]),
)
def test_both_loops_do_the_same(model, options, batch_size, drop_last, extra, watched) -> None:
    drop_last = drop_last and batch_size < m.ROWS
    is_scheduling = extra == "accumulation"
    if is_scheduling:
        options.pop("accumulate_grad_batches", None)
    if model is m.OwnSteppingHooks and "gradient_clip_val" not in options:
        options.pop("gradient_clip_algorithm", None)
    case = Case(model, lambda: both(batch_size=batch_size, drop_last=drop_last), options, CALLBACKS[extra])
    try:
        stock: Any = carry_out(case, False, watched)
    except Exception as err:  # noqa: BLE001  a combination Lightning refuses is refused alike
        with pytest.raises(type(err)):
            carry_out(case, True, watched)
        return
    assert differences(stock, carry_out(case, True, watched)) == []
