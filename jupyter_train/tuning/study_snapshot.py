"""A study as one bounded piece of JSON in its run folder: what every view draws of its trials."""

from __future__ import annotations

import contextlib
import json
import math
import time
import warnings
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.importance import (
    BaseImportanceEvaluator,
    FanovaImportanceEvaluator,
    PedAnovaImportanceEvaluator,
    get_param_importances,
)
from optuna.trial import FrozenTrial, TrialState

from jupyter_train.config import TuneConfig
from jupyter_train.store import RunFolder
from jupyter_train.store.redaction import mask_tree
from jupyter_train.store.run_folder import write_atomically
from jupyter_train.tuning.study_storage import StudyStorage
from jupyter_train.tuning.trial_records import distributions_in, status_of, values_so_far

_PERIOD_S = 0.5
_BURST = 4
_MAX_TRIALS = 1500
_MAX_CURVES = 60
_MAX_POINTS = 40
_MAX_NAMES = 12
_MAX_CHOICES = 24
_MAX_OBJECTIVES = 3
#: In the place of a value that a trial was not values_so_far; a choice may be None.
_UNSAID = object()
#: Importance is computed when so many more trials are complete, and at the end.
_IMPORTANCE_EVERY = 25
_MIN_FOR_IMPORTANCE = 8


class StudySnapshot:
    """Keeps the file up to date, twice a second on average: a trial's beginning and end come close together.

    Args:
        folder: The study's folder.
        config: Objectives.
        storage: The trials.
    """

    def __init__(self, folder: RunFolder, config: TuneConfig, storage: StudyStorage) -> None:
        self._path = folder.study
        self._config = config
        self._storage = storage
        self._written: deque[float] = deque(maxlen=_BURST)
        self._importance: list[dict[str, Any]] = []
        self._weighed = 0

    def write(self, is_last: bool = False, is_after_command: bool = False) -> None:
        """Writes it, unless it has been written a few times just now.

        Args:
            is_last: Write it in any case, with new parameter importances.
            is_after_command: Write it in any case: a command has just been applied, whose effect the panel waits for.
        """
        now = time.monotonic()
        is_often = len(self._written) == _BURST and now < self._written[0] + _BURST * _PERIOD_S
        if is_often and not is_last and not is_after_command:
            return
        self._written.append(now)
        self._weigh(is_last)
        content = json.dumps(outline(self._config, self._storage, self._importance), separators=(",", ":"))
        with contextlib.suppress(OSError):  # a full disk: views draw what they have, and the search continues
            write_atomically(self._path, content.encode())

    def _weigh(self, is_last: bool) -> None:
        done = len(self._storage.trials(TrialState.COMPLETE))
        if done < _MIN_FOR_IMPORTANCE or (done < self._weighed + _IMPORTANCE_EVERY and not is_last):
            return
        self._weighed = done
        shares = importances(self._storage.study, "ped-anova")
        self._importance = [{"name": name, "share": round(share, 4)} for name, share in shares.items()][:_MAX_NAMES]


EVALUATORS: dict[str, Callable[[], BaseImportanceEvaluator]] = {
    "ped-anova": PedAnovaImportanceEvaluator,
    "fanova": partial(FanovaImportanceEvaluator, seed=0),
}


def importances(study: optuna.Study, evaluator: str) -> dict[str, float]:
    """How much of the objective each name explains, the most important first; empty where the evaluator cannot say.

    Args:
        study: The trials.
        evaluator: One of `EVALUATORS`.
    """
    target = (lambda trial: trial.values[0]) if len(study.directions) > 1 else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            shares = get_param_importances(study, evaluator=EVALUATORS[evaluator](), target=target)
    except (ValueError, RuntimeError, ZeroDivisionError):
        return {}
    return {name: float(share) for name, share in shares.items() if math.isfinite(share)}


