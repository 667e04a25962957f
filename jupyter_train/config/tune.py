"""`TuneConfig`: what a search can be told, declared once. Everything else it is told are options of `%train`."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from jupyter_train.config import bounds, search_methods
from jupyter_train.config import options as checks
from jupyter_train.config.notification import checked_target
from jupyter_train.config.options import Option, declared_options
from jupyter_train.config.options import option_field as _option
from jupyter_train.config.search_space import Space, parse
from jupyter_train.config.train import TrainConfig, check_machine, options_by_name, own_objects, unknown_option
from jupyter_train.exceptions import OptionError

_MAX_SECONDS = 3652 * 86400.0
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
#: Options of `%train` that mean nothing for a trial, with what to do instead.
NOT_FOR_TRIALS = {
    "monitor": "the objective is the monitored metric: `--maximize val_acc` or `--minimize val_loss`",
    "mode": "`--maximize` or `--minimize` says which way is better",
    "explain": "`%train --explain` explains one run",
    "tune_loader": "`%train --tune-loader` measures the loader",
    "fork": "trials begin anew; `%train --fork` forks a run",
    "from_": "trials begin anew; `%train --resume RUN --from STEP` goes on with one",
    "force": "`--resume STUDY` goes on with what was searched, and with nothing else",
    "form": "a form is for the line: `%tune --form LitDigits data`",
    "keep_best": "a search keeps the weights of its best three trials, each of one epoch",
    "reinit": "every trial begins with fresh weights",
    "devices": "a trial trains on one device; `--parallel N` trains several trials at once",
}


def _seconds(value: Any) -> float:
    """`90`, `90s`, `10m`, `1.5h` or `2d` in seconds."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*", str(value))
    seconds = float(found[1]) * _UNITS[found[2] or "s"] if found is not None else 0.0
    if not 0 < seconds <= _MAX_SECONDS:
        raise ValueError("a duration such as `90s`, `10m` or `1.5h`, of at most 10 years")
    return seconds


@dataclass
class TuneConfig:
    """Everything `%tune`, `%%tune` and `tune()` understand, with its checked values.

    Attributes:
        train: What every trial is told besides.
        space: What is searched, by name.
        expressions: What was typed for values that were expressions; a list where an option was given several times.
    """

    trials: int | None = _option(
        int,
        "how many trials; this or --timeout must be given, except for grid",
        check=checks.at_least_one,
        bound=bounds.TRIALS,
    )
    timeout: float | None = _option((str, float), "begin no trial after this long", metavar="10m", check=_seconds)
    trial_timeout: float | None = _option(
        (str, float), "end a trial that takes longer than this; it has failed", metavar="10m", check=_seconds
    )
    max_failures: int | None = _option(
        int,
        "give up after so many failed trials; default: after three in a row that fail alike",
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
        "which epoch of a trial counts, and keeps its weights: its best one, or its last",
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
        "end the search when none of the last so many complete trials was better than those before",
        check=checks.at_least_one,
        bound=bounds.TRIALS,
    )
    seed: int | None = _option(
        int, "seed of the sampler and of every trial; drawn and recorded if not given", check=checks.seed
    )
    enqueue: list[str] = _option(
        str, "a trial to begin with: `lr=1e-3,hidden=64`; may be repeated", [], repeats=True, metavar="NAME=VALUE,..."
    )
    warm_start: list[str] = _option(
        str,
        "learn from the complete trials of an earlier study of the same objectives; may be repeated",
        [],
        repeats=True,
        metavar="STUDY",
    )
    confirm: bool = _option(
        bool, "train the best three trials with three seeds each in the end: the best on average wins", False, bare=True
    )
    parallel: int = _option(
        int, "how many trials at once, each in a warm process", 1, check=checks.at_least_one, bound=bounds.PARALLEL
    )
    resume: str | None = _option(str, "go on with this study: only `--trials` or `--timeout` is new", metavar="STUDY")
    name: str | None = _option(str, "name of the study (default: the model's class)", check=checks.run_name)
    note: str | None = _option(str, "a note kept with the study")
    quiet: bool = _option(bool, "show no panel", False, bare=True)
    detach: bool = _option(
        bool, "search in a process of its own: the kernel is free at once, and may end", False, bare=True
    )
    yes: bool = _option(
        bool, "with `--parallel` or `--detach`: take along more than 1 GB that the code names", False, bare=True
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
        given: Mapping[str, Any],
        space: Mapping[str, Any],
        expressions: Mapping[str, Any] | None = None,
        is_open: bool = False,
    ) -> TuneConfig:
        """A checked configuration.

        Args:
            given: Values by option name, of this class or of `%train`.
            space: What is searched, by name: text as typed, lists, or parsed.
            expressions: What was typed for values that were expressions, for the record.
            is_open: Whether a function of the trial says what is searched.

        Raises:
            OptionError: An option is unknown, contradicts another, or has a bad value.
            SpaceError: What is searched is no range and no choice.
        """
        known = tune_options_by_name()
        own: dict[str, Any] = {}
        train: dict[str, Any] = {}
        for name, value in given.items():
            option = known.get(name)
            if option is None:
                raise unknown_option(name, known, value)
            if not option.is_said(value):
                continue
            if name in NOT_FOR_TRIALS:
                raise OptionError(f"`{option.flag}` is not for a search: {NOT_FOR_TRIALS[name]}")
            target = own if name in _own_names() else train
            target[name] = option.validate(value)
        check_machine(known, own | train)
        spaces = {name: parse(name, text) for name, text in space.items()}
        config = cls(**own, train=train, space=spaces, expressions=dict(expressions or {}))
        config._agree(is_open)
        return config

    def _agree(self, is_open: bool) -> None:
        if not self.objectives:
            raise OptionError("what is searched for was not said; add `--maximize val_acc` or `--minimize val_loss`")
        twice = set(self.maximize) & set(self.minimize)
        if twice:
            raise OptionError(f"`{min(twice)}` cannot be maximized and minimized at once")
        if self.resume is None and not is_open and not any(self.searched):
            fixed = ", ".join(f"`{name}={space}`" for name, space in self.space.items())
            read = f" ({fixed} is one fixed value)" if fixed else ""
            raise OptionError(f"nothing is searched{read}; add a range, `lr=1e-4..1e-1:log`, or choices, `lr=0.1|0.01`")
        if self.trials is None and self.timeout is None and self.sampler != "grid" and self.patience is None:
            raise OptionError("how long to search was not said; add `--trials 50`, `--timeout 10m` or `--patience 20`")
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
        """What one trial is told.

        Args:
            changes: Options of `%train` that are searched, with this trial's values.

        Raises:
            OptionError: A value does not fit.
        """
        metric, direction = self.objectives[0]
        train = own_objects(self.train)
        given = train | {"seed": self.seed, "quiet": True, "monitor": metric, "mode": direction} | dict(changes)
        given.setdefault("enable_model_summary", False)
        config = TrainConfig.of(given)
        config.objective = self.objective
        return config

    def to_json(self) -> dict[str, Any]:
        """The record: options that differ from their defaults, and the space as it is typed."""
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
    """Every option `%tune` takes: its own, then those of `%train`."""
    own = {option.name: option for option in tune_options()}
    return own | {name: option for name, option in options_by_name().items() if name not in own}
