"""Refuses data whose last batch has one row, on which BatchNorm cannot be trained, at the first batch."""

from __future__ import annotations

from collections.abc import Sized

import pytorch_lightning as pl
import torch
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader
from torch.utils.hooks import RemovableHandle

from jupyter_train.exceptions import DataError
from jupyter_train.training.lightning.patches import LoopPatches, Moment


class SingleRowBatches:
    """Fails at the first batch of a fit where a BatchNorm would fail at the last one of the epoch.

    It needs two values a channel: the first batch shows how many there are in a row.

    Args:
        uses_batch_size: Whether `--batch-size` and `--drop-last` apply; see `DataSource`.
    """

    def __init__(self, uses_batch_size: bool) -> None:
        self._fix = "add `--drop-last`, or take another `--batch-size`"
        if not uses_batch_size:
            self._fix = "give the DataLoader `drop_last=True`, or another `batch_size`"
        self._handles: list[RemovableHandle] = []

    def register(self, patches: LoopPatches) -> None:
        """Registers the check of the first batch of a fit."""
        patches.register(Moment.CHECK_FIRST_BATCH, lambda: self._add_hooks(patches.trainer))
        patches.register(Moment.FIRST_BATCH_DONE, lambda _fetcher: self.remove_hooks())

    def remove_hooks(self) -> None:
        """Removes the forward hooks."""
        while self._handles:
            self._handles.pop().remove()

    def _add_hooks(self, trainer: pl.Trainer) -> None:
        sizes = _find_single_row(trainer)
        # `_BatchNorm` is the private base of all BatchNorm classes in torch 2.13
        norms = [part for part in trainer.lightning_module.modules() if isinstance(part, _BatchNorm)]
        if sizes is None or not norms:
            return
        rows, batch_size = sizes
        fix = self._fix if batch_size > 1 else "take larger batches"

        def look(norm: _BatchNorm, inputs: tuple[torch.Tensor, ...]) -> None:
            values = inputs[0].numel() // inputs[0].shape[1]
            if norm.training and values <= batch_size:
                raise DataError(
                    f"the last batch of an epoch has one row ({rows:,} rows in batches of {batch_size:,}), and "
                    f"`{type(norm).__name__}` cannot be trained on one; {fix}"
                )

        self._handles = [norm.register_forward_pre_hook(look) for norm in norms]


def _find_single_row(trainer: pl.Trainer) -> tuple[int, int] | None:
    """Rows of an epoch and of a batch, where the last batch has one row and is trained on; else None."""
    loader = trainer.train_dataloader
    if not isinstance(loader, DataLoader) or loader.batch_size is None or not isinstance(loader.sampler, Sized):
        return None
    if loader.drop_last and loader.batch_size > 1:
        return None
    count, batch_size = len(loader.sampler), loader.batch_size
    batches = -(-count // batch_size)
    is_single = count % batch_size == 1 or batch_size == 1
    is_reached = trainer.num_training_batches >= batches and not 0 <= trainer.max_steps < batches
    return (count, batch_size) if is_single and is_reached else None
