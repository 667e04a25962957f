"""`SearchSpec`: what a study is to search, before any of it is recorded."""

from __future__ import annotations

from dataclasses import dataclass, field

from jupyter_train.training.run_observer import RunObserver
from jupyter_train.tuning.samplers import Constraints
from jupyter_train.tuning.study_storage import Suggest
from jupyter_train.tuning.trial_spec import TrialSpec


@dataclass
class SearchSpec:
    """A study about to be run.

    Attributes:
        plan: What its trials are made of.
        suggest: Draws a trial's values, where the space is a function.
        constraints: How far a trial is from what is allowed.
        parent: Key of the run that started this one, such as a repeated notebook.
        payload: Hash of what the study's own process was given; empty where this is not that process.
        remarks: Notes for the user, recorded when it begins.
        observer: Follows the study: notified of its record, with its writer where this process searches.
    """

    plan: TrialSpec
    parent: str | None = None
    suggest: Suggest | None = None
    constraints: Constraints | None = None
    payload: str = ""
    remarks: list[str] = field(default_factory=list)
    observer: RunObserver = field(default_factory=RunObserver)
