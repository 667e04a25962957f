"""Chooses the metric that selects the best epoch by metric names, and the messages about it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from jupyter_train.config import TrainConfig, direction_of
from jupyter_train.exceptions import did_you_mean
from jupyter_train.store.text_columns import listed, quoted

_VALIDATION_PREFIXES = frozenset({"val", "valid", "validation", "dev"})
#: Parts of the names that mean the whole training loss, and not one of its terms.
_TRAINING_LOSS_PARTS = frozenset({"train", "training", "total", "overall", "avg", "mean", "loss", "epoch", "step"})
_TOTAL_PARTS = frozenset({"total", "overall"})
_MAX_NAMES = 4
_MAX_FORMS = 12
#: What Lightning appends to the name of a metric: the fork and the loader.
_LIGHTNING_SUFFIX = re.compile(r"(_(step|epoch))?(/dataloader_idx_\d+)?$")


def choose_monitor(names: Iterable[str]) -> str | None:
    """The metric to monitor when none is set: a validation loss, then any whose direction is known."""

    def rank(name: str) -> tuple[bool, bool, bool, str]:
        return (not is_validation(name), "loss" not in name, name.endswith("_step"), name)

    return min((name for name in names if direction_of(name) is not None), key=rank, default=None)


def training_loss(names: Iterable[str]) -> str | None:
    """The training loss among metrics; without one by name, the only metric that is minimized; else None.

    Of several terms of a loss, such as `kl_loss` and `rec_loss`, none is chosen.
    """
    minimized = [name for name in names if direction_of(name) == "min"]
    losses = [name for name in minimized if _name_parts(name) <= _TRAINING_LOSS_PARTS]
    if not losses and len(without_forks(minimized)) > 1:
        return None

    def rank(name: str) -> tuple[bool, bool, str]:
        return (not _name_parts(name) & _TOTAL_PARTS, name.endswith("_step"), name)

    return min(losses or minimized, key=rank, default=None)


def is_validation(name: str) -> bool:
    """Whether a name starts like those of validation metrics."""
    return re.split(r"[^a-z0-9]+", name.lower(), maxsplit=1)[0] in _VALIDATION_PREFIXES


def without_forks(names: Iterable[str]) -> list[str]:
    """The names, sorted; of `loss_step` and `loss_epoch` only `loss`."""
    return sorted({re.sub(r"_(step|epoch)$", "", name) for name in names})


def _name_parts(name: str) -> set[str]:
    separated = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return set(filter(None, re.split(r"[^a-z0-9]+", separated)))


def no_best_text(why: str) -> str:
    """The message that no epoch is the best, with what to do."""
    return f"no epoch is the best: {why}; the last weights count; `--monitor METRIC` names one that decides"


def no_loss_text(optimizers: int, names: Iterable[str]) -> str:
    """Why the training loss cannot select the best epoch.

    Args:
        optimizers: Their number.
        names: Metrics logged by training.
    """
    losses = without_forks(name for name in names if direction_of(name) == "min")
    if not losses:
        return "no validation metric decides, and no training loss is logged"
    if optimizers != 1:
        return f"no validation metric decides, and {optimizers} optimizers have losses of their own"
    names_text = listed(quoted(losses), _MAX_NAMES)
    return f"no validation metric decides, and none of {names_text} is clearly the training loss"


def no_direction_text(names: Iterable[str]) -> str:
    """The message that validation metrics have no known direction, with what to do."""
    known = without_forks(names)
    which = "whose name does" if len(known) == 1 else "whose names do"
    return (
        f"the validation logs {listed(quoted(known), _MAX_NAMES)}, {which} not say which way is better: "
        "no epoch is the best by that; "
        f"`--monitor {known[0]} --mode max` or `--mode min` says it"
    )


def describe_monitor(config: TrainConfig, has_validation: bool, optimizers: int) -> str:
    """What will select the best epoch, as far as that is known before training."""
    named = config.monitor or config.early_stop_metric
    if named is not None:
        return f"by `{named}` ({config.direction(named)})"
    without = (
        "the training loss"
        if optimizers == 1
        else f"none of the {optimizers} optimizers' losses: the last weights count"
    )
    if has_validation:
        return f"by the first validation metric that is logged, a loss before others; without one, {without}"
    return f"by {without}" if optimizers == 1 else without


def metric_not_logged(name: str, logged: list[str]) -> str:
    """The message for a metric that is not logged, with its logged forms where there are any."""
    forms = sorted(metric for metric in logged if _LIGHTNING_SUFFIX.sub("", metric) == _LIGHTNING_SUFFIX.sub("", name))
    if any("/dataloader_idx_" in form for form in forms):
        each = listed(quoted(forms), _MAX_FORMS)
        return f"`{name}` was never logged: there are several loaders, each with a value of its own. Name one: {each}"
    if forms:
        return f"`{name}` was never logged, but {listed(quoted(forms), _MAX_FORMS)}; name one of these"
    known = ", ".join(f"`{metric}`" for metric in sorted(logged)) or "none"
    return f"`{name}` was never logged.{did_you_mean(name, logged)} Logged are: {known}"
