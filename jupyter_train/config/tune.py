"""`TuneConfig`: the options of a search, declared once. Every other option of `%tune` is one of `%train`."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from jupyter_train.config import bounds, checks, search_methods
from jupyter_train.config.notification import checked_target
from jupyter_train.config.option_table import check_machine, options_by_name, unknown_option
from jupyter_train.config.options import Option, declared_options
from jupyter_train.config.options import option_field as _option
from jupyter_train.config.search_space import Space, parse
from jupyter_train.config.train import TrainConfig, copy_callbacks
from jupyter_train.exceptions import OptionError

_MAX_SECONDS = 3652 * 86400.0
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
#: Options of `%train` that mean nothing for a trial, with what to do instead.
NOT_FOR_TRIALS = {
    "monitor": "the objective is the monitored metric: `--maximize val_acc` or `--minimize val_loss`",
    "mode": "`--maximize` or `--minimize` says which way is better",
    "explain": "`%train --explain` explains one run",
    "tune_loader": "`%train --tune-loader` measures the loader",
    "fork": "a trial starts from fresh weights; `%train --fork` forks a run",
    "from_": "a trial starts from fresh weights; `%train --resume RUN --from STEP` resumes a run",
    "force": "`--resume STUDY` resumes the same search; nothing can be changed",
    "form": "a form is for the line: `%tune --form LitDigits data`",
    "keep_best": "a search keeps the weights of its best three trials, one checkpoint each",
    "reinit": "every trial starts from fresh weights",
    "devices": "a trial trains on one device; `--parallel N` trains several trials at once",
}


def _seconds(value: Any) -> float:
    """`90`, `90s`, `10m`, `1.5h` or `2d` in seconds."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*", str(value))
    seconds = float(match[1]) * _UNITS[match[2] or "s"] if match is not None else 0.0
    if not 0 < seconds <= _MAX_SECONDS:
        raise ValueError("a duration such as `90s`, `10m` or `1.5h`, of at most 10 years")
    return seconds


