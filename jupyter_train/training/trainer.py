"""Builds the `pl.Trainer` of a run: the requested arguments, with the run's own logger, checkpoints and recorder."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
from collections.abc import Iterator
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.utilities import registry
from pytorch_lightning.callbacks import EarlyStopping, ModelSummary, ProgressBar
from pytorch_lightning.plugins.io import CheckpointIO

from jupyter_train.config import TrainConfig
from jupyter_train.config.lightning_packages import refuse_other_lightning
from jupyter_train.config.options import ArgumentUse
from jupyter_train.config.trainer_arguments import arguments_used, trainer_options
from jupyter_train.exceptions import OptionError
from jupyter_train.store.run_folder import RunFolder
from jupyter_train.training.checkpoints.lightning_io import AtomicCheckpointIO
from jupyter_train.training.lightning.ddp import check_ranks, is_ddp, strategy_for_processes
from jupyter_train.training.lightning.patches import LoopPatches, Moment
from jupyter_train.training.logging.console import capture_lightning_output

_LIGHTNING_LOG_EVERY = 50
#: Arguments that a run sets itself, using the values given.
_OWN_ARGUMENTS = arguments_used(ArgumentUse.REPLACED)


def trainer_arguments(config: TrainConfig, folder: RunFolder, world_size: int) -> dict[str, Any]:
    """Keyword arguments for `pl.Trainer`, our own callbacks and logger apart.

    Args:
        config: Checked options.
        folder: The run's folder.
        world_size: How many processes train together; more than one are started by Lightning's `ddp`.
    """
    arguments = dict(config.trainer)
    for name in _OWN_ARGUMENTS:
        arguments.pop(name, None)
    arguments.setdefault("devices", 1)
    plugins = _plugins(arguments.get("plugins"), arguments.get("strategy"))
    if world_size > 1:
        arguments["strategy"] = strategy_for_processes(arguments.get("strategy"))
        plugins.append(LightningEnvironment())  # else a batch system's variables, or a launcher's, would be believed
    elif is_ddp(arguments.get("strategy")):
        arguments.pop("strategy")  # there is one process alone, and a notebook could not start it this way
    return arguments | {
        "default_root_dir": str(folder.path),
        "enable_progress_bar": any(isinstance(callback, ProgressBar) for callback in user_callbacks(config)),
        "enable_model_summary": False,
        "plugins": plugins,
    }


def plain_arguments(config: TrainConfig) -> dict[str, Any]:
    """Keyword arguments for a `pl.Trainer` that records nothing, on one device, for as long as it is let."""
    lengths = {option.name for option in trainer_options() if option.sets_length}
    without = {*_OWN_ARGUMENTS, *lengths, "devices", "strategy"}
    arguments = {name: value for name, value in config.trainer.items() if name not in without}
    return {**arguments, "devices": 1, "max_epochs": -1}


def silent_arguments(config: TrainConfig, folder: str) -> dict[str, Any]:
    """The same, for a trainer that prints and writes nothing either, but into `folder`."""
    return plain_arguments(config) | {
        "default_root_dir": folder,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
    }


def check_arguments(config: TrainConfig) -> int:
    """How many processes the arguments ask for; raises unless `pl.Trainer` takes them, before anything is recorded.

    Raises:
        OptionError: It does not; its own reason is given.
    """
    arguments = {name: value for name, value in config.trainer.items() if name not in _OWN_ARGUMENTS}
    arguments.setdefault("devices", 1)
    if is_ddp(arguments.get("strategy")):
        arguments.pop("strategy")  # a notebook's own process cannot start one; the run's can
    try:
        with capture_lightning_output(_ignored, _ignored):
            trainer = pl.Trainer(
                **arguments,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            )
    except Exception as err:
        raise OptionError(f"pl.Trainer does not take this: {' '.join(str(err).split())[:400]}") from err
    check_ranks(trainer, config)
    return trainer.world_size


@contextlib.contextmanager
def known_entry_points() -> Iterator[None]:
    """Trainers made within look for installed callbacks where an earlier one has: the search takes milliseconds."""
    where: Any = registry
    where.entry_points = _entry_points
    try:
        yield
    finally:
        where.entry_points = importlib.metadata.entry_points


_entry_points = functools.cache(importlib.metadata.entry_points)


def _ignored(_text: str) -> None:
    """Said again when the run begins."""


def _plugins(requested: object, strategy: object) -> list[Any]:
    plugins = list(requested) if isinstance(requested, list | tuple) else [requested] if requested is not None else []
    has_own = any(isinstance(plugin, CheckpointIO) for plugin in plugins)
    is_object = strategy is not None and not isinstance(strategy, str)
    return plugins if has_own or is_object else [*plugins, AtomicCheckpointIO()]


def user_callbacks(config: TrainConfig) -> list[pl.Callback]:
    """The user's callbacks, the requested early stopping, and the model summary for the log."""
    listed = config.trainer.get("callbacks") or []
    callbacks = list(listed) if isinstance(listed, list | tuple) else [listed]
    callbacks += config.callback
    if config.early_stop_metric is not None:
        metric = config.early_stop_metric
        callbacks.append(EarlyStopping(metric, mode=config.direction(metric), patience=config.early_stop_patience))
    if config.trainer.get("enable_model_summary", True):
        callbacks.append(ModelSummary())
    return callbacks


def refuse_model_callbacks(patches: LoopPatches) -> None:
    """Lets a fit fail in one line where the module's `configure_callbacks` gives one of the package `lightning`.

    Seen when Lightning attaches them: the method may have effects, so it is not called for it.
    """
    trainer = patches.trainer

    def refuse() -> None:
        callbacks = trainer.callbacks  # type: ignore[attr-defined]
        try:
            refuse_other_lightning(callbacks, "`configure_callbacks`")
        except OptionError:  # the refused ones are not notified: they may have no such hook
            callbacks[:] = [callback for callback in callbacks if isinstance(callback, pl.Callback)]
            raise

    patches.register(Moment.CALLBACKS_ATTACHED, refuse)


def user_loggers(config: TrainConfig) -> list[Any]:
    """Loggers the user gave, untouched."""
    listed = config.trainer.get("logger")
    extra = list(listed) if isinstance(listed, list | tuple) else [listed]
    return [logger for logger in [*config.logger, *extra] if logger is not None and not isinstance(logger, bool)]


def log_every_n_steps(config: TrainConfig, has_others: bool) -> int:
    """Every step for the run's own logger alone; the requested interval (50) where there are others."""
    return int(config.trainer.get("log_every_n_steps") or _LIGHTNING_LOG_EVERY) if has_others else 1
