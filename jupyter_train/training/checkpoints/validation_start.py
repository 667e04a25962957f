"""The state of a fit when a validation begins, so that a checkpoint taken inside it is one of that moment.

A validation changes its own progress, metrics and loader passes: those are copied here. Of everything else that a
checkpoint holds it is detected whether a hook has changed it, as weight averaging and early stopping do.
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
from jupyter_train.training.state.torchmetrics_state import copy_metric_states, metric_states

_VALIDATION_HOOKS = (
    "on_validation_start",
    "on_validation_epoch_start",
    "on_validation_batch_start",
    "on_validation_batch_end",
    "on_validation_epoch_end",
    "on_validation_end",
)


class ValidationStart:
    """The state at the start of a validation.

    Args:
        trainer: About to validate.
        extra: Returns what a checkpoint holds of the run besides the fit.

    Attributes:
        run_state: What a checkpoint of this moment holds besides Lightning's content and the random state.
    """

    def __init__(self, trainer: pl.Trainer, extra: Callable[[], dict[str, Any]]) -> None:
        captured = fit_state.capture(trainer, SafePoint.BEFORE_VALIDATION)
        metrics = copy_metric_states(trainer.lightning_module)
        self.run_state = captured | extra() | ({} if metrics is None else {"metrics": metrics})
        self._has_metrics = metrics is not None
        self._content = self._content_of(trainer)

    def is_unchanged(self, trainer: pl.Trainer) -> bool:
        """Whether everything else that a checkpoint taken now would hold is unchanged; False where that is unknown."""
        return self._content is not None and self._content == self._content_of(trainer)

    def accept(self, trainer: pl.Trainer) -> None:
        """Accepts what a command has changed since."""
        self.run_state["max_epochs"] = trainer.max_epochs
        self._content = self._content_of(trainer)

    def _content_of(self, trainer: pl.Trainer) -> list[Any] | None:
        """Compares equal for equal states; None where a user's save hook decides what a checkpoint holds."""
        callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
        callbacks_with_state = [callback for callback in callbacks if _runs_and_saves_state(callback)]
        if _has_own_save_hook(trainer.lightning_module) or any(
            _has_own_save_hook(callback) for callback in callbacks_with_state
        ):
            return None
        try:
            states = [callback.state_dict() for callback in callbacks_with_state]
            return [
                *self._tensors(trainer),
                *_flatten_items([states, _optimizer_settings(trainer), _datamodule_state(trainer)]),
            ]
        except Exception:  # noqa: BLE001  a state that cannot be read counts as changed; training continues
            return None

    def _tensors(self, trainer: pl.Trainer) -> Iterator[Any]:
        module = trainer.lightning_module
        yield from (_tensor_state(tensor) for tensor in [*module.parameters(), *module.buffers()])
        yield from (_tensor_state(tensor) for tensor in self.run_state["gradients"].values())
        for optimizer in trainer.optimizers:
            for values in optimizer.state.values():
                yield from (
                    (tensor.data_ptr(), tensor._version)
                    for tensor in values.values()
                    if isinstance(tensor, torch.Tensor)
                )
        if not self._has_metrics:
            yield from _flatten(metric_states(module))


def _runs_and_saves_state(callback: pl.Callback) -> bool:
    """Whether a callback has validation hooks and saves state in checkpoints."""
    kind = type(callback)
    is_called = any(getattr(kind, name, None) is not getattr(pl.Callback, name) for name in _VALIDATION_HOOKS)
    return is_called and (kind.state_dict is not pl.Callback.state_dict or _has_own_save_hook(callback))


def _has_own_save_hook(owner: pl.Callback | CheckpointHooks) -> bool:
    """Whether it overrides `on_save_checkpoint`; `WeightAveraging` saves weights that are compared anyway."""
    hook = owner.on_save_checkpoint
    return getattr(hook, "__func__", hook) not in (
        pl.Callback.on_save_checkpoint,
        CheckpointHooks.on_save_checkpoint,
        WeightAveraging.on_save_checkpoint,
    )


def _datamodule_state(trainer: pl.Trainer) -> object:
    datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]
    return datamodule.state_dict() if datamodule is not None else None


def _optimizer_settings(trainer: pl.Trainer) -> list[Any]:
    """Settings of parameter groups, and states of schedulers."""
    groups = [
        {name: value for name, value in group.items() if name != "params"}
        for optimizer in trainer.optimizers
        for group in optimizer.param_groups
    ]
    return [groups, *[optimizer.scheduler.state_dict() for optimizer in trainer.lr_scheduler_configs]]


def _tensor_state(tensor: torch.Tensor) -> tuple[int, int, _TensorHash]:
    """Compares equal until a tensor is written to; hashed, since writing to `tensor.data` keeps `_version`."""
    return tensor.data_ptr(), tensor._version, _TensorHash(tensor)


class _TensorHash:
    """A hash of a tensor's bits, left on its device until it is compared."""

    def __init__(self, tensor: torch.Tensor) -> None:
        bits = tensor.detach()
        if bits.is_complex() or bits.element_size() == 1:  # dtypes that `hash_tensor` takes only as bytes
            bits = bits.contiguous().reshape(-1).view(torch.uint8)
        self._value = torch.hash_tensor(bits) if bits.numel() else None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _TensorHash) or self._value is None or other._value is None:
            return isinstance(other, _TensorHash) and self._value is other._value
        return torch.equal(self._value, other._value)

    __hash__ = None  # type: ignore[assignment]


def _flatten(content: object) -> Iterator[Any]:
    """Nested containers as a flat sequence of comparable values."""
    if isinstance(content, torch.Tensor):
        yield _TensorHash(content), content.dtype, content.shape
    elif isinstance(content, dict):
        yield from _flatten_items(item for pair in content.items() for item in pair)
    elif isinstance(content, list | tuple | set | frozenset):
        yield from _flatten_items(content)
    elif content is None or isinstance(content, str | bytes | int | float):
        yield type(content), repr(content)  # nan equals itself so
    else:
        yield pickle.dumps(content)


def _flatten_items(items: Iterable[Any]) -> Iterator[Any]:
    items = [*items]
    try:
        yield marshal.dumps(items, 0)  # plain data only; newer marshal versions also encode which objects are shared
        return
    except ValueError:
        yield "("
    for item in items:
        yield from _flatten(item)
    yield ")"
