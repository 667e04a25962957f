"""`TrainConfig`: the checked options of a training run."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field
from typing import Any

from jupyter_train.config import bounds
from jupyter_train.config import options as checks
from jupyter_train.config.cross_validation import Fold, folds_text, parse_folds
from jupyter_train.config.metric_direction import direction_of
from jupyter_train.config.notification import checked_target
from jupyter_train.config.options import Option, declared_options
from jupyter_train.config.options import option_field as _option
from jupyter_train.config.synonyms import suggestion_for
from jupyter_train.config.trainer_arguments import DECISIONS, ArgumentUse, trainer_arguments, trainer_options
from jupyter_train.exceptions import OptionError, did_you_mean


@dataclass
class TrainConfig:
    """Checked options of `%train`, `%%train` and `train()`.

    Attributes:
        trainer: Arguments of `pl.Trainer` that were given, by name.
        expressions: Typed text of values that were expressions.
        fold: Which rows validate, in a fit of a cross-validation.
        split_seed: Seed of the split; `seed` if None.
        objective: The epoch that a trial is judged by: `best` or `last`.
    """

    epochs: int | None = _option(
        int, "how many epochs; this, --max-steps or --max-time must be given", check=checks.at_least_one
    )
    batch_size: int | str = _option(
        (int, str),
        "rows per batch, for arrays, frames, Datasets; auto: the largest that fits, by Lightning's finder",
        32,
        check=checks.number_or_auto(checks.at_least_one, "a whole number of 1 or more"),
        metavar="N|auto",
    )
    drop_last: bool = _option(
        bool, "leave out the last, shorter batch of an epoch, for arrays, frames, Datasets", False, bare=True
    )
    seed: int | None = _option(int, "seed for everything; drawn and recorded if not given", check=checks.seed)
    monitor: str | None = _option(str, "metric that decides the best epoch", metavar="METRIC", check=checks.metric)
    mode: str | None = _option(str, "which way the monitored metric improves", choices=("min", "max"))
    early_stop: str | None = _option(
        str,
        "stop when METRIC has not improved for PATIENCE checks (3)",
        metavar="METRIC[:PATIENCE]",
        check=checks.early_stop,
    )
    split: tuple[float, float, float] | None = _option(
        (str, float, list, tuple),
        "shares of train/validation[/test] for arrays and frames (0.8/0.2)",
        metavar="SHARES",
        check=checks.fractions,
    )
    cv: int | str | None = _option(
        (int, str),
        "cross-validation: so many folds, one fit each; stratified for classes",
        metavar="K[:stratified|plain|time|group=COLUMN]",
        check=folds_text,
        bound=bounds.FOLDS,
    )
    seeds: int | None = _option(
        int,
        "so many fits with consecutive seeds; the curves are their mean",
        check=checks.at_least_one,
        bound=bounds.SEEDS,
    )
    encode: str | None = _option(
        str, "auto: encode text columns and fill NaN, fitted on the training part", choices=("auto",)
    )
    scale: str | None = _option(
        str,
        "standard: columns of numbers with mean 0 and standard deviation 1, fitted on the training part; "
        "standard+target: the target as well, undone in `run.predict`",
        choices=("standard", "standard+target"),
    )
    target: str | None = _option(
        (str, int), "the column to predict, for a DataFrame", metavar="COLUMN", check=str, is_literal=True
    )
    loss: Any = _option(
        object, "loss for a plain nn.Module: cross_entropy, mse, ... or an expression", is_expression=True
    )
    optimizer: Any = _option(
        object, "adam (default), adamw, sgd, ... or an expression, for a plain nn.Module", is_expression=True
    )
    lr: float | str | None = _option(
        (float, str),
        "learning rate (1e-3 for a plain nn.Module); auto: by Lightning's finder, before the run begins",
        check=checks.number_or_auto(checks.positive, "a number above zero"),
        metavar="RATE|auto",
    )
    name: str | None = _option(str, "name of the run (default: the model's class)", check=checks.run_name)
    tag: list[str] = _option(str, "a tag; may be repeated", [], repeats=True)
    note: str | None = _option(str, "a note kept with the run")
    wandb: str | bool | None = _option((str, bool), "mirror the run to Weights & Biases", bare=True, metavar="PROJECT")
    logger: list[Any] = _option(
        object, "an expression: a Lightning logger beside the run", [], repeats=True, is_expression=True
    )
    callback: list[Any] = _option(
        object, "an expression: a Lightning callback; may be repeated", [], repeats=True, is_expression=True
    )
    engine: str = _option(
        str,
        "which epoch loop trains: lean, or lightning for its own (same results, slower)",
        "lean",
        choices=("lean", "lightning"),
    )
    checkpoint: str = _option(
        str,
        "how checkpoints are written: async (in the background) or sync (where memory is short)",
        "async",
        choices=("async", "sync"),
    )
    checkpoint_minutes: float = _option(
        float, "at most so many minutes between two checkpoints: what a kill may lose", 5.0, check=checks.positive
    )
    keep_best: int = _option(
        int, "how many of the best checkpoints to keep", 1, check=checks.at_least_one, bound=bounds.CHECKPOINTS
    )
    resume: str | None = _option(
        str, "resume this run where it was interrupted; a finished one with more --epochs", metavar="RUN"
    )
    fork: str | None = _option(
        str, "start a new run from a checkpoint of this one, with the options given", metavar="RUN"
    )
    from_: str | None = _option(
        str,
        "with --resume or --fork: the checkpoint: best, last or a step (the newest valid one)",
        metavar="best|last|STEP",
        check=checks.checkpoint_choice,
    )
    force: bool = _option(bool, "with --resume: resume although data, code or options have changed", False, bare=True)
    reinit: bool = _option(bool, "reset the model to its step-0 weights", False, bare=True)
    on_interrupt: str = _option(
        str,
        "after the kernel's Interrupt: raise (stop the notebook) or return",
        "raise",
        choices=("raise", "return"),
    )
    on_nan: str = _option(
        str,
        "when a loss or the monitored metric is NaN or infinite: warn (the run continues, and ends with a warning) "
        "or stop",
        "warn",
        choices=("warn", "stop"),
    )
    record: str = _option(
        str,
        "how much source to keep: code=full, code=hash or code=none",
        "code=full",
        choices=("code=full", "code=hash", "code=none"),
    )
    record_every: int | None = _option(
        int, "record every N-th step (default: all, up to 1,000 points/s)", check=checks.at_least_one
    )
    detach: bool = _option(
        bool, "train in a process of its own: the kernel is free at once, and may be shut down", False, bare=True
    )
    yes: bool = _option(bool, "with `--detach`: copy more than 1 GB of data to the process", False, bare=True)
    notify: str | None = _option(
        str,
        "when the run is over: a URL to send JSON to, or a shell command",
        metavar="CMD|URL",
        check=checked_target,
        is_secret=True,
    )
    oversubscribe: bool = _option(
        bool, "allow more devices, folds or seeds than this machine has processors for, up to a limit", False, bare=True
    )
    explain: bool = _option(bool, "explain how it would be trained, and why, instead of training", False, bare=True)
    tune_loader: bool = _option(
        bool, "measure the DataLoader with other workers and prefetching, instead of training", False, bare=True
    )
    form: bool = _option(bool, "show these options as a form instead of training", False, bare=True)
    quiet: bool = _option(bool, "show no panel", False, bare=True)
    trainer: dict[str, Any] = field(default_factory=dict)
    expressions: dict[str, Any] = field(default_factory=dict)
    fold: Fold | None = None
    split_seed: int | None = None
    objective: str = "best"

    @classmethod
    def of(cls, given: Mapping[str, Any], expressions: Mapping[str, Any] | None = None) -> TrainConfig:
        """A checked configuration from option names and values.

        Args:
            given: Values by option name; Trainer arguments by their own names.
            expressions: What was typed for values that were expressions, for the record.

        Raises:
            OptionError: An option is unknown, refused, contradicts another, or has a bad value.
        """
        known = options_by_name()
        own: dict[str, Any] = {}
        trainer: dict[str, Any] = {}
        for name, value in given.items():
            option = known.get(name)
            if option is None:
                raise unknown_option(name, value=value)
            if _is_refused(option, value):
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
        limits = ("max_epochs", "max_steps", "max_time", "fast_dev_run")
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
        found = self.mode or direction_of(metric)
        if found is None:
            raise OptionError(
                f"`{metric}`: its name does not say which direction is better; add `--mode min` or `--mode max`"
            )
        return found

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
    found = dict(options)
    for name in ("callback", "callbacks"):
        if found.get(name):
            with contextlib.suppress(Exception):
                found[name] = copy.deepcopy(found[name])
    return found


def as_json(value: Any) -> Any:
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


#: Options of ours that leave the weights of a step what they are.
_SHAPE_NOTHING = frozenset(
    {
        "callback",
        "checkpoint",
        "checkpoint_minutes",
        "detach",
        "early_stop",
        "engine",
        "epochs",
        "explain",
        "force",
        "fork",
        "form",
        "from_",
        "keep_best",
        "logger",
        "mode",
        "monitor",
        "name",
        "note",
        "notify",
        "on_interrupt",
        "on_nan",
        "oversubscribe",
        "quiet",
        "record",
        "record_every",
        "reinit",
        "resume",
        "tag",
        "tune_loader",
        "wandb",
        "yes",
    }
)


@functools.cache
def own_options() -> tuple[Option, ...]:
    """The options declared by `TrainConfig` itself, in order."""
    return declared_options(TrainConfig, _SHAPE_NOTHING)


@functools.cache
def options_by_name() -> dict[str, Option]:
    """Every option of `%train`: its own, then `pl.Trainer`'s."""
    own = {option.name: option for option in own_options()}
    return own | {option.name: option for option in trainer_options() if option.name not in own}


