"""The monitored metric: which one selects the best epoch, its values, its best value so far."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import pytorch_lightning as pl

from jupyter_train.config import TrainConfig
from jupyter_train.events import EventKind
from jupyter_train.exceptions import OptionError
from jupyter_train.store.writer import RunWriter
from jupyter_train.training.checkpoints.monitor_choice import (
    choose_monitor,
    is_validation,
    metric_not_logged,
    no_best_text,
    no_direction_text,
    no_loss_text,
    training_loss,
)
from jupyter_train.training.lightning.validation_schedule import may_validate

_MAX_TRAIL = 32
_VALIDATION_MISSING = "the validation that was awaited did not come"


class MonitoredMetric:
    """Reads the metric whenever it has a new value, and records its best value in the run's summary.

    Which one it is: `--monitor`; else a validation metric, from the first validation that logs one; until then the
    training loss, where there is one optimizer and no validation is still to come; else none.

    Args:
        config: The metric and its mode, where they are set.
        writer: Records the summary.
    """

    def __init__(self, config: TrainConfig, writer: RunWriter) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self._named = config.monitor or config.early_stop_metric
        self.name: str | None = self._named
        self._config = config
        self._takes_last = config.objective == "last"
        self._writer = writer
        self._since = 0
        self._seen_at = -1
        self._best: dict[str, Any] = {}
        self._trail: list[float] = []
        self._has_validated = False
        self._is_of_validation = False
        self._has_told_none = False
        self._has_told_direction = False
        self._has_waited = False
        self._has_looked = False
        self._is_read_in_validation = False

    def read(self, trainer: pl.Trainer) -> float | None:
        """The metric's new value, at the end of a validation or of an epoch's training; None where there is none."""
        metrics = trainer.callback_metrics
        logged = _logged_by_loop(trainer) & set(metrics)
        outside = _logged_outside_loop(trainer, set(metrics))
        self._has_looked = True
        self._has_validated |= trainer.validating
        if self._named is None and not self._is_of_validation:
            self._choose(trainer, logged | set(filter(is_validation, outside)))
        if self._seen_at == trainer.global_step or not self._is_new(trainer, logged, outside):
            return None
        assert self.name is not None
        value = float(metrics[self.name])
        self._seen_at = trainer.global_step
        self._is_read_in_validation |= trainer.validating
        self._add_to_trail(value)
        if math.isfinite(value) and (not self._best or self.is_better(value, self._best["value"])):
            self._set_best(value, trainer)
        elif self._takes_last:
            self._best = {}
            self._writer.summary(best=None)
        return value

    def _is_new(self, trainer: pl.Trainer, logged: set[str], outside: set[str]) -> bool:
        """Whether the metric has a new value; one that a callback logged in a validation stays after it."""
        if self.name is None or self.name in logged:
            return self.name is not None
        is_old = self._is_read_in_validation and not trainer.validating and is_validation(self.name)
        return self.name in outside and not is_old

    def _set_best(self, value: float, trainer: pl.Trainer) -> None:
        best = {"metric": self.name, "value": value, "epoch": trainer.current_epoch}
        self._best = best | {"step": trainer.global_step, "mode": self._direction()}
        if self._takes_last:
            self._best["which"] = "last"
        self._writer.summary(best=self._best)

    def is_better(self, value: float, reference: float) -> bool:
        """Whether a value is better than another; with `--objective last`, any value that is not NaN is."""
        if self._takes_last:
            return not math.isnan(value)
        return value < reference if self._direction() == "min" else value > reference

    def is_comparable(self, step: int) -> bool:
        """Whether the best value at a step was one of the current metric."""
        return step >= self._since

    def check_logged(self, trainer: pl.Trainer) -> None:
        """Checks that a named metric was logged by the end of the first epoch that validated.

        Raises:
            OptionError: It was not.
        """
        if self._named is None or self._named in trainer.callback_metrics:
            return
        if self._awaits_validation(trainer):
            return
        self._has_told_none = True
        raise OptionError(metric_not_logged(self._named, list(trainer.callback_metrics)))

    def report_missing(self, trainer: pl.Trainer) -> None:
        """Records that a finished fit has no best epoch and why, unless it ended before the first comparison."""
        if self._best or not self._has_looked:
            return
        if self.name is None and self._has_waited and not self._has_validated:
            why = _VALIDATION_MISSING
        elif self.name is None:
            why = "no validation metric decides, and the run ended before its first epoch did"
        else:
            why = f"`{self.name}` was {'not logged' if self._seen_at < 0 else 'never a number'}"
        self._report_no_best(why, trainer)

    def _choose(self, trainer: pl.Trainer, logged: set[str]) -> None:
        """Switches to a validation metric as soon as there is one, else to the training loss where it is clear."""
        of_validation = logged if trainer.validating else set(filter(is_validation, logged))
        validation = choose_monitor(of_validation)
        if validation is not None:
            self._is_of_validation = True
            self._switch_to(validation, trainer)
            return
        self._report_no_direction(of_validation, trainer)
        if self.name is None and not trainer.validating:
            self._choose_training_metric(trainer, logged)

    def _choose_training_metric(self, trainer: pl.Trainer, logged: set[str]) -> None:
        """Switches to the training loss; not where earlier epochs were not compared, awaiting a validation."""
        if self._awaits_validation(trainer):
            self._has_waited = True
        elif self._has_waited and not self._has_validated:
            self._report_no_best(_VALIDATION_MISSING, trainer)
        else:
            self._choose_training_loss(trainer, logged)

    def _choose_training_loss(self, trainer: pl.Trainer, logged: set[str]) -> None:
        loss = training_loss(logged)
        if loss is not None and len(trainer.optimizers) == 1:
            self._switch_to(loss, trainer)
        else:
            self._report_no_best(no_loss_text(len(trainer.optimizers), logged), trainer)

    def _report_no_best(self, why: str, trainer: pl.Trainer) -> None:
        if not self._has_told_none:
            self._has_told_none = True
            self._writer.event(EventKind.BEST, no_best_text(why), trainer.global_step)

    def _report_no_direction(self, names: set[str], trainer: pl.Trainer) -> None:
        if names and not self._has_told_direction:
            self._has_told_direction = True
            self._writer.event(EventKind.BEST, no_direction_text(names), trainer.global_step)

    def _switch_to(self, name: str, trainer: pl.Trainer) -> None:
        previous, self.name = self.name, name
        if previous == name:
            return
        self._since = trainer.global_step
        text = f"`{name}` selects the best epoch from now on"
        if previous is not None:
            text += f"; what was best by `{previous}` no longer counts"
        if previous is not None or self._has_told_none:
            self._has_told_none = False
            self._writer.event(EventKind.BEST, text, trainer.global_step)
        if previous is not None:
            self._restart()

    def _restart(self) -> None:
        self._seen_at, self._best, self._trail = -1, {}, []
        self._is_read_in_validation = False
        self._writer.summary(best=None, trail=[])
        self.on_change()

    def _awaits_validation(self, trainer: pl.Trainer) -> bool:
        """Whether a first validation is still to come."""
        return not self._has_validated and may_validate(trainer)

    def _add_to_trail(self, value: float) -> None:
        """Adds a value to the sparkline of the run list, of at most 32 values."""
        if math.isfinite(value):
            self._trail.append(float(f"{value:.4g}"))
        if len(self._trail) > _MAX_TRAIL:
            self._trail = self._trail[::2]
        self._writer.summary(trail=self._trail.copy())

    def _direction(self) -> str:
        assert self.name is not None
        return self._config.direction(self.name)

    def state_dict(self) -> dict[str, Any]:
        """State for a resumed run."""
        return {
            "name": self.name,
            "seen_at": self._seen_at,
            "best": self._best,
            "trail": self._trail.copy(),
            "since": self._since,
            "has_validated": self._has_validated,
            "is_of_validation": self._is_of_validation,
            "has_told_none": self._has_told_none,
            "has_told_direction": self._has_told_direction,
            "has_waited": self._has_waited,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores that state; starts again where another metric or mode is set now."""
        self.name = self._named or state["name"]
        self._since = state.get("since", 0)
        self._has_validated = state.get("has_validated", bool(state["best"]))
        self._is_of_validation = state.get("is_of_validation", is_validation(self.name or ""))
        self._has_told_none = state.get("has_told_none", False)
        self._has_told_direction = state.get("has_told_direction", False)
        self._has_waited = state.get("has_waited", False)
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
    """Names that the active loop has logged (`Trainer._results`, 2.6); other metrics keep an old value."""
    active: Any = trainer._results
    return set(_metric_names(active.values() if active is not None else []))


def _logged_outside_loop(trainer: pl.Trainer, names: set[str]) -> set[str]:
    """Names with a new value outside it: per-step metrics, and what callbacks put into `callback_metrics`."""
    loop: Any = trainer.fit_loop.epoch_loop
    training, validation = loop._results.values(), loop.val_loop._results.values()
    known = {*_metric_names(training, is_new=False), *_metric_names(validation, is_new=False)}
    by_steps = set(_metric_names(item for item in training if not item.meta.on_epoch))
    return names & (by_steps | (names - known))


def _metric_names(items: Iterable[Any], is_new: bool = True) -> Iterable[str]:
    for item in items:
        if not (is_new and item.has_reset):
            meta = item.meta
            has_suffix = meta.add_dataloader_idx and meta.dataloader_idx is not None
            suffix = f"/dataloader_idx_{meta.dataloader_idx}" if has_suffix else ""
            yield from (f"{meta.name}{fork}{suffix}" for fork in ("", "_step", "_epoch"))
