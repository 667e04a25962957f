"""What a sampler learns from earlier studies: their trials are in Optuna's study, and count as none of this one's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from jupyter_train.config import TuneConfig
from jupyter_train.events import RunKind
from jupyter_train.exceptions import StudyError
from jupyter_train.run import RunRecord
from jupyter_train.store import RunFolder, Store, trust
from jupyter_train.tuning.journal import reader
from jupyter_train.tuning.samplers import distributions_of
from jupyter_train.tuning.trial_records import CONSTRAINTS

#: Name of the user attribute that says which study a trial was taken from.
WARM = "of an earlier study"
#: The file of a study's trials in its run folder, and the name that Optuna knows it by.
JOURNAL = "study.journal"
NAME = "study"


def own(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Those that the study itself has tried."""
    return [trial for trial in trials if WARM not in trial.user_attrs]


def earlier_trials(store: Store, config: TuneConfig) -> tuple[list[FrozenTrial], list[str]]:
    """The complete trials of every `--warm-start` that lie in what is searched now; and a line about each study.

    Raises:
        StudyError: It is no study, had other objectives, or none of its trials lies in what is searched.
        UntrustedError: Its folder is not the one it was recorded in.
    """
    trials: list[FrozenTrial] = []
    remarks = []
    for word in config.warm_start:
        record = store.find(word)
        done, taken = _taken(store, record, config)
        if not taken:
            raise StudyError(
                f"`--warm-start {word}`: none of its {done} complete trials lies in what is searched here; leave it out"
            )
        trials += taken
        remarks.append(
            f"warm start: {len(taken)} of {done} complete trials of {record.ref} lie in what is searched here"
        )
    return trials, remarks


def _taken(store: Store, record: RunRecord, config: TuneConfig) -> tuple[int, list[FrozenTrial]]:
    if record.kind != RunKind.TUNE:
        raise StudyError(f"`--warm-start {record.ref}`: it is no study but a run")
    objectives = [tuple(objective) for objective in record.config.get("objectives", [])]
    if objectives != config.objectives:
        shown = " and ".join(f"{direction} {metric}" for metric, direction in objectives)
        raise StudyError(f"`--warm-start {record.ref}`: it searched for {shown}; expected the same objectives")
    trust.verify(store, record)
    path = RunFolder(record.folder).path / JOURNAL
    if not path.exists():
        raise StudyError(f"`--warm-start {record.ref}`: it has no trial yet")
    study = optuna.load_study(study_name=NAME, storage=JournalStorage(reader(path)))
    done = own(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
    searched = distributions_of(config.space)
    return len(done), [_as_known(trial, searched, record.ref) for trial in done if _lies_in(trial, searched)]


def _lies_in(trial: FrozenTrial, searched: Mapping[str, BaseDistribution]) -> bool:
    for name, distribution in searched.items():
        try:
            is_inside = distribution._contains(distribution.to_internal_repr(trial.params[name]))
        except (KeyError, ValueError, TypeError):
            return False
        if not is_inside:
            return False
    return bool(trial.params)


def _as_known(trial: FrozenTrial, searched: Mapping[str, BaseDistribution], ref: str) -> FrozenTrial:
    """The same trial with the distributions of this search; of a space that is a function, with its own.

    What its pruner noted, it noted of other trials.
    """
    names = searched or trial.distributions
    return create_trial(
        values=trial.values,
        params={name: trial.params[name] for name in names},
        distributions=dict(names),
        user_attrs={WARM: ref},
        system_attrs={name: value for name, value in trial.system_attrs.items() if name == CONSTRAINTS},
    )
