"""`Study`: what people hold of a search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_train.config import tune_options_by_name
from jupyter_train.config.train import check_machine
from jupyter_train.exceptions import ModelError, OptionError, RunStateError, StudyError
from jupyter_train.handle import Run
from jupyter_train.handle.trial import BestTrial, TrialRun
from jupyter_train.store import RunFolder

if TYPE_CHECKING:
    import optuna
    import pandas as pd
    from optuna.trial import FrozenTrial

    from jupyter_train.execution.resume import Launcher
    from jupyter_train.store import Store
    from jupyter_train.store.metrics.reader import Checkpoint
    from jupyter_train.tuning.trial_spec import TrialSpec


#: Trials in these states come first.
_ORDER = {"complete": 0, "infeasible": 1}


class CrossValidation(Run):
    """Several fits as one run: the folds of a cross-validation, or seeds; its children are the fits."""

    @property
    def fits(self) -> pd.DataFrame:
        """One row a fit: `fold`, `seed`, the monitored metric's best value, its `epoch`, `status` and `run`."""
        import pandas as pd

        rows = []
        for run in self.children:
            best = run.best or {}
            row: dict[str, Any] = {name: run.config[name] for name in ("fold", "seed") if name in run.config}
            row |= {best["metric"]: best["value"], "epoch": best["epoch"]} if best else {}
            rows.append(row | {"status": str(run.status), "run": run.key})
        return pd.DataFrame(rows)

    def _found_checkpoint(self, which: str) -> Checkpoint:
        raise RunStateError(f"`{self.ref}` {self._several}")

    def _module_for(self, into: Any) -> Any:
        raise ModelError(f"`{self.ref}` {self._several}")

    @property
    def _several(self) -> str:
        return (
            "is several fits, each with weights of its own; `run.fits` lists them, and `run.children[0].model(Net())` "
            "gives the first, with what makes yours in the place of `Net()`"
        )

    @property
    def mean(self) -> float | None:
        """Mean of the fits' values of the monitored metric, each at its best epoch; None before the first has ended.

        The best epoch is chosen by the very rows that give the value, which flatters it: on pure noise too, the best
        of many epochs is better than chance. `mean_last` chooses nothing.
        """
        return float(self.best["value"]) if self.best is not None else None

    @property
    def std(self) -> float | None:
        """Standard deviation (n - 1) of the values that `mean` is of."""
        return float(self.best["std"]) if self.best is not None else None

    @property
    def mean_last(self) -> float | None:
        """Mean of the fits' values of the monitored metric, each at its last epoch; None before the first has ended."""
        last = (self.best or {}).get("last")
        return float(last) if last is not None else None

    @property
    def std_last(self) -> float | None:
        """Standard deviation (n - 1) of the values that `mean_last` is of."""
        spread = (self.best or {}).get("last_std")
        return float(spread) if spread is not None else None


class TrialRepeats(CrossValidation, TrialRun):
    """A trial that is several fits."""


