"""The state that an exact resume needs besides Lightning's checkpoint.

Lightning leaves out: random state, accumulated gradients, the running means of the epoch, metric objects,
`callback_metrics`, and whether early stopping has decided to stop. All private names below are of Lightning 2.6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping
from pytorch_lightning.trainer.connectors.logger_connector.result import _Metadata, _ResultMetric, _Sync

from jupyter_train.training.lightning.safe_points import SafePoint
from jupyter_train.training.state.torchmetrics_state import metric_states, restore_metric_states

if TYPE_CHECKING:
    from pytorch_lightning.trainer.connectors.logger_connector.result import _ResultCollection

#: Progress of nested loops, by the endings of their keys in Lightning's own state.
_CURRENT_AND_TOTAL = {"current", "total"}


def capture(trainer: pl.Trainer, moment: SafePoint) -> dict[str, Any]:
    """That state without the random state; tensors are shared with the fit, not copied."""
    epoch_loop: Any = trainer.fit_loop.epoch_loop
    connector: Any = trainer._logger_connector
    return {
        "moment": moment.value,
        "gradients": _gradients(trainer),
        "metrics": metric_states(trainer.lightning_module),
        "results": _results(epoch_loop._results),
        "callback_metrics": dict(connector._callback_metrics),
        "logged_metrics": dict(connector._logged_metrics),
        "progress_bar_metrics": dict(connector._progress_bar_metrics),
        "loaded_at": {
            "train": trainer.fit_loop._last_train_dl_reload_epoch,
            "validation": epoch_loop.val_loop._last_val_dl_reload_epoch,
        },
        "batches_seen": {str(k): v for k, v in epoch_loop.val_loop._seen_batches_per_dataloader.items()},
        "has_stopped_early": _has_stopped_early(trainer),
        "max_epochs": trainer.max_epochs,
    }


def restore(trainer: pl.Trainer, state: dict[str, Any]) -> None:
    """Restores a captured state into a fit whose loops and weights are those of the checkpoint."""
    module = trainer.lightning_module
    epoch_loop: Any = trainer.fit_loop.epoch_loop
    connector: Any = trainer._logger_connector
    _restore_gradients(module, state["gradients"])
    restore_metric_states(module, state["metrics"])
    if state["moment"] != SafePoint.BETWEEN_EPOCHS:
        _restore_results(trainer, epoch_loop._results, state["results"])
        connector._first_loop_iter = False  # else the first batch would reset the epoch's means
    for name in ("callback_metrics", "logged_metrics", "progress_bar_metrics"):
        getattr(connector, f"_{name}").update(state[name])
    for key, count in state["batches_seen"].items():
        epoch_loop.val_loop._seen_batches_per_dataloader[int(key)] = count
    if state["has_stopped_early"]:
        trainer.should_stop = True
    fit_loop: Any = trainer.fit_loop
    # with `reload_dataloaders_every_n_epochs`, loaders are requested when they would have been
    fit_loop._last_train_dl_reload_epoch = state["loaded_at"]["train"]
    epoch_loop.val_loop._last_val_dl_reload_epoch = state["loaded_at"]["validation"]


def _gradients(trainer: pl.Trainer) -> dict[str, torch.Tensor]:
    """Gradients that the next batch adds to; empty where it starts from zero."""
    module = trainer.lightning_module
    is_whole = module.automatic_optimization and not trainer.fit_loop._should_accumulate()
    if is_whole:
        return {}
    return {name: parameter.grad for name, parameter in module.named_parameters() if parameter.grad is not None}


def _restore_gradients(module: pl.LightningModule, gradients: dict[str, torch.Tensor]) -> None:
    parameters = dict(module.named_parameters())
    for name, gradient in gradients.items():
        if name in parameters:
            parameters[name].grad = gradient.to(parameters[name].device, copy=True)


_FIELDS = (
    "fx",
    "name",
    "prog_bar",
    "logger",
    "on_step",
    "on_epoch",
    "enable_graph",
    "add_dataloader_idx",
    "dataloader_idx",
    "metric_attribute",
)


def _results(results: _ResultCollection) -> list[dict[str, Any]]:
    """The running means behind `self.log` in this epoch."""
    entries = []
    for key, metric in results.items():
        meta = metric.meta
        entry = {
            "key": key,
            "is_tensor": metric.is_tensor,
            "has_reset": metric.has_reset,
            "updates": metric._update_count,
        }
        entry |= {field: getattr(meta, field) for field in _FIELDS}
        entry |= {"reduce_fx": meta.reduce_fx.__name__, "sync": meta.sync._should, "sync_op": meta.sync._op}
        entry["rank_zero_only"] = meta.sync.rank_zero_only
        # the newest value of a batch: it is recorded again at every batch that logs no other
        entry["forward_cache"] = metric._forward_cache if isinstance(metric._forward_cache, torch.Tensor) else None
        if metric.is_tensor:
            entry["value"] = metric.value
            entry["cumulated_batch_size"] = getattr(metric, "cumulated_batch_size", None)
        entries.append(entry)
    return entries


def _restore_results(trainer: pl.Trainer, results: _ResultCollection, entries: list[dict[str, Any]]) -> None:
    device = trainer.lightning_module.device
    modules = dict(trainer.lightning_module.named_modules())
    for entry in entries:
        fields = {field: entry[field] for field in _FIELDS}
        meta = _Metadata(**fields, reduce_fx=getattr(torch, entry["reduce_fx"]))
        meta.sync = _Sync(
            _should=entry["sync"],
            fn=trainer.strategy.reduce,
            _op=entry["sync_op"],
            rank_zero_only=entry["rank_zero_only"],
        )
        metric = _ResultMetric(meta, entry["is_tensor"])
        if entry["is_tensor"]:
            metric.to(device)
            metric.value = entry["value"].to(device, copy=True)
            if entry["cumulated_batch_size"] is not None:
                metric.cumulated_batch_size = entry["cumulated_batch_size"].to(device, copy=True)
        elif entry["metric_attribute"] in modules:
            metric.value = modules[entry["metric_attribute"]]
        else:
            continue
        metric.has_reset, metric._update_count = entry["has_reset"], entry["updates"]
        newest = entry.get("forward_cache")  # checkpoints of earlier releases have none
        metric._forward_cache = newest.to(device, copy=True) if newest is not None else None
        results[entry["key"]] = metric


def _has_stopped_early(trainer: pl.Trainer) -> bool:
    stoppers = [callback for callback in trainer.early_stopping_callbacks if isinstance(callback, EarlyStopping)]
    return bool(trainer.should_stop and any(callback.stopped_epoch for callback in stoppers))


def drop_unfinished(loops: dict[str, Any], moment: SafePoint) -> dict[str, Any]:
    """Lightning's progress of its loops, without what has begun and not ended.

    The running epoch stays; an interrupted batch, optimizer step or validation has never begun.
    """
    fit = {
        key: _drop_unfinished(value) if "progress" in key and key != "epoch_progress" else value
        for key, value in loops["fit_loop"].items()
    }
    if moment is SafePoint.BEFORE_VALIDATION:
        progress = fit["epoch_loop.val_loop.batch_progress"]
        total = {name: value - progress["current"][name] for name, value in progress["total"].items()}
        current = dict.fromkeys(progress["current"], 0)
        fit["epoch_loop.val_loop.batch_progress"] = progress | {"total": total, "current": current}
    return {**loops, "fit_loop": fit}


def _drop_unfinished(progress: object) -> Any:
    if not isinstance(progress, dict):
        return progress
    if not progress.keys() >= _CURRENT_AND_TOTAL:
        return {key: _drop_unfinished(value) for key, value in progress.items()}
    current, total = progress["current"], progress["total"]
    surplus = {name: value - current["completed"] for name, value in current.items()}
    return {
        **progress,
        "current": dict.fromkeys(current, current["completed"]),
        "total": {name: value - surplus.get(name, 0) for name, value in total.items()},
    }
