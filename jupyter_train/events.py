"""What can happen to a run, and the kinds there are of runs, checkpoints, trials and verdicts.

A store may hold a kind that a later release wrote: what is read from it is text, and equal to a member where it is one.
"""

from __future__ import annotations

import enum


class EventKind(enum.StrEnum):
    """The kind of an event of a run.

    Attributes:
        is_shown: Whether a panel shows events of this kind in a line.
        is_warning: Whether that line is a warning.
    """

    is_shown: bool
    is_warning: bool

    def __new__(cls, value: str, is_shown: bool = True, is_warning: bool = False) -> EventKind:
        """A member: the text that is stored, and how a panel shows it."""
        kind = str.__new__(cls, value)
        kind._value_, kind.is_shown, kind.is_warning = value, is_shown, is_warning
        return kind

    BEST = "best"  #: which epoch is the best is unknown, or chosen in another way than requested
    CHECKPOINT = "checkpoint", True, True  #: a checkpoint was not written, or training waited for it
    COMMAND = "command"  #: a command that was obeyed; `data`: `verb`, `arguments`
    CONTINUES = "continues"  #: the model was trained by an earlier run; `data`: `run`, `from_step`
    DIVERGED = "diverged", True, True  #: a verdict; `data`: `attempt`, `verdict`, `words`
    EARLY_STOP = "early_stop"
    ENGINE = "engine", False  #: which loop trains, and why
    FORKED = "forked"
    FOUND = "found"  #: what was found before or beside training: a learning rate, a batch size, a better trial
    INITIAL_STATE = "initial_state"
    LOST = "lost", False  #: the process of an attempt is gone; `data`: `attempt`
    MIRROR = "mirror"  #: `data`: `mirror`, and `place` once the run is to be found there
    NON_FINITE = "nan", True, True  #: `data`: `metric`
    NOTIFY = "notify", False
    NOT_VERIFIED = "not verified"  #: a verdict; `data`: `attempt`, `verdict`, `words`
    ORDER = "order"  #: why the order of samples may differ once the run is resumed
    RECOVERED = "recovered"
    REFUSED = "refused", True, True  #: a command that was refused; `data`: `verb`
    RESUMED = "resumed"
    STRIDED = "strided"  #: of a frequent series only some steps are recorded; `data`: `stride`
    TRIAL_FAILED = "trial failed"
    TRUSTED = "trusted", False  #: a folder of unknown origin was adopted
    VERIFIED = "verified"  #: a verdict; `data`: `attempt`, `verdict`, `words`
    WARNING = "warning", True, True


class Verdict(enum.StrEnum):
    """What the comparison of a resumed attempt with the values recorded before came to."""

    EXACT = "verified exact"
    EXACT_SO_FAR = "exact so far"
    NOT_VERIFIED = "not verified"
    NOT_VERIFIED_SO_FAR = "not verified so far"
    DIVERGED = "diverged"

    @property
    def event_kind(self) -> EventKind:
        """The kind of the event that reports it."""
        return _EVENT_KINDS[self]


_EVENT_KINDS = {
    Verdict.EXACT: EventKind.VERIFIED,
    Verdict.EXACT_SO_FAR: EventKind.VERIFIED,
    Verdict.NOT_VERIFIED: EventKind.NOT_VERIFIED,
    Verdict.NOT_VERIFIED_SO_FAR: EventKind.NOT_VERIFIED,
    Verdict.DIVERGED: EventKind.DIVERGED,
}
#: The kinds of events that report a verdict.
VERDICT_EVENTS = frozenset(_EVENT_KINDS.values())
#: The kinds of events that begin an attempt.
START_EVENTS = frozenset({EventKind.RESUMED, EventKind.FORKED})


class RunKind(enum.StrEnum):
    """What a run is."""

    TRAIN = "train"  #: one fit
    CROSS_VALIDATION = "cv"  #: several fits, by fold or seed
    FOLD = "fold"  #: one fit of those
    TUNE = "tune"  #: a search
    TRIAL = "trial"  #: one trial of a search
    RETRAIN = "retrain"  #: a notebook


#: Kinds of runs that are parts of another run; lists show that run in their place.
PARTS = frozenset({RunKind.FOLD, RunKind.TRIAL})


def magic_of(kind: str) -> str:
    """The magic that resumes a run of this kind."""
    return "%tune" if kind == RunKind.TUNE else "%train"


class CheckpointKind(enum.StrEnum):
    """Why a checkpoint is kept."""

    BEST = "best"
    LAST = "last"
    MANUAL = "manual"  #: by a command; never deleted
    SUPERSEDED = "superseded"  #: of steps that a later attempt has trained again


class TrialStatus(enum.StrEnum):
    """Where a trial of a search stands: Optuna's states in lower case, and one more."""

    COMPLETE = "complete"
    INFEASIBLE = "infeasible"  #: complete, but a constraint does not hold
    PRUNED = "pruned"
    FAIL = "fail"
    RUNNING = "running"
    WAITING = "waiting"

    @property
    def letter(self) -> str:
        """What stands for it in a snapshot of a search."""
        return self.value[0]
