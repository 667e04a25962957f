"""States of torchmetrics objects, their wrappers and collections, which are not in a module's `state_dict`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytorch_lightning as pl
import torch
from torch import nn
from torchmetrics import Metric, MetricCollection, MetricTracker

#: States with more values are not copied before every validation.
_MAX_HELD = 1_000_000
_PLAIN = (type(None), bool, int, float, complex, str, bytes, torch.Tensor)
_CPU = torch.device("cpu")


class _EmptyMetric(Metric):
    """Has only the attributes of every metric: settings, caches and functions."""

    def update(self) -> None:
        """Does nothing."""

    def compute(self) -> None:
        """Returns nothing."""


_COMMON_ATTRIBUTES = frozenset(vars(_EmptyMetric()))


def metric_states(module: pl.LightningModule) -> dict[str, Any]:
    """The states by the names of the objects; tensors are shared with them, not copied."""
    return {name: _metric_state(metric) for name, metric in _metric_objects(module)}


def copy_metric_states(module: pl.LightningModule) -> dict[str, Any] | None:
    """Copies of the states on the CPU; None where they are large, or hold more than tensors."""
    states_by_name = metric_states(module)
    states = [value for item in states_by_name.values() for value in item.get("states", {}).values()]
    tensors = [item for value in states for item in (value if isinstance(value, list) else [value])]
    if not all(isinstance(item, torch.Tensor) for item in tensors):
        return None
    tensors += [value for item in states_by_name.values() for value in _tensors_in(item["attributes"])]
    if sum(item.numel() for item in tensors) > _MAX_HELD:
        return None
    return {name: copy_to_device(item, _CPU) for name, item in states_by_name.items()}


def restore_metric_states(module: pl.LightningModule, kept: dict[str, Any]) -> None:
    """Restores states into the objects of the same names; a tracker gets as many copies as it had."""
    for name, metric in [*_metric_objects(module)]:
        for _ in range(kept.get(name, {}).get("length", 0) - (len(metric) if isinstance(metric, MetricTracker) else 0)):
            metric.append(deepcopy(metric._base_metric))
    objects = dict(_metric_objects(module))
    for name in kept.keys() & objects.keys():
        _restore_metric(objects[name], kept[name])
    lost = sorted(kept.keys() - objects.keys())
    if lost:
        names = ", ".join(f"`{name}`" for name in lost)
        warnings.warn(
            f"the checkpoint has states of the metrics {names}, which the model no longer has: they are left out; "
            "make them in the model's `__init__`, under these names, to restore them",
            stacklevel=2,
        )


def copy_to_device(value: Any, device: torch.device) -> Any:
    """A copy of tensors, and of lists, tuples and dicts of them, on a device; other values unchanged."""
    if isinstance(value, torch.Tensor):
        return value.to(device, copy=True)
    if type(value) in (list, tuple):
        return type(value)(copy_to_device(item, device) for item in value)
    return {key: copy_to_device(item, device) for key, item in value.items()} if type(value) is dict else value


def _metric_objects(module: nn.Module) -> Iterator[tuple[str, Any]]:
    for name, submodule in module.named_modules():
        if isinstance(submodule, Metric | MetricCollection | MetricTracker):
            yield name, submodule


def _metric_state(metric: nn.Module) -> dict[str, Any]:
    states = metric._defaults if isinstance(metric, Metric) else {}
    names = sorted(vars(metric).keys() - _COMMON_ATTRIBUTES - states.keys())
    state: dict[str, Any] = {
        "attributes": {name: vars(metric)[name] for name in names if _is_plain(vars(metric)[name])}
    }
    if isinstance(metric, Metric):
        state |= {"states": {key: getattr(metric, key) for key in states}, "updates": metric._update_count}
    if isinstance(metric, MetricTracker):
        state["length"] = len(metric)
    return state


def _restore_metric(metric: nn.Module, state: dict[str, Any]) -> None:
    device = getattr(metric, "device", _CPU)
    for key, value in state.get("states", {}).items():
        setattr(metric, key, copy_to_device(value, device))
    for key, value in state.get("attributes", {}).items():  # checkpoints of earlier releases have none
        current = vars(metric).get(key)
        vars(metric)[key] = copy_to_device(value, current.device if isinstance(current, torch.Tensor) else device)
    if isinstance(metric, Metric):
        metric._update_count = state["updates"]
        metric._computed = None


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
    return [tensor for item in items for tensor in _tensors_in(item)]
