"""`TrainOptions`: every option of `%train` but `pl.Trainer`'s arguments, declared once."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from jupyter_train.config import bounds, checks
from jupyter_train.config.cross_validation import folds_text
from jupyter_train.config.notification import checked_target
from jupyter_train.config.options import Option, declared_options
from jupyter_train.config.options import option_field as _option


@dataclass
class TrainOptions:
    """Options of `%train`, with their checked values."""

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
    """The options declared here, in order."""
    return declared_options(TrainOptions, _SHAPE_NOTHING)
