"""`TuneConfig`: the options of a search, declared once. Every other option of `%tune` is one of `%train`."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jupyter_train.config import search_methods
from jupyter_train.config.option_table import check_machine, options_by_name, unknown_option
from jupyter_train.config.options import Option
from jupyter_train.config.search_space import Fixed, Space, parse, reads_as_space
from jupyter_train.config.train import TrainConfig, as_json, copy_callbacks
from jupyter_train.config.tune_options import TuneOptions, tune_options
from jupyter_train.exceptions import OptionError


@dataclass
class TuneConfig(TuneOptions):
    """Checked options of `%tune`, `%%tune` and `tune()`.

    Attributes:
        train: Options of `%train` for every trial.
        space: The search space, by name.
        expressions: Typed text of values that were expressions; a list where an option was repeated.
    """

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
            if option.trial_refusal:
                raise OptionError(f"`{option.flag}` is not for a search: {option.trial_refusal}")
            target = own if name in _own_names() else train_options
            try:
                target[name] = option.validate(value)
            except OptionError as err:
                if target is train_options and reads_as_space(value):
                    raise OptionError(f"{err}. To search it: `space={{'{name}': '{value}'}}`") from None
                raise
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
def _own_names() -> frozenset[str]:
    return frozenset(option.name for option in tune_options())


@functools.cache
def tune_options_by_name() -> dict[str, Option]:
    """Every option of `%tune`: its own, then those of `%train`."""
    own = {option.name: option for option in tune_options()}
    return own | {name: option for name, option in options_by_name().items() if name not in own}
