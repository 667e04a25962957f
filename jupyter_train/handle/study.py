"""`Study`: the handle of a search, and `CrossValidation` of several fits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from jupyter_train.config import tune_options_by_name
from jupyter_train.config.option_table import check_machine
from jupyter_train.config.search_space import Choices, parse
from jupyter_train.events import TrialStatus
from jupyter_train.exceptions import ModelError, OptionError, RunStateError, StudyError
from jupyter_train.handle import Run
from jupyter_train.handle.trial import BestTrial, TrialRun
from jupyter_train.store import RunFolder
from jupyter_train.tuning.promote import train_line

if TYPE_CHECKING:
    import optuna
    import pandas as pd
    import torch
    from optuna.trial import FrozenTrial

    from jupyter_train.execution.resume import Launcher
    from jupyter_train.store import Store
    from jupyter_train.store.metrics.reader import Checkpoint
    from jupyter_train.tuning.trial_spec import TrialSpec

#: Order of the states in `Study.trials`; others come last.
_STATE_ORDER = {TrialStatus.COMPLETE: 0, TrialStatus.INFEASIBLE: 1}


class CrossValidation(Run):
    """A run of several fits, its children: folds of a cross-validation, or seeds."""

    @property
    def fits(self) -> pd.DataFrame:
        """One row per fit: `fold`, `seed`, the monitored metric's best value, its `epoch`, `status` and `run`."""
        import pandas as pd

        rows = []
        for run in self.children:
            best = run.best or {}
            row: dict[str, Any] = {name: run.config[name] for name in ("fold", "seed") if name in run.config}
            row |= {best["metric"]: best["value"], "epoch": best["epoch"]} if best else {}
            rows.append(row | {"status": str(run.status), "run": run.key})
        return pd.DataFrame(rows)

    def _found_checkpoint(self, which: str) -> Checkpoint:
        raise RunStateError(f"`{self.ref}` {self._several_fits_message}")

    def _module_for(self, into: torch.nn.Module | None) -> NoReturn:
        raise ModelError(f"`{self.ref}` {self._several_fits_message}")

    @property
    def _several_fits_message(self) -> str:
        return (
            "is several fits, each with weights of its own; `run.fits` lists them, and `run.children[0].model(Net())` "
            "gives the first, with your model in place of `Net()`"
        )

    @property
    def mean(self) -> float | None:
        """Mean of the fits' values of the monitored metric, each at its best epoch; None before the first has ended.

        Optimistic: the best epoch is selected on the validation rows that give its value. `mean_last` selects
        nothing.
        """
        return float(self.best["value"]) if self.best is not None else None

    @property
    def std(self) -> float | None:
        """Standard deviation (n - 1) of the values behind `mean`."""
        return float(self.best["std"]) if self.best is not None else None

    @property
    def mean_last(self) -> float | None:
        """Mean of the fits' values of the monitored metric, each at its last epoch; None before the first has ended."""
        last = (self.best or {}).get("last")
        return float(last) if last is not None else None

    @property
    def std_last(self) -> float | None:
        """Standard deviation (n - 1) of the values behind `mean_last`."""
        spread = (self.best or {}).get("last_std")
        return float(spread) if spread is not None else None


class TrialRepeats(CrossValidation, TrialRun):
    """A trial of several fits."""


