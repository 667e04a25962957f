"""A trial as Optuna stores it, as it is requested, and as it ended."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from jupyter_train.config.search_space import Choices, Space
from jupyter_train.events import TrialStatus

#: Under these names Optuna keeps the values of an enqueued trial, and by how much a trial breaks each constraint.
FIXED_PARAMS = "fixed_params"
CONSTRAINTS = "constraints"


@dataclass
class TrialRequest:
    """A trial that is to be run.

    Attributes:
        number: From 0.
        params: Every name's value, fixed ones included.
    """

    number: int
    params: dict[str, Any]


@dataclass
class TrialResult:
    """How a trial ended.

    Attributes:
        state: COMPLETE, PRUNED or FAIL.
        values: One for each objective; None where there is none.
        run: Key of its run.
        message: Why it failed, or where it was pruned.
        duration_s: From its first row to its last.
    """

    state: TrialStatus
    values: list[float] | None = None
    run: str = ""
    message: str = ""
    duration_s: float = 0.0
    notes: dict[str, Any] = field(default_factory=dict)


def status_of(trial: FrozenTrial) -> TrialStatus:
    """Where a trial stands: Optuna's state, or INFEASIBLE where a constraint does not hold."""
    status = TrialStatus(trial.state.name.lower())
    return TrialStatus.INFEASIBLE if status is TrialStatus.COMPLETE and not is_feasible(trial) else status


def is_feasible(trial: FrozenTrial) -> bool:
    """Whether a trial keeps to the constraints; where there are none, each does."""
    violations = trial.system_attrs.get(CONSTRAINTS)
    return violations is None or all(violation <= 0 for violation in violations)


def meant(params: Mapping[str, Any], space: Mapping[str, Space]) -> dict[str, Any]:
    """Values as they were given, from values as Optuna keeps them."""
    values = dict(params)
    for name, value in params.items():
        choices = space.get(name)
        if isinstance(choices, Choices):
            with contextlib.suppress(ValueError):  # a choice of an earlier release, written otherwise
                values[name] = choices.find(value)
    return values


def distributions_in(trials: Sequence[FrozenTrial]) -> dict[str, BaseDistribution]:
    """Every name that was searched."""
    distributions: dict[str, BaseDistribution] = {}
    for trial in trials:
        distributions |= trial.distributions
    return distributions


def values_so_far(trial: FrozenTrial) -> Mapping[str, Any]:
    """A trial's values; while it is queued, those it was enqueued with: others are not drawn yet."""
    if trial.state is TrialState.WAITING:
        return dict(trial.system_attrs.get(FIXED_PARAMS, {}))
    return trial.params
