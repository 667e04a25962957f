"""The metric that tells the best epoch: which one it is, how it goes, its best value so far."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import Any

import pytorch_lightning as pl

from jupyter_train.config import TrainConfig, direction_of
from jupyter_train.exceptions import OptionError, did_you_mean
from jupyter_train.store.writer import RunWriter

_MOST_TRAIL = 32
_VALIDATION = frozenset({"val", "valid", "validation", "dev"})
#: Words of a name that is that of the training loss itself, and not of a part of it.
_OF_TRAINING_LOSS = frozenset({"train", "training", "loss", "epoch", "step"})


class Monitored:
    """Reads the metric whenever it is new, and says in the run's summary where it stands.

    Which one it is: the one that was named; else a validation metric, from the first validation that logs one; until
    then the training loss, where there is one optimizer and no validation is still to come; else none.

    Args:
        config: The metric and its direction, where they were named.
        writer: Records the summary.
    """

    def __init__(self, config: TrainConfig, writer: RunWriter) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self._named = config.monitor or config.early_stop_metric
        self.name: str | None = self._named
        self._config = config
        self._writer = writer
        self._since = 0
        self._seen_at = -1
        self._best: dict[str, Any] = {}
        self._trail: list[float] = []
        self._has_validated = False
        self._is_of_validation = False
        self._has_told_none = False

    def look(self, trainer: pl.Trainer) -> float | None:
        """The metric's value, at the end of a validation or of an epoch's training; None when there is no new one."""
        metrics = trainer.callback_metrics
        logged = _logged_by_loop(trainer) & set(metrics)
        self._has_validated |= trainer.validating
        if self._named is None and not self._is_of_validation:
            self._choose(trainer, logged)
        if self._seen_at == trainer.global_step or self.name not in logged | _logged_besides(trainer, set(metrics)):
            return None
        value = float(metrics[self.name])
        self._seen_at = trainer.global_step
        self._remember(value)
        if not math.isnan(value) and (not self._best or self.beats(value, self._best["value"])):
            found = {"metric": self.name, "value": value, "epoch": trainer.current_epoch}
            self._best = found | {"step": trainer.global_step, "mode": self._direction()}
            self._writer.summary(best=self._best)
        return value

    def beats(self, value: float, other: float) -> bool:
        """Whether a value is better than another."""
        return value < other if self._direction() == "min" else value > other

    def counts(self, step: int) -> bool:
        """Whether what was best at a step was so by the metric that tells it now."""
        return step >= self._since

    def check(self, trainer: pl.Trainer) -> None:
        """A named metric must have been logged by the end of the first epoch that validated.

        Raises:
            OptionError: It was not.
        """
        if self._named is None or self._named in trainer.callback_metrics or self._awaits_validation(trainer):
            return
        raise OptionError(metric_not_logged(self._named, list(trainer.callback_metrics)))

    # -- which ------------------------------------------------------------------------------------

    def _choose(self, trainer: pl.Trainer, logged: set[str]) -> None:
        """Takes a validation metric as soon as there is one, else the training loss where it can tell."""
        validation = choose_monitor(logged if trainer.validating else [one for one in logged if _is_validation(one)])
        if validation is not None:
            self._is_of_validation = True
            self._change_to(validation, trainer)
        elif self.name is None and not trainer.validating and not self._awaits_validation(trainer):
            self._choose_training_loss(trainer, logged)

    def _choose_training_loss(self, trainer: pl.Trainer, logged: set[str]) -> None:
        loss = training_loss(logged)
        if loss is not None and len(trainer.optimizers) == 1:
            self._change_to(loss, trainer)
        elif not self._has_told_none:
            self._has_told_none = True
            why = no_best_words(len(trainer.optimizers) if loss is not None else 1)
            self._writer.event("best", f"{why}; {_INSTEAD}", trainer.global_step)

    def _change_to(self, name: str, trainer: pl.Trainer) -> None:
        before, self.name = self.name, name
        if before == name:
            return
        self._since = trainer.global_step
        if before is not None:
            text = f"`{name}` tells the best epoch from now on; what was best by `{before}` no longer counts"
            self._writer.event("best", text, trainer.global_step)
            self._begin_anew()

    def _begin_anew(self) -> None:
        self._seen_at, self._best, self._trail = -1, {}, []
        self._writer.summary(best=None, trail=[])
        self.on_change()

    def _awaits_validation(self, trainer: pl.Trainer) -> bool:
        """Whether a first validation is still to come."""
        every, most = trainer.check_val_every_n_epoch, trainer.max_epochs
        is_too_late = every is not None and most is not None and 0 <= most < every
        return trainer.enable_validation and not self._has_validated and not is_too_late

    # -- how it goes ------------------------------------------------------------------------------

    def _remember(self, value: float) -> None:
        """The way the metric went, in a few numbers: what a list draws of a run."""
        if math.isfinite(value):
            self._trail.append(float(f"{value:.4g}"))
        if len(self._trail) > _MOST_TRAIL:
            self._trail = self._trail[::2]
        self._writer.summary(trail=self._trail.copy())

    def _direction(self) -> str:
        assert self.name is not None
        return self._config.direction(self.name)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know."""
        return {
            "name": self.name, "seen_at": self._seen_at, "best": self._best, "trail": self._trail.copy(),
            "since": self._since, "has_validated": self._has_validated, "is_of_validation": self._is_of_validation,
            "has_told_none": self._has_told_none,
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from there; anew, where another metric or direction is named now."""
        self.name = self._named or state["name"]
        self._since = state.get("since", 0)
        self._has_validated = state.get("has_validated", bool(state["best"]))
        self._is_of_validation = state.get("is_of_validation", _is_validation(self.name or ""))
        self._has_told_none = state.get("has_told_none", False)
        best = state["best"]
        if best and (best["metric"], best["mode"]) != (self.name, self._direction()):
            self._since = state["seen_at"] + 1
            return
        self._seen_at = state["seen_at"]
        self._trail = list(state["trail"])
        self._best = dict(best)
        if self._best:
            self._writer.summary(best=self._best, trail=self._trail.copy())


def _logged_by_loop(trainer: pl.Trainer) -> set[str]:
    """Names that the validation, or the epoch's training, has logged; other metrics keep an old value."""
    active: Any = trainer._results
    return set(_names_in(active.values() if active is not None else []))


def _logged_besides(trainer: pl.Trainer, names: set[str]) -> set[str]:
    """Names that have a new value all the same: a training step's, and what a callback puts there by itself."""
    loop: Any = trainer.fit_loop.epoch_loop
    training, validation = loop._results.values(), loop.val_loop._results.values()
    known = {*_names_in(training, is_new=False), *_names_in(validation, is_new=False)}
    by_steps = set(_names_in(item for item in training if not item.meta.on_epoch))
    return names & (by_steps | (names - known))


def _names_in(items: Iterable[Any], is_new: bool = True) -> Iterable[str]:
    for item in items:
        if not (is_new and item.has_reset):
            meta = item.meta
            has_suffix = meta.add_dataloader_idx and meta.dataloader_idx is not None
            suffix = f"/dataloader_idx_{meta.dataloader_idx}" if has_suffix else ""
            yield from (f"{meta.name}{fork}{suffix}" for fork in ("", "_step", "_epoch"))


def choose_monitor(names: Iterable[str]) -> str | None:
    """The metric that tells the best epoch when none was named: a validation loss, then any that can tell."""

    def rank(name: str) -> tuple[bool, bool, bool, str]:
        return (not _is_validation(name), "loss" not in name, name.endswith("_step"), name)

    return min((name for name in names if direction_of(name) is not None), key=rank, default=None)


def training_loss(names: Iterable[str]) -> str | None:
    """The training loss among metrics; one of its parts, or another that is minimized, where it has no such name."""

    def rank(name: str) -> tuple[bool, bool, bool, str]:
        words = set(re.split(r"[^a-z0-9]+", name.lower()))
        return (not words <= _OF_TRAINING_LOSS, "loss" not in name, name.endswith("_step"), name)

    return min((name for name in names if direction_of(name) == "min"), key=rank, default=None)


def _is_validation(name: str) -> bool:
    return re.split(r"[^a-z0-9]+", name.lower(), maxsplit=1)[0] in _VALIDATION


_INSTEAD = "the last weights count; `--monitor METRIC` names one that tells"


def no_best_words(optimizers: int) -> str:
    """Why no epoch is the best."""
    if optimizers != 1:
        why = f"no validation metric is logged, and {optimizers} optimizers have losses of their own"
        return f"no epoch is the best: {why}"
    return "no epoch is the best: neither a validation metric nor a training loss is logged"


def told_best(config: TrainConfig, has_validation: bool, optimizers: int) -> str:
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
    """The message for a metric nobody logs."""
    known = ", ".join(f"`{metric}`" for metric in sorted(logged)) or "none"
    return f"`{name}` was never logged.{did_you_mean(name, logged)} Logged are: {known}"
