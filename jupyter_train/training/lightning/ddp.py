"""Distributed data parallel: rank 0 records the run, the other ranks train with it and record nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from pytorch_lightning.strategies import DDPStrategy, StrategyRegistry

from jupyter_train.config import TrainConfig
from jupyter_train.config.bounds import DEVICES
from jupyter_train.config.commands import Command
from jupyter_train.exceptions import OptionError
from jupyter_train.run import RunStatus
from jupyter_train.store.command_queue import CommandQueue
from jupyter_train.store.commands import Answer
from jupyter_train.store.metrics.reader import Checkpoint, Medium
from jupyter_train.store.writer import HistoryMarker, Row, RunWriter

_Strategy = TypeVar("_Strategy")

#: Launchers for notebooks; a run's ranks are started from its own process instead.
_NOTEBOOK_STARTS = ("ddp_notebook", "ddp_spawn", "ddp_fork")


def strategy_for_processes(strategy: _Strategy) -> _Strategy | str:
    """The strategy to train with: a notebook launcher, and `auto`, become `ddp`; others are returned unchanged."""
    if strategy in (None, "auto"):
        return "ddp"
    for name in _NOTEBOOK_STARTS:
        if isinstance(strategy, str) and strategy.startswith(name):
            return "ddp" + strategy.removeprefix(name)
    return strategy


def is_ddp(strategy: object) -> bool:
    """True for Lightning's `ddp`, given by name or as an object."""
    if isinstance(strategy, str):
        return strategy.startswith("ddp") and strategy in StrategyRegistry.available_strategies()
    return isinstance(strategy, DDPStrategy)


def check_ranks(trainer: pl.Trainer, config: TrainConfig) -> None:
    """Checks that the requested processes can be recorded as one run.

    Raises:
        OptionError: Several machines, a strategy that shards the weights, or checkpointing is off.
    """
    if trainer.num_nodes > 1:
        raise OptionError("`--num-nodes`: a run trains on one machine; give `--devices N` alone")
    if trainer.world_size == 1:
        return
    _check_device_count(trainer.world_size, config)
    if not isinstance(trainer.strategy, DDPStrategy):
        name = type(trainer.strategy).__name__
        raise OptionError(
            f"`--strategy`: {name} shards a model's weights over processes; a run needs whole ones: `ddp`"
        )
    if not config.trainer.get("enable_checkpointing", True):
        raise OptionError(
            f"`--devices {config.trainer.get('devices')}` brings the weights back in a checkpoint; take "
            "`--enable-checkpointing false` away"
        )


def _check_device_count(world_size: int, config: TrainConfig) -> None:
    """Checks the number of processes against the devices of this machine.

    Raises:
        OptionError: There are more processes.
    """
    try:
        (DEVICES.check_hard_limit if config.oversubscribe else DEVICES.check)(world_size)
    except ValueError as err:
        raise OptionError(f"{world_size:,} processes would train together: expected {err}") from None


class SharedCommandQueue(CommandQueue):
    """A command queue with equal content on every rank, so that all apply a command between the same two batches.

    Args:
        source: Where commands arrive on rank 0; None on the others.
    """

    def __init__(self, source: CommandQueue | None) -> None:
        super().__init__()
        self._source = source
        self._group: Any = None

    def agree(self) -> None:
        """Broadcasts new commands from rank 0; every rank calls this at the same point."""
        if not dist.is_initialized():
            return
        if self._group is None:
            self._group = dist.new_group(backend="gloo")
        new = self._source.take() if self._source is not None else []
        count = torch.tensor([len(new)])
        dist.broadcast(count, src=0, group=self._group)
        if count.item():
            commands: list[Any] = [new]
            dist.broadcast_object_list(commands, src=0, group=self._group)
            self.waiting.extend(commands[0])


class NoCommandChannel:
    """The command channel of ranks other than 0: does nothing."""

    def answered(self, command: Command, answer: Answer) -> None:
        """Rank 0 answers."""

    def set_status(self, status: RunStatus) -> None:
        """Rank 0 sets it."""

    def close(self) -> None:
        """Rank 0 closes its own."""


class NoWriter(RunWriter):
    """The writer of ranks other than 0: does nothing, since rank 0 records everything once."""

    def __init__(self) -> None:
        """No thread, no files."""
        self.fenced = ""
        self.verification = None

    def add(self, row: Row) -> None:
        """Nothing."""

    def event(self, kind: str, text: str, step: int | None = None, **data: object) -> None:
        """Nothing."""

    def log(self, text: str) -> None:
        """Nothing."""

    def progress(self, **values: object) -> None:
        """Nothing."""

    def summary(self, **values: object) -> None:
        """Nothing."""

    def medium(self, medium: Medium) -> None:
        """Nothing."""

    def mark(self) -> HistoryMarker:
        """An empty marker."""
        return HistoryMarker()

    def checkpoint(
        self, checkpoint: Checkpoint, instead_of: Sequence[str] = (), at: HistoryMarker | None = None
    ) -> None:
        """Nothing."""
