"""`FitOptions`: options of `%train` about data, model and the length of training, declared once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jupyter_train.config import bounds, checks
from jupyter_train.config.cross_validation import folds_text
from jupyter_train.config.options import Completion
from jupyter_train.config.options import option_field as _option


@dataclass
class FitOptions:
    """Options of a fit, with their checked values."""

    epochs: int | None = _option(
        int,
        "how many epochs; this, --max-steps or --max-time must be given",
        check=checks.at_least_one,
        affects_weights=False,
        sets_length=True,
        form_order=1,
        search_form_order=4,
    )
    batch_size: int | str = _option(
        (int, str),
        "rows per batch, for arrays, frames, Datasets; auto: the largest that fits, by Lightning's finder",
        32,
        check=checks.number_or_auto(checks.at_least_one, "a whole number of 1 or more"),
        metavar="N|auto",
        makes_batches=True,
        form_order=2,
    )
    drop_last: bool = _option(
        bool,
        "leave out the last, shorter batch of an epoch, for arrays, frames, Datasets",
        False,
        bare=True,
        checked_before_search=True,
    )
    seed: int | None = _option(
        int, "seed for everything; drawn and recorded if not given", check=checks.seed, form_order=9
    )
    monitor: str | None = _option(
        str,
        "metric that decides the best epoch",
        metavar="METRIC",
        check=checks.metric,
        affects_weights=False,
        form_order=5,
        completes=Completion.METRICS,
        trial_refusal="the objective is the monitored metric: `--maximize val_acc` or `--minimize val_loss`",
    )
    mode: str | None = _option(
        str,
        "which way the monitored metric improves",
        choices=("min", "max"),
        affects_weights=False,
        trial_refusal="`--maximize` or `--minimize` says which way is better",
    )
    early_stop: str | None = _option(
        str,
        "stop when METRIC has not improved for PATIENCE checks (3)",
        metavar="METRIC[:PATIENCE]",
        check=checks.early_stop,
        affects_weights=False,
        sets_length=True,
        form_order=4,
        completes=Completion.METRICS,
    )
    split: tuple[float, float, float] | None = _option(
        (str, float, list, tuple),
        "shares of train/validation[/test] for arrays and frames (0.8/0.2)",
        metavar="SHARES",
        check=checks.fractions,
        for_tables=True,
        makes_batches=True,
        checked_before_search=True,
        form_order=6,
    )
    cv: int | str | None = _option(
        (int, str),
        "cross-validation: so many folds, one fit each; stratified for classes",
        metavar="K[:stratified|plain|time|group=COLUMN]",
        check=folds_text,
        bound=bounds.FOLDS,
        in_fits=False,
    )
    seeds: int | None = _option(
        int,
        "so many fits with consecutive seeds; the curves are their mean",
        check=checks.at_least_one,
        bound=bounds.SEEDS,
        in_fits=False,
    )
    encode: str | None = _option(
        str,
        "auto: encode text columns and fill NaN, fitted on the training part",
        choices=("auto",),
        for_tables=True,
        makes_batches=True,
        checked_before_search=True,
    )
    scale: str | None = _option(
        str,
        "standard: columns of numbers with mean 0 and standard deviation 1, fitted on the training part; "
        "standard+target: the target as well, undone in `run.predict`",
        choices=("standard", "standard+target"),
        for_tables=True,
        makes_batches=True,
        checked_before_search=True,
    )
    target: str | None = _option(
        (str, int),
        "the column to predict, for a DataFrame",
        metavar="COLUMN",
        check=str,
        is_literal=True,
        for_tables=True,
        makes_batches=True,
        checked_before_search=True,
        form_order=7,
    )
    loss: Any = _option(
        object,
        "loss for a plain nn.Module: cross_entropy, mse, ... or an expression",
        is_expression=True,
        checked_before_search=True,
        form_order=8,
        suggestions=("cross_entropy", "mse", "mae", "huber", "bce_with_logits", "nll"),
    )
    optimizer: Any = _option(
        object,
        "adam (default), adamw, sgd, ... or an expression, for a plain nn.Module",
        is_expression=True,
        checked_before_search=True,
        suggestions=("adam", "adamw", "sgd", "rmsprop", "adagrad", "nadam", "radam"),
    )
    lr: float | str | None = _option(
        (float, str),
        "learning rate (1e-3 for a plain nn.Module); auto: by Lightning's finder, before the run begins",
        check=checks.number_or_auto(checks.positive, "a number above zero"),
        metavar="RATE|auto",
        checked_before_search=True,
        form_order=3,
    )