def outline(config: TuneConfig, storage: StudyStorage, weighed: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The study as views draw it; each column one text, as in a run's snapshot."""
    trials = storage.trials()[-_MAX_TRIALS:]
    objectives = config.objectives[:_MAX_OBJECTIVES]
    ranked = storage.ranked()
    names = _names(trials, weighed)
    return {
        "objectives": [{"metric": metric, "mode": mode} for metric, mode in objectives],
        "numbers": _column([trial.number for trial in trials]),
        "states": "".join(map(_letter, trials)),
        "values": [_column([_value(trial, index) for trial in trials]) for index in range(len(objectives))],
        "seconds": _column([_short(trial.user_attrs.get("seconds")) for trial in trials]),
        "runs": ",".join(str(trial.user_attrs.get("run", "")) for trial in trials),
        "params": _params(trials, names),
        "names": len(distributions_in(trials)),
        "curves": [_curve(trial) for trial in _worth_a_curve(trials, ranked)],
        "importance": list(weighed),
        "front": _column([trial.number for trial in storage.front()] if len(objectives) > 1 else []),
    }


def _letter(trial: FrozenTrial) -> str:
    return status_of(trial).letter


def _names(trials: Sequence[FrozenTrial], weighed: Sequence[dict[str, Any]]) -> dict[str, BaseDistribution]:
    """The names that are shown, in the order they are searched in: those that matter most, where there are many."""
    distributions = distributions_in(trials)
    if len(distributions) <= _MAX_NAMES:
        return distributions
    first = [entry["name"] for entry in weighed if entry["name"] in distributions]
    chosen = set([*first, *(name for name in distributions if name not in first)][:_MAX_NAMES])
    return {name: distribution for name, distribution in distributions.items() if name in chosen}


def _params(trials: Sequence[FrozenTrial], names: Mapping[str, BaseDistribution]) -> list[dict[str, Any]]:
    params = []
    for name, distribution in names.items():
        values = [values_so_far(trial).get(name, _UNSAID) for trial in trials]
        if isinstance(distribution, CategoricalDistribution):
            labels = [mask_tree({name: str(choice)})[name][:40] for choice in distribution.choices[:_MAX_CHOICES]]
            places = {repr(choice): index for index, choice in enumerate(distribution.choices)}
            column = [places.get(repr(value)) for value in values]
            params.append({"name": name, "labels": labels, "is_log": False, "values": _column(column)})
        else:
            is_log = bool(getattr(distribution, "log", False))
            numbers = _column([None if value is _UNSAID else _short(value) for value in values])
            ends = {end: getattr(distribution, end, None) for end in ("low", "high")}
            params.append({"name": name, "labels": [], "is_log": is_log, "values": numbers, **ends})
    return params


def _worth_a_curve(trials: Sequence[FrozenTrial], ranked: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Those that run, the best, and the newest of the others."""
    best = {trial.number for trial in ranked[: _MAX_CURVES // 2]}
    chosen = [trial for trial in trials if trial.number in best or trial.state is TrialState.RUNNING]
    newest = [trial for trial in reversed(trials) if trial.intermediate_values and trial not in chosen]
    chosen += newest[: max(0, _MAX_CURVES - len(chosen))]
    return sorted(chosen, key=lambda trial: trial.number)


def _curve(trial: FrozenTrial) -> dict[str, Any]:
    points = sorted(trial.intermediate_values.items())
    stride = math.ceil(len(points) / _MAX_POINTS) or 1
    shown = points[::stride] + (points[-1:] if points and (len(points) - 1) % stride else [])
    return {
        "trial": trial.number,
        "state": _letter(trial),
        "epochs": _column([epoch for epoch, _ in shown]),
        "values": _column([_short(value) for _, value in shown]),
    }


def _value(trial: FrozenTrial, index: int) -> float | None:
    """The objective; of a pruned trial the last it reached."""
    if trial.state is TrialState.COMPLETE and trial.values:
        return _short(trial.values[index])
    if trial.state is TrialState.PRUNED and index == 0 and trial.intermediate_values:
        return _short(trial.intermediate_values[max(trial.intermediate_values)])
    return None


def _short(value: float | str | None) -> float | None:
    if value is None or isinstance(value, str) or not math.isfinite(value):
        return None
    return float(f"{value:.5g}") if isinstance(value, float) else value


def _column(values: Sequence[Any]) -> str:
    return ",".join("" if value is None else f"{value}" for value in values)