class Study(Run):
    """A search: a run whose children are its trials.

    Everything is read from its folder on access, so a handle is never stale.
    """

    _what = "study"

    def __init__(
        self,
        store: Store,
        key: str,
        plan: TrialSpec | None = None,
        shown_in: tuple[int, int] | None = None,
        launcher: Launcher[Run] | None = None,
    ) -> None:
        super().__init__(store, key, shown_in=shown_in, launcher=launcher)
        self._plan = plan

    @property
    def optuna(self) -> optuna.Study:
        """Optuna's own study, read from the journal in the run folder; after `--warm-start`, with the earlier trials.

        Raises:
            StudyError: It has no trial yet.
        """
        import optuna
        from optuna.storages import JournalStorage

        from jupyter_train.tuning.journal import reader
        from jupyter_train.tuning.warm_start import JOURNAL, NAME

        path = RunFolder(self.record.folder).path / JOURNAL
        if not path.exists():
            raise StudyError(f"`{self.ref}` has no trial yet")
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        return optuna.load_study(study_name=NAME, storage=JournalStorage(reader(path)))

    @property
    def trials(self) -> pd.DataFrame:
        """One row per trial, the best first: `state`, the objectives, every searched name, `seconds`, `run`, `message`.

        The index is the trial's number. Complete trials that violate a constraint (`infeasible`) follow the feasible
        ones, pruned and failed trials come last; a pruned trial has its last value. An interrupted or enqueued trial
        is `waiting`: it runs next when the study resumes.
        """
        import pandas as pd

        from jupyter_train.tuning.trial_records import meant, status_of, values_so_far

        space = {name: parse(name, text) for name, text in self.config.get("space", {}).items()}
        waits = {TrialStatus.WAITING} | (set() if self.status.is_live else {TrialStatus.RUNNING})
        objectives = [str(name) for name, _ in self.config["objectives"]]
        rows: dict[int, dict[str, Any]] = {}
        for trial in self._own_trials():
            values = trial.values or [None] * len(objectives)
            status = status_of(trial)
            rows[trial.number] = {
                "state": (TrialStatus.WAITING if status in waits else status).value,
                **dict(zip(objectives, values, strict=False)),
                **meant(values_so_far(trial), space),
                "seconds": trial.user_attrs.get("seconds"),
                "run": trial.user_attrs.get("run", ""),
                "message": trial.user_attrs.get("message", ""),
            }
        frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis("trial")
        for name in space.keys() & set(frame):  # None and booleans are choices, not missing numbers
            if isinstance(space[name], Choices):
                values = [row.get(name) for row in rows.values()]
                frame[name] = pd.Series(values, frame.index, None if set(map(type, values)) <= {int, float} else object)
        if objectives[0] in frame:
            frame = frame.sort_values(objectives[0], ascending=self.config["objectives"][0][1] == "min", kind="stable")
            frame = frame.sort_values(
                "state", key=lambda states: states.map(_STATE_ORDER).fillna(len(_STATE_ORDER)), kind="stable"
            )
        return frame

    @property
    def best(self) -> BestTrial | None:  # type: ignore[override]
        """The best feasible trial; None before one is complete.

        After `--confirm` the one with the best mean over several seeds. With several objectives the best by the
        first; `study.optuna.best_trials` is the whole Pareto front. All values of a trial are those of one epoch, the
        best by the first objective, whose weights are kept.
        """
        from jupyter_train.tuning.trial_records import status_of

        sign = 1 if self.config["objectives"][0][1] == "min" else -1
        trials = self._own_trials()
        complete = [trial for trial in trials if status_of(trial) is TrialStatus.COMPLETE and trial.values]
        if not complete:
            return None
        best = min(complete, key=lambda trial: (sign * trial.values[0], trial.number))
        confirmed = self.record.summary.get("confirmed") or []
        if confirmed:
            best = next((trial for trial in complete if trial.number == confirmed[0]["trial"]), best)
        return BestTrial(best, self._run_of(best), self.ref)

    @property
    def confirmed(self) -> pd.DataFrame:
        """After `--confirm`: the best trials' `mean` and `std` over further seeds, and their `run`, the best first."""
        import pandas as pd

        columns = ["trial", "mean", "std", "run"]
        return pd.DataFrame(self.record.summary.get("confirmed") or [], columns=columns).set_index("trial")

    def resume(self, wait_s: float = 10.0, **changes: object) -> Run | str:
        """Resumes it: after a pause, or, when its own process has ended or died, in another one.

        Args:
            wait_s: How long to wait for an answer after a pause, in seconds.
            **changes: New `trials` or `timeout`.

        Raises:
            OptionError: Another option is given, or a value does not fit.
            RunStateError: This kernel cannot resume it; the message says what to type.
        """
        if refused := changes.keys() - {"trials", "timeout"}:
            raise OptionError(
                "a study resumes the same search; only `trials` and `timeout` may change, not "
                + ", ".join(f"`{name}`" for name in sorted(refused))
            )
        known = tune_options_by_name()
        checked = {name: known[name].validate(value) for name, value in changes.items()}
        check_machine(known, checked | {"oversubscribe": self.config.get("train", {}).get("oversubscribe")})
        return super().resume(wait_s, **checked)

    def add_trial(self, wait_s: float = 10.0, **values: object) -> str:
        """Enqueues a trial with these values, in addition to the requested number; names left out are sampled.

        Args:
            wait_s: How long to wait for the answer, in seconds.
            **values: By searched name.

        Raises:
            CommandRefusedError: A name is not searched, or a value lies outside.
            RunStateError: The search is over.
        """
        return self.send("add_trial", wait_s, values=values)

    def narrow(self, wait_s: float = 10.0, **ranges: str) -> str:
        """Narrows a range from the next trial on: `study.narrow(lr="1e-3..1e-2")`.

        Args:
            wait_s: How long to wait for the answer, in seconds.
            **ranges: By searched name.

        Raises:
            CommandRefusedError: It lies outside the range, or the name has choices.
            RunStateError: The search is over.
        """
        return self.send("narrow", wait_s, ranges=ranges)

    def importance(self, evaluator: str = "ped-anova") -> pd.Series:
        """Importance of each searched name for the objective, in descending order; they sum to 1.

        Args:
            evaluator: `ped-anova`, as in the panel, or `fanova` (Optuna's; both say what they assume).

        Raises:
            StudyError: There are too few complete trials, or no such evaluator.
        """
        import pandas as pd

        from jupyter_train.tuning.study_snapshot import EVALUATORS, importances

        if evaluator not in EVALUATORS:
            raise StudyError(f"`{evaluator}` is no evaluator; expected one of {', '.join(EVALUATORS)}")
        weights = importances(self.optuna, evaluator)
        if not weights:
            raise StudyError(f"`{self.ref}` has too few complete trials for importances")
        return pd.Series(weights, name="importance").rename_axis("name")

    def trial(self, number: int) -> Run:
        """The run of a trial.

        Raises:
            StudyError: There is no such trial, or it has no run yet.
        """
        for trial in self._own_trials():
            if trial.number == number and "run" in trial.user_attrs:
                return self._run_of(trial)
        raise StudyError(f"`{self.ref}` has no trial {number} that began; `study.trials` lists them")

    def _own_trials(self) -> list[FrozenTrial]:
        from jupyter_train.tuning.warm_start import own

        return own(self.optuna.get_trials(deepcopy=False))

    def _run_of(self, trial: FrozenTrial) -> TrialRun:
        handle = TrialRepeats if {"cv", "seeds"} & self.config.get("train", {}).keys() else TrialRun
        return handle(self._store, trial.user_attrs["run"], self._plan)

    def promote(self) -> str:
        """The best trial as a line of `%train`.

        Raises:
            StudyError: No trial is complete, or a line cannot name its model; the message says what to write.
        """
        best = self.best
        if best is None:
            has_infeasible = TrialStatus.INFEASIBLE in set(self.trials["state"])
            what = "complete trial that keeps to the constraints" if has_infeasible else "complete trial"
            raise StudyError(f"`{self.ref}` has no {what} to promote")

        return train_line(self.config, best.params)
