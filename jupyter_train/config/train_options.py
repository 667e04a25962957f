"""`TrainOptions`: every option of `%train` but `pl.Trainer`'s arguments, declared once."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from jupyter_train.config import bounds, checks, shared_options
from jupyter_train.config.fit_options import FitOptions
from jupyter_train.config.options import Completion, Option, Scope, declared_options
from jupyter_train.config.options import option_field as _option


@dataclass
class TrainOptions(FitOptions):
    """Options of `%train`: those of its fit, then those of the run."""

    name: str | None = _option(
        str, "name of the run (default: the model's class)", check=checks.run_name, affects_weights=False, form_order=10
    )
    tag: list[str] = _option(str, "a tag; may be repeated", [], repeats=True, affects_weights=False)
    note: str | None = _option(str, "a note kept with the run", affects_weights=False)
    wandb: str | bool | None = _option(
        (str, bool), "mirror the run to Weights & Biases", bare=True, metavar="PROJECT", affects_weights=False
    )
    logger: list[Any] = _option(
        object,
        "an expression: a Lightning logger beside the run",
        [],
        repeats=True,
        is_expression=True,
        affects_weights=False,
        is_restorable=False,
    )
    callback: list[Any] = _option(
        object,
        "an expression: a Lightning callback; may be repeated",
        [],
        repeats=True,
        is_expression=True,
        affects_weights=False,
        is_restorable=False,
    )
    engine: str = _option(
        str,
        "which epoch loop trains: lean, or lightning for its own (same results, slower)",
        "lean",
        choices=("lean", "lightning"),
        affects_weights=False,
    )
    checkpoint: str = _option(
        str,
        "how checkpoints are written: async (in the background) or sync (where memory is short)",
        "async",
        choices=("async", "sync"),
        affects_weights=False,
    )
    checkpoint_minutes: float = _option(
        float,
        "at most so many minutes between two checkpoints: what a kill may lose",
        5.0,
        check=checks.positive,
        affects_weights=False,
    )
    keep_best: int = _option(
        int,
        "how many of the best checkpoints to keep",
        1,
        check=checks.at_least_one,
        bound=bounds.CHECKPOINTS,
        affects_weights=False,
        trial_refusal="a search keeps the weights of its best three trials, one checkpoint each",
    )
    resume: str | None = _option(
        str,
        "resume this run where it was interrupted; a finished one with more --epochs",
        metavar="RUN",
        affects_weights=False,
        scope=Scope.START,
        in_fits=False,
        completes=Completion.RUNS,
    )
    fork: str | None = _option(
        str,
        "start a new run from a checkpoint of this one, with the options given",
        metavar="RUN",
        affects_weights=False,
        scope=Scope.START,
        trial_refusal="a trial starts from fresh weights; `%train --fork` forks a run",
    )
    from_: str | None = _option(
        str,
        "with --resume or --fork: the checkpoint: best, last or a step (the newest valid one)",
        metavar="best|last|STEP",
        check=checks.checkpoint_choice,
        affects_weights=False,
        scope=Scope.START,
        trial_refusal="a trial starts from fresh weights; `%train --resume RUN --from STEP` resumes a run",
    )
    force: bool = _option(
        bool,
        "with --resume: resume although data, code or options have changed",
        False,
        bare=True,
        affects_weights=False,
        scope=Scope.START,
        trial_refusal="`--resume STUDY` resumes the same search; nothing can be changed",
    )
    reinit: bool = _option(
        bool,
        "reset the model to its step-0 weights",
        False,
        bare=True,
        affects_weights=False,
        scope=Scope.START,
        trial_refusal="every trial starts from fresh weights",
    )
    on_interrupt: str = _option(
        str,
        "after the kernel's Interrupt: raise (stop the notebook) or return",
        "raise",
        choices=("raise", "return"),
        affects_weights=False,
        in_form=False,
    )
    on_nan: str = _option(
        str,
        "when a loss or the monitored metric is NaN or infinite: warn (the run continues, and ends with a warning) "
        "or stop",
        "warn",
        choices=("warn", "stop"),
        affects_weights=False,
    )
    record: str = _option(
        str,
        "how much source to keep: code=full, code=hash or code=none",
        "code=full",
        choices=("code=full", "code=hash", "code=none"),
        affects_weights=False,
    )
    record_every: int | None = _option(
        int,
        "record every N-th step (default: all, up to 1,000 points/s)",
        check=checks.at_least_one,
        affects_weights=False,
    )
    detach: bool = shared_options.detach(
        "train in a process of its own: the kernel is free at once, and may be shut down", in_fits=False
    )
    yes: bool = shared_options.yes("with `--detach`: copy more than 1 GB of data to the process")
    notify: str | None = shared_options.notify(
        "when the run is over: a URL to send JSON to, or a shell command", in_fits=False
    )
    oversubscribe: bool = _option(
        bool,
        "allow more devices, folds or seeds than this machine has processors for, up to a limit",
        False,
        bare=True,
        affects_weights=False,
    )
    explain: bool = _option(
        bool,
        "explain how it would be trained, and why, instead of training",
        False,
        bare=True,
        affects_weights=False,
        trial_refusal="`%train --explain` explains one run",
    )
    tune_loader: bool = _option(
        bool,
        "measure the DataLoader with other workers and prefetching, instead of training",
        False,
        bare=True,
        affects_weights=False,
        trial_refusal="`%train --tune-loader` measures the loader",
    )
    form: bool = _option(
        bool,
        "show these options as a form instead of training",
        False,
        bare=True,
        affects_weights=False,
        scope=Scope.ATTEMPT,
        in_form=False,
        trial_refusal="a form is for the line: `%tune --form LitDigits data`",
    )
    quiet: bool = shared_options.quiet()


@functools.cache
def own_options() -> tuple[Option, ...]:
    """The options declared here, in order."""
    return declared_options(TrainOptions)
