"""The metric that tells the best epoch: which one it is, how it goes, its best value so far."""

from __future__ import annotations

import math
from typing import Any

import pytorch_lightning as pl

from jupyter_train.config import TrainConfig, direction_of
from jupyter_train.exceptions import OptionError, did_you_mean
from jupyter_train.store.writer import RunWriter

_MOST_TRAIL = 32


class Monitored:
    """Reads the metric whenever it is new, and says in the run's summary where it stands.

    Args:
        config: The metric and its direction, where they were named.
        writer: Records the summary.
    """

    def __init__(self, config: TrainConfig, writer: RunWriter) -> None:
        self.name: str | None = config.monitor or config.early_stop_metric
        self._config = config
        self._writer = writer
        self._seen_at = -1
        self._best: dict[str, Any] = {}
        self._trail: list[float] = []

    def look(self, trainer: pl.Trainer) -> float | None:
        """The metric's value; None when there is no new one."""
        metrics = trainer.callback_metrics
        if self.name is None:
            self.name = choose_monitor(list(metrics))
        if self.name is None or self.name not in metrics or self._seen_at == trainer.global_step:
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

    def check(self, trainer: pl.Trainer) -> None:
        """A named metric must have been logged by the end of the first epoch that validated.

        Raises:
            OptionError: It was not.
        """
        named = self._config.monitor or self._config.early_stop_metric
        if named is None or named in trainer.callback_metrics:
            return
        has_validated = (
            not trainer.enable_validation or (trainer.current_epoch + 1) % (trainer.check_val_every_n_epoch or 1) == 0
        )
        if has_validated:
            raise OptionError(metric_not_logged(named, list(trainer.callback_metrics)))

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
        return {"name": self.name, "seen_at": self._seen_at, "best": self._best, "trail": self._trail.copy()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from there."""
        self.name = self._config.monitor or self._config.early_stop_metric or state["name"]
        self._seen_at = state["seen_at"]
        self._trail = list(state["trail"])
        self._best = dict(state["best"])
        if self._best:
            self._writer.summary(best=self._best, trail=self._trail.copy())


def choose_monitor(names: list[str]) -> str | None:
    """The metric that tells the best epoch when none was named: a validation loss, then any that can tell."""

    def rank(name: str) -> tuple[bool, bool, bool]:
        return (not name.startswith(("val", "valid", "dev")), "loss" not in name, name.endswith("_step"))

    known = [name for name in names if direction_of(name) is not None]
    return min(known, key=rank) if known else None


def metric_not_logged(name: str, logged: list[str]) -> str:
    """The message for a metric nobody logs."""
    known = ", ".join(f"`{metric}`" for metric in sorted(logged)) or "none"
    return f"`{name}` was never logged.{did_you_mean(name, logged)} Logged are: {known}"