@dataclass
class TuneConfig:
    """Checked options of `%tune`, `%%tune` and `tune()`.

    Attributes:
        train: Options of `%train` for every trial.
        space: The search space, by name.
        expressions: Typed text of values that were expressions; a list where an option was repeated.
    """

    trials: int | None = _option(
        int,
        "how many trials; this or --timeout must be given, except for grid",
        check=checks.at_least_one,
        bound=bounds.TRIALS,
    )
    timeout: float | None = _option((str, float), "start no trial after this long", metavar="10m", check=_seconds)
    trial_timeout: float | None = _option(
        (str, float), "end a trial that takes longer than this; it counts as failed", metavar="10m", check=_seconds
    )
    max_failures: int | None = _option(
        int,
        "give up after so many failed trials; default: after three in a row with the same error",
        check=checks.at_least_one,
        bound=bounds.TRIALS,
    )
    maximize: list[str] = _option(
        str, "a metric to make as large as possible", [], repeats=True, metavar="METRIC", check=checks.metric
    )
    minimize: list[str] = _option(
        str,
        "a metric to make as small as possible; several give a Pareto front, by the values of each trial's best "
        "epoch by the first of them",
        [],
        repeats=True,
        metavar="METRIC",
        check=checks.metric,
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
    )
    prune: str = _option(
        str,
        "how bad trials are ended early (Optuna's): `asha:eta=4,min=2`",
        "asha",
        choices=tuple(search_methods.PRUNERS),
        has_arguments=True,
        check=partial(search_methods.checked, search_methods.PRUNERS),
    )
    patience: int | None = _option(
        int,
        "end the search when so many complete trials in a row brought no improvement",
        check=checks.at_least_one,
        bound=bounds.TRIALS,
    )
    seed: int | None = _option(
        int, "seed of the sampler and of every trial; drawn and recorded if not given", check=checks.seed
    )
    enqueue: list[str] = _option(
        str, "a trial to start with: `lr=1e-3,hidden=64`; may be repeated", [], repeats=True, metavar="NAME=VALUE,..."
    )
    warm_start: list[str] = _option(
        str,
        "learn from the complete trials of an earlier study of the same objectives; may be repeated",
        [],
        repeats=True,
        metavar="STUDY",
    )
    confirm: bool = _option(
        bool,
        "at the end, train the best three trials with three seeds each: the best on average wins",
        False,
        bare=True,
    )
    parallel: int = _option(
        int, "how many trials at once, each in a warm process", 1, check=checks.at_least_one, bound=bounds.PARALLEL
    )
    resume: str | None = _option(str, "resume this study: only `--trials` or `--timeout` may change", metavar="STUDY")
    name: str | None = _option(str, "name of the study (default: the model's class)", check=checks.run_name)
    note: str | None = _option(str, "a note kept with the study")
    quiet: bool = _option(bool, "show no panel", False, bare=True)
    detach: bool = _option(
        bool, "search in a process of its own: the kernel is free at once, and may be shut down", False, bare=True
    )
    yes: bool = _option(
        bool, "with `--parallel` or `--detach`: copy more than 1 GB of data to the processes", False, bare=True
    )
    notify: str | None = _option(
        str,
        "when the search is over: a URL to send JSON to, or a shell command",
        metavar="CMD|URL",
        check=checked_target,
        is_secret=True,
    )
    train: dict[str, Any] = field(default_factory=dict)
    space: dict[str, Space] = field(default_factory=dict)
    expressions: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        options: Mapping[str, Any],
        space: Mapping[str, Any],
        expressions: Mapping[str, Any] | None = None,
        is_open: bool = False,
    ) -> TuneConfig:
        """A checked configuration.

        Args:
            options: Values by option name, of this class or of `%train`.
            space: The search space by name: typed text, lists, or parsed.
            expressions: Typed text of values that were expressions, for the record.
            is_open: Whether a function of the trial defines the space.

        Raises:
            OptionError: An option is unknown, contradicts another, or has a bad value.
            SpaceError: A value of `space` is no range and no choice.
        """
        known = tune_options_by_name()
        own: dict[str, Any] = {}
        train_options: dict[str, Any] = {}
        for name, value in options.items():
            option = known.get(name)
            if option is None:
                raise unknown_option(name, known, value)
            if not option.is_set(value):
                continue
            if name in NOT_FOR_TRIALS:
                raise OptionError(f"`{option.flag}` is not for a search: {NOT_FOR_TRIALS[name]}")
            target = own if name in _own_names() else train_options
            target[name] = option.validate(value)
        check_machine(known, own | train_options)
        spaces = {name: parse(name, text) for name, text in space.items()}
        config = cls(**own, train=train_options, space=spaces, expressions=dict(expressions or {}))
        config._check_consistent(is_open)
        return config

    def _check_consistent(self, is_open: bool) -> None:
        if not self.objectives:
            raise OptionError("the objective is missing; add `--maximize val_acc` or `--minimize val_loss`")
        both = set(self.maximize) & set(self.minimize)
        if both:
            raise OptionError(f"`{min(both)}` cannot be maximized and minimized at once")
        if self.resume is None and not is_open and not any(self.searched):
            fixed = ", ".join(f"`{name}={space}`" for name, space in self.space.items())
            fixed_note = f" ({fixed} is one fixed value)" if fixed else ""
            raise OptionError(
                f"nothing is searched{fixed_note}; add a range, `lr=1e-4..1e-1:log`, or choices, `lr=0.1|0.01`"
            )
        if self.trials is None and self.timeout is None and self.sampler != "grid" and self.patience is None:
            raise OptionError(
                "the length of the search is missing; add `--trials 50`, `--timeout 10m` or `--patience 20`"
            )
        if len(self.objectives) > 1:
            self.prune = "none"  # Optuna prunes by one value only
            if search_methods.name_of(self.sampler) == "cmaes":
                raise OptionError("`--sampler cmaes` knows one objective; for several take `nsga2` or `tpe`")

    @property
    def searched(self) -> dict[str, Space]:
        """The names that have more than one value."""
        from jupyter_train.config.search_space import Fixed

        return {name: space for name, space in self.space.items() if not isinstance(space, Fixed)}

    @property
    def objectives(self) -> list[tuple[str, str]]:
        """(metric, `min` or `max`), those to maximize first."""
        return [(name, "max") for name in self.maximize] + [(name, "min") for name in self.minimize]

    def trial_config(self, changes: Mapping[str, Any]) -> TrainConfig:
        """The options of one trial.

        Args:
            changes: Searched options of `%train`, with this trial's values.

        Raises:
            OptionError: A value does not fit.
        """
        metric, direction = self.objectives[0]
        train = copy_callbacks(self.train)
        options = train | {"seed": self.seed, "quiet": True, "monitor": metric, "mode": direction} | dict(changes)
        options.setdefault("enable_model_summary", False)
        config = TrainConfig.of(options)
        config.objective = self.objective
        return config

    def to_json(self) -> dict[str, Any]:
        """The record: options that differ from their defaults, and the space as typed."""
        from jupyter_train.config.train import as_json

        plain: dict[str, Any] = {}
        for option in tune_options():
            value = getattr(self, option.name)
            if value not in (option.default, None, []):
                plain[option.name] = as_json(value)
        plain["space"] = {name: str(space) for name, space in self.space.items()}
        plain["objectives"] = [list(pair) for pair in self.objectives]
        if self.train:
            plain["train"] = {name: as_json(value) for name, value in self.train.items()}
        if self.expressions:
            plain["expressions"] = dict(self.expressions)
        return plain


@functools.cache
def tune_options() -> tuple[Option, ...]:
    """The options of a search, in order."""
    return declared_options(TuneConfig)


@functools.cache
def _own_names() -> frozenset[str]:
    return frozenset(option.name for option in tune_options())


@functools.cache
def tune_options_by_name() -> dict[str, Option]:
    """Every option of `%tune`: its own, then those of `%train`."""
    own = {option.name: option for option in tune_options()}
    return own | {name: option for name, option in options_by_name().items() if name not in own}
