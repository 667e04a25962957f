"""`TrainConfig`: the checked options of a training run."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from typing import TYPE_CHECKING, Any

from jupyter_train.config import bounds
from jupyter_train.config.cross_validation import Fold, parse_folds
from jupyter_train.config.metric_direction import direction_of
from jupyter_train.config.option_table import check_machine, is_refused, options_by_name, unknown_option
from jupyter_train.config.train_options import TrainOptions
from jupyter_train.exceptions import OptionError

if TYPE_CHECKING:
    from jupyter_train.config.json_value import JsonValue


@dataclass
class TrainConfig(TrainOptions):
    """Checked options of `%train`, `%%train` and `train()`.

    Attributes:
        trainer: Arguments of `pl.Trainer` that were given, by name.
        expressions: Typed text of values that were expressions.
        fold: Which rows validate, in a fit of a cross-validation.
        split_seed: Seed of the split; `seed` if None.
        objective: The epoch that a trial is judged by: `best` or `last`.
    """

    trainer: dict[str, Any] = field(default_factory=dict)
    expressions: dict[str, Any] = field(default_factory=dict)
    fold: Fold | None = None
    split_seed: int | None = None
    objective: str = "best"

    @classmethod
    def of(cls, values: Mapping[str, Any], expressions: Mapping[str, Any] | None = None) -> TrainConfig:
        """A checked configuration from option names and values.

        Args:
            values: Values by option name; Trainer arguments by their own names.
            expressions: What was typed for values that were expressions, for the record.

        Raises:
            OptionError: An option is unknown, refused, contradicts another, or has a bad value.
        """
        known = options_by_name()
        own: dict[str, Any] = {}
        trainer: dict[str, Any] = {}
        for name, value in values.items():
            option = known.get(name)
            if option is None:
                raise unknown_option(name, value=value)
            if is_refused(option, value):
                continue
            target = trainer if option.group == "trainer" else own
            if option.is_set(value):
                target[name] = option.validate(value)
        check_machine(known, own | trainer)
        config = cls(**own, trainer=trainer, expressions=dict(expressions or {}))
        config._check_consistent()
        return config

    def _check_consistent(self) -> None:
        """Checks options against each other; `--epochs` becomes `max_epochs`.

        Raises:
            OptionError: Two contradict each other, or the length is missing.
        """
        if self.resume is not None and self.fork is not None:
            raise OptionError(
                "`--resume` resumes a run, `--fork` starts a new one from its checkpoint; give one of them"
            )
        if self.reinit and (self.resume or self.fork):
            raise OptionError(
                "`--reinit` starts from the step-0 weights, `--resume` from a checkpoint; give one of them"
            )
        if self.from_ is not None and not (self.resume or self.fork):
            raise OptionError(f"`--from {self.from_}` names a checkpoint; name its run too: `--resume RUN`")
        if self.form:
            raise OptionError("`--form` is for the line: `%train --form model data`")
        if self.epochs is not None:
            if self.trainer.get("max_epochs", self.epochs) != self.epochs:
                raise OptionError(
                    f"`--epochs {self.epochs}` and `--max-epochs {self.trainer['max_epochs']}` are the same "
                    "option; give one of them"
                )
            self.trainer["max_epochs"] = self.epochs
        self.epochs = self.trainer.get("max_epochs")
        self._check_fits()
        if self.explain or self.tune_loader:
            return
        limits = [name for name, option in options_by_name().items() if option.ends_training]
        if not any(self.trainer.get(name) not in (None, False, 0) for name in limits if not self._is_open(name)):
            raise OptionError(
                "the length of training is missing; add `--epochs 10` (or `--max-steps N`, `--max-time 00:01:00:00`)"
            )
        for metric in {self.monitor, self.early_stop_metric} - {None}:
            assert metric is not None
            self.direction(metric)

    def _check_fits(self) -> None:
        """Raises for too many fits, folds times seeds.

        Raises:
            OptionError: There are too many.
        """
        fits = (parse_folds(self.cv).count if self.cv is not None else 1) * (self.seeds or 1)
        limit = bounds.SEEDS.hard_limit() if self.oversubscribe else bounds.SEEDS.limit()
        if fits > limit:
            raise OptionError(
                f"`--cv {self.cv} --seeds {self.seeds}` are {fits:,} fits; expected at most {limit:,}, one folder each"
            )

    @property
    def needs_finder(self) -> bool:
        """Whether Lightning's finders run first, for `--lr auto` or `--batch-size auto`."""
        return "auto" in (self.lr, self.batch_size)

    def with_finder_defaults(self) -> TrainConfig:
        """The same with the values that the finders start from."""
        lr = None if self.lr == "auto" else self.lr
        return dataclasses.replace(self, lr=lr, batch_size=32 if self.batch_size == "auto" else self.batch_size)

    def _is_open(self, name: str) -> bool:
        """Whether it is `max_steps=-1`, no limit for Lightning."""
        return name == "max_steps" and self.trainer.get(name) == -1

    @property
    def early_stop_metric(self) -> str | None:
        """The metric named by `--early-stop`."""
        return self.early_stop.partition(":")[0] if self.early_stop else None

    @property
    def early_stop_patience(self) -> int:
        """How many checks without improvement end the run."""
        patience = (self.early_stop or "").partition(":")[2]
        return int(patience) if patience else 3

    def direction(self, metric: str) -> str:
        """`min` or `max` for `metric`: `--mode`, else by its name.

        Raises:
            OptionError: The name has no known word and `--mode` was not given.
        """
        direction = self.mode or direction_of(metric)
        if direction is None:
            raise OptionError(
                f"`{metric}`: its name does not say which direction is better; add `--mode min` or `--mode max`"
            )
        return direction

    def to_json(self) -> dict[str, Any]:
        """The record: options that differ from their defaults, objects as short text."""
        plain: dict[str, Any] = {}
        for item in dataclasses.fields(self):
            if "option" not in item.metadata:
                continue
            value = getattr(self, item.name)
            default = item.default_factory() if item.default_factory is not MISSING else item.default
            if value != default:
                plain[item.name] = as_json(value)
        passed = {name: value for name, value in self.trainer.items() if name != "max_epochs"}
        plain.update({name: as_json(value) for name, value in passed.items()})
        if self.expressions:
            plain["expressions"] = dict(self.expressions)
        return plain


def copy_callbacks(options: Mapping[str, Any]) -> dict[str, Any]:
    """The same options with copied callbacks, as a callback keeps state from a fit; shared where not copyable."""
    copied = dict(options)
    for name in ("callback", "callbacks"):
        if copied.get(name):
            with contextlib.suppress(Exception):
                copied[name] = copy.deepcopy(copied[name])
    return copied


def as_json(value: object) -> JsonValue:
    """`value` as plain JSON; other objects become their repr of at most 200 characters, cut at a space."""
    if isinstance(value, int) and abs(value) >= 1 << 63:
        return bounds.shown(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else repr(value)
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, dict):
        return {str(key): as_json(item) for key, item in value.items()}
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001  a broken __repr__ of the user's must not stop the run
        text = f"<{type(value).__name__}>"
    return text if len(text) <= 200 else (text[:199].rpartition(" ")[0] or text[:199]) + "…"
