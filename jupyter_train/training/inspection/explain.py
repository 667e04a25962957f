"""`--explain`: how a run would be trained and why, without training it."""

from __future__ import annotations

import copy
import tempfile
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.utilities.data import sized_len

from jupyter_train.config import TrainConfig
from jupyter_train.training.checkpoints.monitor_choice import describe_monitor
from jupyter_train.training.data.data_source import DataSource
from jupyter_train.training.data.in_memory import IndexedDataset
from jupyter_train.training.data.sample_order import in_order, order_seed
from jupyter_train.training.engine.eligibility import ineligible_reason
from jupyter_train.training.lightning.patches import LoopPatches, is_tested
from jupyter_train.training.logging.console import capture_lightning_output
from jupyter_train.training.trainer import refuse_model_callbacks, silent_arguments


class Explanation:
    """Lines of (topic, text); shown as a table."""

    def __init__(self, lines: list[tuple[str, str]]) -> None:
        self.lines = lines

    def __getitem__(self, topic: str) -> str:
        """The text for a topic; several lines are joined.

        Raises:
            KeyError: There is no such topic.
        """
        texts = [text for line_topic, text in self.lines if line_topic == topic]
        if not texts:
            raise KeyError(topic)
        return "; ".join(texts)

    def __repr__(self) -> str:
        width = max(len(topic) for topic, _ in self.lines)
        return "\n".join(f"{topic.ljust(width)}  {text}" for topic, text in self.lines)


def explain(module: pl.LightningModule, source: DataSource, config: TrainConfig, world_size: int) -> Explanation:
    """What a fit would do; sets the fit up on a copy of the model, for 0 steps."""
    count = sum(parameter.numel() for parameter in module.parameters())
    trained = sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
    lines = [("model", f"{type(module).__name__}: {count:,} parameters, {trained:,} of them trained")]
    if source.description:
        lines.append(("data", source.description))
    if world_size > 1:
        return Explanation([*lines, ("loop", f"Lightning's own: {world_size} processes share the work")])
    trainer, probe = _set_up_fit(module, source, config)
    # private in Lightning 2.6: `trainer.train_dataloader` does not flatten a collection of loaders
    for loader in getattr(trainer.fit_loop._combined_loader, "flattened", []):
        lines += _describe_loader(loader, config)
    lines.append(("device", f"{trainer.strategy.root_device}, precision {trainer.precision}"))
    return Explanation([*lines, ("best", probe.best), ("loop", _describe_loop(probe.reason, config))])


def _describe_loop(reason: str | None, config: TrainConfig) -> str:
    if config.engine == "lightning":
        return "Lightning's own: `--engine lightning` was given"
    if not is_tested():
        return "Lightning's own: this release of it is newer than what was tested"
    return "lean" if reason is None else f"Lightning's own: {reason}"


class _LoopProbe(pl.Callback):
    """Reads which loop would train, once the optimizers are set up."""

    reason: str | None = None
    best = ""

    def __init__(self, config: TrainConfig) -> None:
        self._config = config

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Everything is set up; nothing is trained yet."""
        self.best = describe_monitor(self._config, trainer.enable_validation, len(trainer.optimizers))
        self.reason = ineligible_reason(trainer)


def _set_up_fit(module: pl.LightningModule, source: DataSource, config: TrainConfig) -> tuple[pl.Trainer, _LoopProbe]:
    probe = _LoopProbe(config)
    with tempfile.TemporaryDirectory() as folder, capture_lightning_output(_ignore, _ignore):
        arguments = silent_arguments(config, folder) | {"max_epochs": 1, "max_steps": 0, "callbacks": [probe]}
        arguments.pop("fast_dev_run", None)  # it would train batches
        trainer = pl.Trainer(**arguments)
        patches = LoopPatches(trainer)
        refuse_model_callbacks(patches)
        patches.install()
        trainer.fit(copy.deepcopy(module), **source.loaders)
    return trainer, probe


def _describe_loader(loader: Any, config: TrainConfig) -> list[tuple[str, str]]:
    remarks: list[str] = []
    ordered = in_order(loader, order_seed(config.seed or 0), remarks, config.engine == "lean")
    dataset = ordered.__dict__.get("dataset") if hasattr(ordered, "__dict__") else None
    if isinstance(getattr(dataset, "inner", None), IndexedDataset) or type(dataset) is IndexedDataset:
        reading = "read a batch at a time, from tensors in memory"
    elif hasattr(getattr(loader, "dataset", None), "__getitems__"):
        reading = f"read a batch at a time, by `{type(loader.dataset).__name__}.__getitems__`"
    elif hasattr(loader, "dataset"):
        reading = f"read sample by sample from `{type(loader.dataset).__name__}`"
    else:
        reading = f"as `{type(loader).__name__}` gives them"
    workers = getattr(loader, "num_workers", 0)
    length = sized_len(loader)
    counted = f"{length:,} an epoch" if length is not None else "of no known number"
    where = f", in {workers} worker processes" if workers else ""
    order = [("order", f"{remark}; a resumed run may differ") for remark in remarks]
    return [("batches", f"{counted}, {reading}{where}"), *order]


def _ignore(_text: str) -> None:
    """Drops the output of a trainer that trains nothing."""