def option_values(words: Sequence[str], known: Mapping[str, Option] | None = None) -> dict[str, Any]:
    """Values by option name, from words typed after a verb: `epochs=30`, `--epochs=30`, `from=best`.

    Args:
        words: As typed.
        known: The declared options; those of `%train` if None.

    Raises:
        OptionError: A word is no option, or its value does not fit.
    """
    found = {}
    there = known if known is not None else options_by_name()
    for word in words:
        name, equals, text = word.partition("=")
        option = there.get(checks.python_name(name))
        if option is None:
            raise unknown_option(checks.python_name(name), known, text if equals else None)
        if not equals and option.bare is None:
            raise OptionError(f"`{option.flag}` needs a value: `{option.flag.removeprefix('--')}=VALUE`")
        found[option.name] = option.parse(text) if equals else option.bare
    return found


def check_machine(known: Mapping[str, Option], values: Mapping[str, Any]) -> None:
    """Raises for values above what this machine has, unless `oversubscribe` is set.

    Args:
        known: The declared options.
        values: Checked values, by name.

    Raises:
        OptionError: A value is too large.
    """
    if not values.get("oversubscribe"):
        for name, value in values.items():
            known[name].check_machine(value)


def unknown_option(name: str, known: Mapping[str, Option] | None = None, value: Any = None) -> OptionError:
    """The error for an undeclared option.

    Args:
        name: As given.
        known: The declared options; those of `%train` if None.
        value: Its value; None if it had none.
    """
    flag = "--" + name.replace("_", "-")
    there = known if known is not None else options_by_name()
    magic = "tune" if "trials" in there else "train"
    if words := suggestion_for(name, value, there):
        return OptionError(f"unknown option `{flag}`: {words}; `%{magic}?` lists them all")
    close = did_you_mean(flag, [option.flag for option in there.values()])
    space = f" What is searched is written `{name}=RANGE`." if magic == "tune" and not close else ""
    return OptionError(f"unknown option `{flag}`.{close}{space} `%{magic}?` lists them all")


def _is_refused(option: Option, value: Any) -> bool:
    """Whether it is a refused argument at its default, as a LightningCLI file may have it.

    Raises:
        OptionError: A refused argument has another value.
    """
    decision = DECISIONS.get(option.name)
    if option.group != "trainer" or decision is None or decision.use is not ArgumentUse.REFUSED:
        return False
    defaults = {argument.name: argument.default for argument in trainer_arguments()}
    if value in (False, None) or value == defaults.get(option.name):
        return True
    raise OptionError(f"`{option.flag}` is not taken: {decision.words}")


@functools.cache
def signature_of_train() -> inspect.Signature:
    """The signature of `train()`: model, data, then every option by keyword."""
    either = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter("model", either), inspect.Parameter("data", either, default=None)]
    parameters += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option.default)
        for name, option in options_by_name().items()
    ]
    return inspect.Signature(parameters)