class Study(Run):
    """A search: a run whose children are its trials.

    Everything is read from its folder when asked, so a handle is never stale.
    """

    _what = "study"

    def __init__(
        self,
        store: Store,
        key: str,
        plan: TrialSpec | None = None,
        shown_in: Any = None,
        launcher: Launcher | None = None,
    ) -> None:
        super().__init__(store, key, shown_in=shown_in, launcher=launcher)
        self._plan = plan

    @property
    def optuna(self) -> optuna.Study:
        """Optuna's own study, read from the journal in the run folder; after `--warm-start`, with what it began with.

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
        """One row a trial, the best first: `state`, the objectives, every searched name, `seconds`, `run`, `message`.

        The index is the trial's number. Complete trials that break a constraint (`infeasible`) come after those that
        keep to all, and trials that were pruned or failed last; a pruned one has the value it had reached. One that a
        stop broke off, or that was added by hand, is `waiting`: it is next when the study goes on.
        """
        import pandas as pd

        from jupyter_train.config.search_space import Choices, parse
        from jupyter_train.tuning.trial_records import given, is_feasible, meant

        space = {name: parse(name, text) for name, text in self.config.get("space", {}).items()}
        waits = {"waiting"} if self.status.is_live else {"waiting", "running"}
        objectives = [str(name) for name, _ in self.config["objectives"]]
        rows: dict[int, dict[str, Any]] = {}
        for trial in self._own_trials():
            values = trial.values or [None] * len(objectives)
            state = trial.state.name.lower()
            state = "infeasible" if state == "complete" and not is_feasible(trial) else state
            rows[trial.number] = {
                "state": "waiting" if state in waits else state,
                **dict(zip(objectives, values, strict=False)),
                **meant(given(trial), space),
                "seconds": trial.user_attrs.get("seconds"),
                "run": trial.user_attrs.get("run", ""),
                "message": trial.user_attrs.get("message", ""),
            }
        frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis("trial")
        for name in space.keys() & set(frame):  # nothing, and truth values, are choices and no gaps among numbers
            if isinstance(space[name], Choices):
                values = [row.get(name) for row in rows.values()]
                frame[name] = pd.Series(values, frame.index, None if set(map(type, values)) <= {int, float} else object)
        if objectives[0] in frame:
            frame = frame.sort_values(objectives[0], ascending=self.config["objectives"][0][1] == "min", kind="stable")
            frame = frame.sort_values("state", key=lambda states: states.map(_ORDER).fillna(len(_ORDER)), kind="stable")
        return frame

    @property
    def best(self) -> BestTrial | None:  # type: ignore[override]
        """The best trial that keeps to the constraints; None before one is complete.

        After `--confirm` it is the one that is best over several seeds.

        Of several objectives it is the best by the first; `study.optuna.best_trials` is the whole Pareto front. All
        values of a trial are those of one epoch, the best by the first objective: its weights are kept.
        """
        from jupyter_train.tuning.trial_records import is_feasible

        sign = 1 if self.config["objectives"][0][1] == "min" else -1
        trials = self._own_trials()
        done = [one for one in trials if one.state.name == "COMPLETE" and one.values and is_feasible(one)]
        if not done:
            return None
        best = min(done, key=lambda one: (sign * one.values[0], one.number))
        confirmed = self.record.summary.get("confirmed") or []
        if confirmed:
            best = next((one for one in done if one.number == confirmed[0]["trial"]), best)
        return BestTrial(best, self._run_of(best), self.ref)

    @property
    def confirmed(self) -> pd.DataFrame:
        """After `--confirm`: the best trials' `mean` and `std` over further seeds, and their `run`, the best first."""
        import pandas as pd

        columns = ["trial", "mean", "std", "run"]
        return pd.DataFrame(self.record.summary.get("confirmed") or [], columns=columns).set_index("trial")

    def resume(self, wait_s: float = 10.0, **changes: Any) -> Run | str:
        """Goes on with it: after a pause, or, when its own process has ended or died, in another one.

        Args:
            wait_s: How long to wait for an answer after a pause, in seconds.
            **changes: `trials` or `timeout`, where they are others from here on.

        Raises:
            OptionError: Something else is to be changed, or a value does not fit.
            RunStateError: Nothing here can go on with it; the message says what to type.
        """
        if others := changes.keys() - {"trials", "timeout"}:
            raise OptionError(
                "a study goes on with what it searched; only `trials` and `timeout` may be others, not "
                + ", ".join(f"`{name}`" for name in sorted(others))
            )
        known = tune_options_by_name()
        checked = {name: known[name].validate(value) for name, value in changes.items()}
        check_machine(known, checked | {"oversubscribe": self.config.get("train", {}).get("oversubscribe")})
        return super().resume(wait_s, **checked)

    def add_trial(self, wait_s: float = 10.0, **values: Any) -> str:
        """Has these values tried next, on top of the trials that were asked for; names left out are drawn.

        Args:
            wait_s: How long to wait for the answer, in seconds.
            **values: By searched name.

        Raises:
            CommandRefusedError: A name is not searched, or a value lies outside.
            RunStateError: The search is over.
        """
        return self.tell("add_trial", wait_s, values=values)

    def narrow(self, wait_s: float = 10.0, **ranges: str) -> str:
        """From the next trial on, searches only a part of a range: `study.narrow(lr="1e-3..1e-2")`.

        Args:
            wait_s: How long to wait for the answer, in seconds.
            **ranges: By searched name.

        Raises:
            CommandRefusedError: It is no part of the range, or these are choices.
            RunStateError: The search is over.
        """
        return self.tell("narrow", wait_s, ranges=ranges)

    def importance(self, evaluator: str = "ped-anova") -> pd.Series:
        """How much of the objective each searched name explains, the most important first; together 1.

        Args:
            evaluator: `ped-anova`, as in the panel, or `fanova` (Optuna's; both say what they assume).

        Raises:
            StudyError: There are too few complete trials, or no such evaluator.
        """
        import pandas as pd

        from jupyter_train.tuning.study_snapshot import EVALUATORS, importances

        if evaluator not in EVALUATORS:
            raise StudyError(f"`{evaluator}` weighs nothing; expected one of {', '.join(EVALUATORS)}")
        found = importances(self.optuna, evaluator)
        if not found:
            raise StudyError(f"`{self.ref}` has too few complete trials to weigh what they were given")
        return pd.Series(found, name="importance").rename_axis("name")

    def trial(self, number: int) -> Run:
        """The run of a trial.

        Raises:
            StudyError: There is no such trial, or it has no run yet.
        """
        for one in self._own_trials():
            if one.number == number and "run" in one.user_attrs:
                return self._run_of(one)
        raise StudyError(f"`{self.ref}` has no trial {number} that began; `study.trials` lists them")

    def _own_trials(self) -> list[FrozenTrial]:
        from jupyter_train.tuning.warm_start import own

        return own(self.optuna.get_trials(deepcopy=False))

    def _run_of(self, trial: FrozenTrial) -> TrialRun:
        made = TrialRepeats if {"cv", "seeds"} & self.config.get("train", {}).keys() else TrialRun
        return made(self._store, trial.user_attrs["run"], self._plan)

    def promote(self) -> str:
        """The best trial as a line of `%train`, ready to run.

        Raises:
            StudyError: No trial is complete, or a line cannot name what made its model; the message says what to write.
        """
        best = self.best
        if best is None:
            done = set(self.trials["state"])
            what = "complete trial that keeps to the constraints" if "infeasible" in done else "complete trial"
            raise StudyError(f"`{self.ref}` has no {what} to promote")
        from jupyter_train.tuning.promote import train_line

        return train_line(self.config, best.params)
