"""Which metric tells the best epoch, as far as names say it, and the words for it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from jupyter_train.config import TrainConfig, direction_of
from jupyter_train.exceptions import did_you_mean
from jupyter_train.store.text_columns import listed, quoted

_VALIDATION_PREFIXES = frozenset({"val", "valid", "validation", "dev"})
#: Words of a name that is that of the training loss itself, and not of a part of it.
_TRAINING_LOSS_PARTS = frozenset({"train", "training", "total", "overall", "avg", "mean", "loss", "epoch", "step"})
_TOTAL_PARTS = frozenset({"total", "overall"})
_MAX_NAMES = 4
_MAX_FORMS = 12
#: What Lightning adds to the name of a metric: of which loader, and of steps or epochs.
_LIGHTNING_SUFFIX = re.compile(r"(_(step|epoch))?(/dataloader_idx_\d+)?$")


def choose_monitor(names: Iterable[str]) -> str | None:
    """The metric that tells the best epoch when none was named: a validation loss, then any that can tell."""

    def rank(name: str) -> tuple[bool, bool, bool, str]:
        return (not is_validation(name), "loss" not in name, name.endswith("_step"), name)

    return min((name for name in names if direction_of(name) is not None), key=rank, default=None)


def training_loss(names: Iterable[str]) -> str | None:
    """The training loss among metrics; the only other one that is minimized, where none has such a name; else none.

    Of parts of a loss, such as `kl_loss` and `rec_loss`, none is it.
    """
    minimized = [name for name in names if direction_of(name) == "min"]
    losses = [name for name in minimized if _name_parts(name) <= _TRAINING_LOSS_PARTS]
    if not losses and len(without_forks(minimized)) > 1:
        return None

    def rank(name: str) -> tuple[bool, bool, str]:
        return (not _name_parts(name) & _TOTAL_PARTS, name.endswith("_step"), name)

    return min(losses or minimized, key=rank, default=None)


def is_validation(name: str) -> bool:
    """Whether a name begins as those of validation metrics do."""
    return re.split(r"[^a-z0-9]+", name.lower(), maxsplit=1)[0] in _VALIDATION_PREFIXES


def without_forks(names: Iterable[str]) -> list[str]:
    """The names, sorted; of `loss_step` and `loss_epoch` only `loss`."""
    return sorted({re.sub(r"_(step|epoch)$", "", name) for name in names})


def _name_parts(name: str) -> set[str]:
    separated = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return set(filter(None, re.split(r"[^a-z0-9]+", separated)))


def no_best_text(why: str) -> str:
    """That no epoch is the best, and what to do about it."""
    return f"no epoch is the best: {why}; the last weights count; `--monitor METRIC` names one that tells"


def no_loss_text(optimizers: int, names: Iterable[str]) -> str:
    """Why the training loss does not tell the best epoch.

    Args:
        optimizers: How many there are.
        names: Of the metrics that training has logged.
    """
    losses = without_forks(name for name in names if direction_of(name) == "min")
    if not losses:
        return "no validation metric tells, and no training loss is logged"
    if optimizers != 1:
        return f"no validation metric tells, and {optimizers} optimizers have losses of their own"
    return f"no validation metric tells, and none of {listed(quoted(losses), _MAX_NAMES)} is clearly the training loss"


def no_direction_text(names: Iterable[str]) -> str:
    """That validation metrics cannot tell the best epoch, and what lets them."""
    known = without_forks(names)
    which = "whose name does" if len(known) == 1 else "whose names do"
    return (
        f"the validation logs {listed(quoted(known), _MAX_NAMES)}, {which} not tell which way is better: "
        "no epoch is the best by that; "
        f"`--monitor {known[0]} --mode max` or `--mode min` says it"
    )


def describe_monitor(config: TrainConfig, has_validation: bool, optimizers: int) -> str:
    """What will tell the best epoch, as far as it is known before training."""
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
    """The message for a metric nobody logs: its forms that are logged, if there are such."""
    forms = sorted(metric for metric in logged if _LIGHTNING_SUFFIX.sub("", metric) == _LIGHTNING_SUFFIX.sub("", name))
    if any("/dataloader_idx_" in form for form in forms):
        each = listed(quoted(forms), _MAX_FORMS)
        return f"`{name}` was never logged: there are several loaders, each with a value of its own. Name one: {each}"
    if forms:
        return f"`{name}` was never logged, but {listed(quoted(forms), _MAX_FORMS)}; name one of these"
    known = ", ".join(f"`{metric}`" for metric in sorted(logged)) or "none"
    return f"`{name}` was never logged.{did_you_mean(name, logged)} Logged are: {known}"
