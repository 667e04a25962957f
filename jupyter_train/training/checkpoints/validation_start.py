"""What a fit was when a validation began, so that a checkpoint taken inside it is one of that moment.

A validation moves its own counters, metrics and the passes through its loaders: those are kept here. Of everything
else a checkpoint holds it is known afterwards whether a hook has moved it, as weight averaging and early stopping do.
"""

from __future__ import annotations

import marshal
import pickle
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import WeightAveraging
from pytorch_lightning.core.hooks import CheckpointHooks

from jupyter_train.training.lightning.safe_points import SafePoint
from jupyter_train.training.state import fit_state
from jupyter_train.training.state.torchmetrics_state import held_metrics, metrics_of

_HOOKS_OF_VALIDATION = (
    "on_validation_start",
    "on_validation_epoch_start",
    "on_validation_batch_start",
    "on_validation_batch_end",
    "on_validation_epoch_end",
    "on_validation_end",
)


class ValidationStart:
    """The state a validation began with.

    Args:
        trainer: About to validate.
        extra: Gives what a checkpoint holds of the run besides the fit.

    Attributes:
        ours: What a checkpoint of this moment holds besides Lightning's own part and the random state.
    """

    def __init__(self, trainer: pl.Trainer, extra: Callable[[], dict[str, Any]]) -> None:
        captured = fit_state.capture(trainer, SafePoint.BEFORE_VALIDATION)
        held = held_metrics(trainer.lightning_module)
        self.ours = captured | extra() | ({} if held is None else {"metrics": held})
        self._keeps_metrics = held is not None
        self._content = self._content_of(trainer)

    def is_unmoved(self, trainer: pl.Trainer) -> bool:
        """Whether all that a checkpoint taken now would hold besides `ours` is as it was."""
        return self._content is not None and self._content == self._content_of(trainer)

    def accept(self, trainer: pl.Trainer) -> None:
        """What has changed since was asked for, and stays."""
        self.ours["max_epochs"] = trainer.max_epochs
        self._content = self._content_of(trainer)

    def _content_of(self, trainer: pl.Trainer) -> list[Any] | None:
        """Equal for equal states; None where a hook decides what a checkpoint holds, so that it cannot be seen."""
        callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
        at_work = [one for one in callbacks if _takes_part(one)]
        if _saves_unseen(trainer.lightning_module) or any(_saves_unseen(one) for one in at_work):
            return None
        try:
            states = [one.state_dict() for one in at_work]
            return [*self._tensors(trainer), *_row([states, _rates(trainer), _datamodule_state(trainer)])]
        except Exception:  # noqa: BLE001  a state that cannot be had now is not known to be unmoved; training goes on
            return None

    def _tensors(self, trainer: pl.Trainer) -> Iterator[Any]:
        module = trainer.lightning_module
        yield from (_looked_at(one) for one in [*module.parameters(), *module.buffers()])
        yield from (_looked_at(one) for one in self.ours["gradients"].values())
        for optimizer in trainer.optimizers:
            for values in optimizer.state.values():
                yield from ((one.data_ptr(), one._version) for one in values.values() if isinstance(one, torch.Tensor))
        if not self._keeps_metrics:
            yield from _seen(metrics_of(module))


def _takes_part(callback: Any) -> bool:
    """Whether a callback's hooks are called in a validation, and a checkpoint holds something of it."""
    kind = type(callback)
    is_called = any(getattr(kind, name, None) is not getattr(pl.Callback, name) for name in _HOOKS_OF_VALIDATION)
    return is_called and (kind.state_dict is not pl.Callback.state_dict or _saves_unseen(callback))


def _saves_unseen(owner: Any) -> bool:
    """Whether a hook of its own adds to checkpoints; weight averaging adds weights that are looked at anyway."""
    hook = owner.on_save_checkpoint
    return getattr(hook, "__func__", hook) not in (
        pl.Callback.on_save_checkpoint,
        CheckpointHooks.on_save_checkpoint,
        WeightAveraging.on_save_checkpoint,
    )


def _datamodule_state(trainer: pl.Trainer) -> Any:
    datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]
    return datamodule.state_dict() if datamodule is not None else None


def _rates(trainer: pl.Trainer) -> list[Any]:
    """Learning rates and their like, and the schedules that set them."""
    groups = [
        {name: value for name, value in group.items() if name != "params"}
        for one in trainer.optimizers
        for group in one.param_groups
    ]
    return [groups, *[one.scheduler.state_dict() for one in trainer.lr_scheduler_configs]]


def _looked_at(tensor: torch.Tensor) -> Any:
    """What tells whether a tensor has been written to: `tensor.data` is written to without a new version."""
    return tensor.data_ptr(), tensor._version, _Hash(tensor)


class _Hash:
    """A hash of a tensor's bits, left on its device until it is compared."""

    def __init__(self, tensor: torch.Tensor) -> None:
        bits = tensor.detach()
        if bits.is_complex() or bits.element_size() == 1:  # kinds that it takes as bytes alone
            bits = bits.contiguous().reshape(-1).view(torch.uint8)
        self._value = torch.hash_tensor(bits) if bits.numel() else None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Hash) or self._value is None or other._value is None:
            return isinstance(other, _Hash) and self._value is other._value
        return torch.equal(self._value, other._value)

    __hash__ = None  # type: ignore[assignment]


def _seen(content: Any) -> Iterator[Any]:
    """Nested containers as a flat row of values that can be compared."""
    if isinstance(content, torch.Tensor):
        yield _Hash(content), content.dtype, content.shape
    elif isinstance(content, dict):
        yield from _row(item for pair in content.items() for item in pair)
    elif isinstance(content, list | tuple | set | frozenset):
        yield from _row(content)
    elif content is None or isinstance(content, str | bytes | int | float):
        yield type(content), repr(content)  # nan equals itself so
    else:
        yield pickle.dumps(content)


def _row(items: Iterable[Any]) -> Iterator[Any]:
    items = [*items]
    try:
        yield marshal.dumps(items, 0)  # plain data through and through; newer versions say what is shared, too
        return
    except ValueError:
        yield "("
    for item in items:
        yield from _seen(item)
    yield ")"
