"""States of torchmetrics objects, and of their wrappers and collections: no part of a module's weights."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytorch_lightning as pl
import torch
from torch import nn
from torchmetrics import Metric, MetricCollection, MetricTracker

#: More values than these are not copied before every validation.
_MAX_HELD = 1_000_000
_PLAIN = (type(None), bool, int, float, complex, str, bytes, torch.Tensor)
_CPU = torch.device("cpu")


class _Bare(Metric):
    """Has what every metric has: settings, caches that follow from the states, and functions."""

    def update(self) -> None:
        """Takes nothing."""

    def compute(self) -> None:
        """Gives nothing."""


_COMMON = frozenset(vars(_Bare()))


def metrics_of(module: pl.LightningModule) -> dict[str, Any]:
    """The states by the names of the objects; tensors are shared with them, not copied."""
    return {name: _state_of(one) for name, one in _objects(module)}


def held_metrics(module: pl.LightningModule) -> dict[str, Any] | None:
    """Copies of the states, which a validation changes; None where they are large, or hold more than tensors."""
    kept = metrics_of(module)
    states = [value for one in kept.values() for value in one.get("states", {}).values()]
    tensors = [item for value in states for item in (value if isinstance(value, list) else [value])]
    if not all(isinstance(one, torch.Tensor) for one in tensors):
        return None
    tensors += [value for one in kept.values() for value in _tensors_in(one["attributes"])]
    if sum(one.numel() for one in tensors) > _MAX_HELD:
        return None
    return {name: moved(one, _CPU) for name, one in kept.items()}


def restore_metrics(module: pl.LightningModule, kept: dict[str, Any]) -> None:
    """Puts kept states into the objects of the same names; a tracker gets as many copies as it had."""
    for name, one in [*_objects(module)]:
        for _ in range(kept.get(name, {}).get("length", 0) - (len(one) if isinstance(one, MetricTracker) else 0)):
            one.append(deepcopy(one._base_metric))
    objects = dict(_objects(module))
    for name in kept.keys() & objects.keys():
        _restore(objects[name], kept[name])
    lost = sorted(kept.keys() - objects.keys())
    if lost:
        names = ", ".join(f"`{name}`" for name in lost)
        warnings.warn(
            f"the checkpoint has states of the metrics {names}, which the model has no longer: they are left out; "
            "make them in the model's `__init__`, under these names, to go on with them",
            stacklevel=2,
        )


def moved(value: Any, device: torch.device) -> Any:
    """A copy of tensors, and of lists, tuples and dicts of them, on a device; anything else as it is."""
    if isinstance(value, torch.Tensor):
        return value.to(device, copy=True)
    if type(value) in (list, tuple):
        return type(value)(moved(item, device) for item in value)
    return {key: moved(item, device) for key, item in value.items()} if type(value) is dict else value


def _objects(module: nn.Module) -> Iterator[tuple[str, Any]]:
    for name, one in module.named_modules():
        if isinstance(one, Metric | MetricCollection | MetricTracker):
            yield name, one


def _state_of(one: Any) -> dict[str, Any]:
    states = one._defaults if isinstance(one, Metric) else {}
    names = sorted(vars(one).keys() - _COMMON - states.keys())
    kept: dict[str, Any] = {"attributes": {name: vars(one)[name] for name in names if _is_plain(vars(one)[name])}}
    if isinstance(one, Metric):
        kept |= {"states": {key: getattr(one, key) for key in states}, "updates": one._update_count}
    if isinstance(one, MetricTracker):
        kept["length"] = len(one)
    return kept


def _restore(one: Any, kept: dict[str, Any]) -> None:
    device = getattr(one, "device", _CPU)
    for key, value in kept.get("states", {}).items():
        setattr(one, key, moved(value, device))
    for key, value in kept.get("attributes", {}).items():  # checkpoints of earlier releases have none
        now = vars(one).get(key)
        vars(one)[key] = moved(value, now.device if isinstance(now, torch.Tensor) else device)
    if isinstance(one, Metric):
        one._update_count = kept["updates"]
        one._computed = None


def _is_plain(value: Any) -> bool:
    if type(value) in (list, tuple):
        return all(map(_is_plain, value))
    if type(value) is dict:
        return all(map(_is_plain, [*value, *value.values()]))
    return type(value) in _PLAIN


def _tensors_in(value: Any) -> list[torch.Tensor]:
    """The tensors in plain data."""
    if isinstance(value, torch.Tensor):
        return [value]
    items = value.values() if type(value) is dict else value if type(value) in (list, tuple) else ()
    return [one for item in items for one in _tensors_in(item)]
