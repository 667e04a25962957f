"""Trains the best trials again with several seeds, so that the winner is not a lucky one."""

from __future__ import annotations

from functools import partial
from typing import Any

from jupyter_train.execution import launcher
from jupyter_train.execution.run_spec import RunSpec
from jupyter_train.run import RunRole, RunStatus
from jupyter_train.store import Store
from jupyter_train.tuning.checkpoint_retention import KEPT
from jupyter_train.tuning.parameter_json import packed
from jupyter_train.tuning.scheduler import Scheduler
from jupyter_train.tuning.trial_spec import TrialSpec

SEEDS = 3


def _made(plan: TrialSpec, params: dict[str, Any], _config: object) -> tuple[Any, Any]:
    return plan.build(params), plan.data


def confirm(store: Store, plan: TrialSpec, scheduler: Scheduler) -> None:
    """Trains the best trials with further seeds; the summary says who wins, by the mean.

    Each is a run of several fits, whose own weights are kept. Only validation decides; a test part stays untouched.
    """
    means: list[dict[str, Any]] = []
    for trial in scheduler.storage.feasible()[:KEPT]:
        scheduler.apply_commands()
        if scheduler.is_stopped:
            return
        params = scheduler.storage.values(trial)
        config = plan.trial_config(params)
        config.name, config.seeds = config.name or plan.name, SEEDS
        assert config.seed is not None
        config.seed += 1  # the seed of the search has had its say
        config.split_seed = plan.config.seed
        spec = RunSpec(
            config=config,
            role=RunRole.TRIAL,
            notebook=plan.notebook,
            parent=plan.study,
            recorded={"confirms": trial.number, **packed(params)},
        )
        run = launcher.launch_run(store, spec, partial(_made, plan, params)).recorded
        best = run.summary.get("best")
        if run.status is not RunStatus.FINISHED or best is None:
            scheduler.warn(f"trial {trial.number} could not be confirmed: {run.message}")
            continue
        means.append({"trial": trial.number, "mean": best["value"], "std": best["std"], "run": run.key})
    sign = 1 if plan.config.objectives[0][1] == "min" else -1
    means.sort(key=lambda entry: sign * float(entry["mean"]))
    scheduler.confirmed(means)
