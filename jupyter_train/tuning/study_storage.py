"""The trials of a study, requested and reported, in Optuna's journal. One process owns it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, TrialState

from jupyter_train.config import TuneConfig
from jupyter_train.config.search_space import Fixed, Range, optuna_choice, parse
from jupyter_train.events import TrialStatus
from jupyter_train.exceptions import StudyError
from jupyter_train.store.redaction import mask
from jupyter_train.tuning.journal import Journal
from jupyter_train.tuning.samplers import Constraints, distribution_of, distributions_of, pruner_of, sampler_of
from jupyter_train.tuning.trial_records import FIXED_PARAMS, TrialRequest, TrialResult, is_feasible, meant
from jupyter_train.tuning.warm_start import NAME, WARM, own

_NARROWED = "narrowed"
#: Name of the user attribute of a trial on top of the requested number; journals hold it as it is.
_EXTRA = "added by hand"
_DIRECTIONS = {"min": "minimize", "max": "maximize"}
#: How often an interrupted trial is begun.
_MAX_TRIES = 2

#: Returns a trial's values, given Optuna's trial to draw them from: a space that depends on itself.
Suggest = Callable[[Any], Mapping[str, Any]]


def _dominates(rival: Sequence[float], point: Sequence[float]) -> bool:
    """Whether one point is as good as another in every objective and better in one; all are minimized."""
    return rival != point and all(a <= b for a, b in zip(rival, point, strict=True))


class StudyStorage:
    """A study as the process that owns it reads and writes it.

    Args:
        path: The journal file; made if it is not there.
        config: Objectives, space, sampler, pruner.
        suggest: Draws the values, where the space is a function.
        constraints: How far a trial is from what is allowed, where something is.
    """

    def __init__(
        self, path: Path, config: TuneConfig, suggest: Suggest | None = None, constraints: Constraints | None = None
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._config = config
        self._suggest = suggest
        self._distributions = distributions_of(config.space)
        self.fixed: dict[str, Any] = {
            name: space.value for name, space in config.space.items() if isinstance(space, Fixed)
        }
        is_new = not path.exists()
        self._journal = Journal(path)
        self._storage = JournalStorage(self._journal)
        self._sampler = sampler_of(config, constraints)
        self._pruner = pruner_of(config.prune, config.train.get("epochs") or config.train.get("max_epochs"))
        self._directions: Any = [_DIRECTIONS[direction] for _, direction in config.objectives]
        if is_new:
            self.study = optuna.create_study(
                storage=self._storage,
                study_name=NAME,
                directions=self._directions,
                sampler=self._sampler,
                pruner=self._pruner,
            )
            self._narrowed: list[tuple[int, str, str]] = []
        else:
            self.study = self._opened()

    def _opened(self) -> optuna.Study:
        try:
            study = optuna.load_study(
                study_name=NAME, storage=self._storage, sampler=self._sampler, pruner=self._pruner
            )
        except KeyError:
            raise StudyError("the study's journal is empty: it never began; start a new search") from None
        self._narrowed = [tuple(entry) for entry in study.user_attrs.get(_NARROWED, [])]
        self._replay(study)
        return study

    def close(self) -> None:
        """Closes the journal."""
        self._journal.close()

    def enqueue(self, params: Mapping[str, Any], is_extra: bool = False) -> None:
        """Enqueues a trial, which comes before those that the sampler draws.

        Args:
            params: Its values; names left out are drawn.
            is_extra: Whether it comes on top of the requested number of trials.
        """
        choices = {name: optuna_choice(value) for name, value in params.items()}
        self.study.enqueue_trial(choices, user_attrs={_EXTRA: True} if is_extra else None)

    def narrow(self, ranges: Mapping[str, Range]) -> None:
        """Draws from these parts of the space from the next trial on; on disk when this returns."""
        number = self._next_number(self.study)
        self._narrowed += [(number, name, str(space)) for name, space in ranges.items()]
        self.study.set_user_attr(_NARROWED, self._narrowed)

    def _next_number(self, study: optuna.Study) -> int:
        waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        return waiting[0].number if waiting else len(study.get_trials(deepcopy=False))

    def _drawn_from(self, study: optuna.Study) -> dict[str, BaseDistribution]:
        """The distributions of the next trial of a study."""
        if not self._narrowed:
            return self._distributions
        number, distributions = self._next_number(study), dict(self._distributions)
        for first, name, text in self._narrowed:
            if number >= first:
                distributions[name] = distribution_of(parse(name, text))
        return distributions

    def ask(self) -> TrialRequest:
        """The next trial."""
        return self._request_of(self.study)

    def _request_of(self, study: optuna.Study) -> TrialRequest:
        if self._suggest is not None:
            trial = study.ask()
            return TrialRequest(trial.number, {**self.fixed, **self._suggest(trial)})
        with warnings.catch_warnings():
            # an enqueued trial may lie outside what was narrowed later
            warnings.filterwarnings("ignore", "Fixed parameter", UserWarning)
            trial = study.ask(self._drawn_from(study))
        return TrialRequest(trial.number, {**meant(trial.params, self._config.space), **self.fixed})

    def values(self, trial: FrozenTrial) -> dict[str, Any]:
        """The values of a trial that has ended, fixed ones included."""
        if self._suggest is not None:
            return {**self.fixed, **self._suggest(optuna.trial.FixedTrial(trial.params, trial.number))}
        return {**meant(trial.params, self._config.space), **self.fixed}

    def interrupted_trials(self) -> list[TrialRequest]:
        """Trials that were interrupted, to run again; one that was begun twice already has failed."""
        requests = []
        for trial in self.trials(TrialState.RUNNING):
            tries = trial.user_attrs.get("tries", 1) + 1
            if tries > _MAX_TRIES or trial.params.keys() != self._wanted(trial).keys():
                self.tell(trial.number, TrialResult(TrialStatus.FAIL, message="interrupted twice"))
                continue
            self._note(trial._trial_id, {"tries": tries})
            requests.append(TrialRequest(trial.number, self._values_again(trial)))
        return requests

    def _values_again(self, trial: FrozenTrial) -> dict[str, Any]:
        """The values of a trial that is begun again; what a function had not drawn yet is drawn now."""
        if self._suggest is not None:
            return {**self.fixed, **self._suggest(optuna.trial.Trial(self.study, trial._trial_id))}
        return self.values(trial)

    def has_begun(self, number: int, run: str) -> None:
        """The key of a trial's run, as soon as there is one."""
        self._note(self._id_of(number), {"run": run})

    @property
    def extra(self) -> int:
        """How many trials were enqueued on top of the requested number."""
        return sum(_EXTRA in trial.user_attrs for trial in self.trials())

    def requeue(self, number: int) -> None:
        """A trial that is ended because the study is: that it begins again later is no second try."""
        trial_id = self._id_of(number)
        tries = self._storage.get_trial(trial_id).user_attrs.get("tries", 1)
        self._note(trial_id, {"tries": tries - 1})

    def _wanted(self, trial: FrozenTrial) -> Mapping[str, Any]:
        return trial.params if self._suggest is not None else self._distributions

    def report(self, number: int, epoch: int, value: float) -> bool:
        """A trial's value after an epoch; True when it is to be pruned."""
        trial_id = self._id_of(number)
        self._storage.set_trial_intermediate_value(trial_id, epoch, value)
        if len(self._directions) > 1:
            return False
        return bool(self._pruner.prune(self.study, self._storage.get_trial(trial_id)))

    def tell(self, number: int, result: TrialResult) -> None:
        """Reports how a trial ended; on disk when this returns."""
        notes = {"run": result.run, "message": result.message, "seconds": round(result.duration_s, 3), **result.notes}
        self._note(self._id_of(number), {name: value for name, value in notes.items() if value not in ("", 0.0)})
        state = TrialState[result.state.upper()]
        values = result.values if state is TrialState.COMPLETE else None
        self.study.tell(number, values=values, state=state)

    def _note(self, trial_id: int, notes: Mapping[str, Any]) -> None:
        for name, value in notes.items():
            shown = mask(value) if name == "message" else value  # others are read again as they were
            self._storage.set_trial_user_attr(trial_id, name, shown)

    def _id_of(self, number: int) -> int:
        return int(self._storage.get_trial_id_from_study_id_trial_number(self.study._study_id, number))

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        """Its own trials in one of these states, oldest first; all if none is named."""
        return own(self.study.get_trials(deepcopy=False, states=states or None))

    def know(self, trials: Sequence[FrozenTrial]) -> None:
        """Trials of earlier studies, from which the sampler learns."""
        self.study.add_trials(trials)

    def front(self) -> list[FrozenTrial]:
        """Those on the Pareto front, where there are several objectives."""
        done = self.feasible()
        signs = [-1 if direction == "maximize" else 1 for direction in self._directions]
        points = [[sign * value for sign, value in zip(signs, trial.values, strict=True)] for trial in done]
        if any(WARM in trial.user_attrs for trial in self.study.get_trials(deepcopy=False)):
            return [
                trial
                for trial, point in zip(done, points, strict=True)
                if not any(_dominates(rival, point) for rival in points)
            ]
        return self.study.best_trials

    def ranked(self) -> list[FrozenTrial]:
        """Complete trials, the best first, by the first objective where there are several; infeasible ones last."""
        sign = -1 if self._directions[0] == "maximize" else 1
        done = [trial for trial in self.trials(TrialState.COMPLETE) if trial.values and not math.isnan(trial.values[0])]
        return sorted(done, key=lambda trial: (not is_feasible(trial), sign * trial.values[0], trial.number))

    def feasible(self) -> list[FrozenTrial]:
        """Complete trials that keep to the constraints, the best first."""
        return [trial for trial in self.ranked() if is_feasible(trial)]

    def constraints_message(self) -> str:
        """The message where trials are complete and none of them keeps to the constraints; empty otherwise."""
        done = self.trials(TrialState.COMPLETE)
        return "" if not done or any(map(is_feasible, done)) else "no trial keeps to the constraints: none is the best"

    def best(self) -> list[int]:
        """Numbers of the best trial; of several objectives, of those on the Pareto front."""
        if len(self._directions) > 1:
            return [trial.number for trial in self.front()]
        return [trial.number for trial in self.feasible()[:1]]

    def is_among(self, most: int, values: Sequence[float]) -> bool:
        """Whether a trial with these values would be among the best so many, or on the Pareto front.

        Whether it keeps to the constraints is known only once it has ended; here it is taken to.
        """
        if len(self._directions) > 1:
            signs = [-1 if direction == "maximize" else 1 for direction in self._directions]
            point = [sign * value for sign, value in zip(signs, values, strict=True)]
            for trial in filter(is_feasible, self.trials(TrialState.COMPLETE)):
                if _dominates([sign * value for sign, value in zip(signs, trial.values, strict=True)], point):
                    return False
            return True
        ranked = self.feasible()
        if len(ranked) < most:
            return True
        worst = ranked[most - 1].values[0]
        return bool(values[0] > worst if self._directions[0] == "maximize" else values[0] < worst)

    def _replay(self, study: optuna.Study) -> None:
        """Puts the sampler where it was: in a separate study it draws for the same trials, with the same results."""
        again = optuna.create_study(directions=self._directions, sampler=self._sampler)
        for old in study.get_trials(deepcopy=False):
            if WARM in old.user_attrs:
                again.add_trial(old)
                continue
            if old.state is TrialState.WAITING:
                continue
            if FIXED_PARAMS in old.system_attrs:
                again.enqueue_trial(old.system_attrs[FIXED_PARAMS])
            request = self._request_of(again)
            for name, value in old.user_attrs.items():
                again._storage.set_trial_user_attr(again.trials[-1]._trial_id, name, value)
            self._complete(study, old, again.get_trials(deepcopy=False)[request.number])
            for epoch, value in old.intermediate_values.items():
                again._storage.set_trial_intermediate_value(
                    again.get_trials(deepcopy=False)[request.number]._trial_id, epoch, value
                )
            if old.state.is_finished():
                is_complete = old.state is TrialState.COMPLETE
                again.tell(request.number, old.values if is_complete else None, old.state)

    def _complete(self, study: optuna.Study, old: FrozenTrial, again: FrozenTrial) -> None:
        """Adds values that a kill kept from being written, of a trial that was being requested."""
        if old.state is TrialState.RUNNING:
            for name, distribution in again.distributions.items():
                if name not in old.params:
                    inside = distribution.to_internal_repr(again.params[name])
                    study._storage.set_trial_param(old._trial_id, name, inside, distribution)
