"""`TuneOptions`: the options of a search, declared once."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from functools import partial

from jupyter_train.config import bounds, checks, search_methods, shared_options
from jupyter_train.config.options import Completion, Option, Scope, declared_options
from jupyter_train.config.options import option_field as _option

_MAX_SECONDS = 3652 * 86400.0
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def _seconds(value: object) -> float:
    """`90`, `90s`, `10m`, `1.5h` or `2d` in seconds."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*", str(value))
    seconds = float(match[1]) * _UNITS[match[2] or "s"] if match is not None else 0.0
    if not 0 < seconds <= _MAX_SECONDS:
        raise ValueError("a duration such as `90s`, `10m` or `1.5h`, of at most 10 years")
    return seconds


@dataclass
class TuneOptions:
    """Options of `%tune`, with their checked values."""

    trials: int | None = _option(
        int,
        "how many trials; this or --timeout must be given, except for grid",
        check=checks.at_least_one,
        bound=bounds.TRIALS,
        affects_weights=False,
        scope=Scope.ATTEMPT,
        search_form_order=1,
    )
    timeout: float | None = _option(
        (str, float),
        "start no trial after this long",
        metavar="10m",
        check=_seconds,
        affects_weights=False,
        scope=Scope.ATTEMPT,
    )
    trial_timeout: float | None = _option(
        (str, float),
        "end a trial that takes longer than this; it counts as failed",
        metavar="10m",
        check=_seconds,
        affects_weights=False,
    )
    max_failures: int | None = _option(
        int,
        "give up after so many failed trials; default: after three in a row with the same error",
        check=checks.at_least_one,
        bound=bounds.TRIALS,
        affects_weights=False,
    )
    maximize: list[str] = _option(
        str,
        "a metric to make as large as possible",
        [],
        repeats=True,
        metavar="METRIC",
        check=checks.metric,
        completes=Completion.METRICS,
        search_form_order=2,
        splits_in_form=True,
    )
    minimize: list[str] = _option(
        str,
        "a metric to make as small as possible; several give a Pareto front, by the values of each trial's best "
        "epoch by the first of them",
        [],
        repeats=True,
        metavar="METRIC",
        check=checks.metric,
        completes=Completion.METRICS,
        search_form_order=3,
        splits_in_form=True,
    )
    objective: str = _option(
        str,
        "which epoch of a trial counts, and whose weights are kept: the best or the last",
        "best",
        choices=("best", "last"),
    )
    sampler: str = _option(
        str,
        "how the next trial is chosen (Optuna's): `tpe:startup=20,multivariate=true`",
        "tpe",
        choices=tuple(search_methods.SAMPLERS),
        has_arguments=True,
        check=partial(search_methods.checked, search_methods.SAMPLERS),
        search_form_order=5,
    )
    prune: str = _option(
        str,
        "how bad trials are ended early (Optuna's): `asha:eta=4,min=2`",
        "asha",
        choices=tuple(search_methods.PRUNERS),
        has_arguments=True,
        check=partial(search_methods.checked, search_methods.PRUNERS),
        search_form_order=6,
    )
    patience: int | None = _option(
        int,
        "end the search when so many complete trials in a row brought no improvement",
        check=checks.at_least_one,
        bound=bounds.TRIALS,
        affects_weights=False,
    )
    seed: int | None = _option(
        int,
        "seed of the sampler and of every trial; drawn and recorded if not given",
        check=checks.seed,
        search_form_order=8,
    )
    enqueue: list[str] = _option(
        str,
        "a trial to start with: `lr=1e-3,hidden=64`; may be repeated",
        [],
        repeats=True,
        metavar="NAME=VALUE,...",
        affects_weights=False,
        scope=Scope.ATTEMPT,
        splits_in_form=True,
    )
    warm_start: list[str] = _option(
        str,
        "learn from the complete trials of an earlier study of the same objectives; may be repeated",
        [],
        repeats=True,
        metavar="STUDY",
        scope=Scope.ATTEMPT,
    )
    confirm: bool = _option(
        bool,
        "at the end, train the best three trials with three seeds each: the best on average wins",
        False,
        bare=True,
        affects_weights=False,
        scope=Scope.ATTEMPT,
    )
    parallel: int = _option(
        int,
        "how many trials at once, each in a warm process",
        1,
        check=checks.at_least_one,
        bound=bounds.PARALLEL,
        affects_weights=False,
        search_form_order=7,
    )
    resume: str | None = _option(
        str,
        "resume this study: only `--trials` or `--timeout` may change",
        metavar="STUDY",
        affects_weights=False,
        scope=Scope.ATTEMPT,
        completes=Completion.RUNS,
    )
    name: str | None = _option(
        str,
        "name of the study (default: the model's class)",
        check=checks.run_name,
        affects_weights=False,
        scope=Scope.ATTEMPT,
        search_form_order=9,
    )
    note: str | None = _option(str, "a note kept with the study", affects_weights=False, scope=Scope.ATTEMPT)
    quiet: bool = shared_options.quiet()
    detach: bool = shared_options.detach(
        "search in a process of its own: the kernel is free at once, and may be shut down"
    )
    yes: bool = shared_options.yes("with `--parallel` or `--detach`: copy more than 1 GB of data to the processes")
    notify: str | None = shared_options.notify("when the search is over: a URL to send JSON to, or a shell command")


@functools.cache
def tune_options() -> tuple[Option, ...]:
    """The options of a search, in order."""
    return declared_options(TuneOptions)
