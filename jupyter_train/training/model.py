"""Makes a LightningModule of any model: wraps a plain nn.Module, applies `--loss`, `--optimizer` and `--lr`."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.model_helpers import is_overridden
from torch import nn

from jupyter_train.config import TrainConfig
from jupyter_train.config.lightning_packages import refuse_other_lightning
from jupyter_train.exceptions import ModelError, OptionError, did_you_mean
from jupyter_train.training.losses import resolve_loss
from jupyter_train.training.plain_module import PlainModule

_Model = TypeVar("_Model")

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
    "nadam": torch.optim.NAdam,
    "radam": torch.optim.RAdam,
}
_LR_ATTRIBUTES = ("lr", "learning_rate")  # the names that Lightning's learning-rate finder sets


def unwrap_compiled(model: Any) -> Any:
    """The LightningModule inside the output of `torch.compile`, which still runs compiled; else the model."""
    # `torch.compile` has no public way to the module it wraps
    if isinstance(getattr(model, "_orig_mod", None), pl.LightningModule):
        from pytorch_lightning.utilities.compile import from_compiled

        return from_compiled(model)
    return model


def has_embedding(module: nn.Module) -> bool:
    """Whether a model has an embedding: whole numbers of an array, such as tokens, stay integers."""
    return any(isinstance(part, nn.Embedding | nn.EmbeddingBag) for part in module.modules())


def copy_model(model: _Model) -> _Model:
    """A deep copy with the same weights.

    Raises:
        ModelError: It cannot be copied.
    """
    try:
        return copy.deepcopy(model)
    except Exception as err:
        raise ModelError(
            f"the model is trained more than once, and cannot be copied ({type(err).__name__}: {err}); give its class, "
            "the expression that makes it, as in `Net()`, or a function that does"
        ) from err


def as_module(model: object, config: TrainConfig) -> pl.LightningModule:
    """`model` as a LightningModule, with `--loss`, `--optimizer` and `--lr` applied.

    Raises:
        ModelError: It is a class, no module at all, or lacks what training needs.
        OptionError: An option does not fit this kind of model.
    """
    refuse_other_lightning(getattr(model, "_orig_mod", model), "the model", ModelError)
    if inspect.isclass(model):
        raise ModelError(f"`{model.__name__}` is a class; write `{model.__name__}(...)` to make a model of it")
    if isinstance(model, pl.LightningModule):
        return _configure_module(model, config)
    if isinstance(model, nn.Module):
        return _wrap_module(model, config)
    raise ModelError(
        f"`{type(model).__name__}` objects cannot be trained; expected a LightningModule, or an nn.Module with `--loss`"
    )


def _configure_module(model: pl.LightningModule, config: TrainConfig) -> pl.LightningModule:
    name = type(model).__name__
    if not is_overridden("training_step", model):
        raise ModelError(f"`{name}` has no `training_step`; define one that returns the loss of a batch")
    if config.loss is not None:
        raise OptionError(f"`--loss` is for a plain nn.Module; `{name}` computes its own loss in `training_step`")
    if config.optimizer is not None:
        make = optimizer_factory(config.optimizer, _lr(config))
        model.configure_optimizers = lambda: make(model.parameters())  # type: ignore[method-assign]
    elif config.lr is not None:
        _set_lr(model, float(config.lr))
    if config.optimizer is None and not is_overridden("configure_optimizers", model):
        raise ModelError(f"`{name}` has no `configure_optimizers`; define it, or add `--optimizer adam`")
    return model


def describe_unused_lr(model: object, config: TrainConfig) -> str:
    """The warning for a model whose own learning rate `--optimizer` leaves unused; empty where it does not."""
    optimizer = config.optimizer
    takes_default = isinstance(optimizer, str) or inspect.isclass(optimizer)  # others have their own rate
    if not takes_default or config.lr is not None or not isinstance(model, pl.LightningModule):
        return ""
    holders: list[Any] = [vars(model), model.hparams if isinstance(getattr(model, "hparams", None), dict) else {}]
    rates = [holder[name] for holder in holders for name in _LR_ATTRIBUTES if isinstance(holder.get(name), int | float)]
    if not rates:
        return ""
    return (
        "`--optimizer` takes the place of `configure_optimizers`: the model's own learning rate, "
        f"{rates[0]:g}, has no effect; add `--lr {rates[0]:g}`"
    )


def _set_lr(model: pl.LightningModule, lr: float) -> None:
    """Sets `lr` or `learning_rate`, of the model or its hparams, as Lightning's learning-rate finder does."""
    holders: list[Any] = [model]
    if isinstance(getattr(model, "hparams", None), dict):
        holders.append(model.hparams)
    is_set = False
    for holder in holders:
        for attribute in _LR_ATTRIBUTES:
            if isinstance(holder, dict) and attribute in holder:
                holder[attribute] = lr
                is_set = True
            elif not isinstance(holder, dict) and attribute in vars(holder):
                setattr(holder, attribute, lr)
                is_set = True
    if not is_set:
        raise OptionError(
            f"`--lr {lr:g}`: `{type(model).__name__}` keeps no `lr` or `learning_rate`; give it one in `__init__` "
            "(`self.lr = lr`, used in `configure_optimizers`), or choose `--optimizer` here as well"
        )


def _wrap_module(model: nn.Module, config: TrainConfig) -> PlainModule:
    name = type(model).__name__
    _refuse_training_step(model)
    if config.loss is None:
        raise ModelError(
            f"`{name}` is a plain nn.Module and has no loss of its own; add `--loss cross_entropy` (for classes) or "
            "`--loss mse` (for numbers)"
        )
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ModelError(f"`{name}` has no parameters to train")
    return PlainModule(model, resolve_loss(config.loss), optimizer_factory(config.optimizer or "adam", _lr(config)))


def _refuse_training_step(model: nn.Module) -> None:
    """Refuses a plain module with a `training_step`, which Lightning would never call.

    Raises:
        ModelError: It has one.
    """
    module = getattr(model, "_orig_mod", model)
    if not callable(getattr(module, "training_step", None)):
        return
    name = type(module).__name__
    bases = [f"{base.__module__}.{base.__name__}" for base in type(module).__mro__]
    if any(base.startswith("pytorch_lightning.") for base in bases):
        raise ModelError(
            f"`{name}` was made before `pytorch_lightning` was imported again, and is none of its modules any more; "
            "run the cell that defines it again, or restart the kernel"
        )
    raise ModelError(
        f"`{name}` has a `training_step`, which would never be called: it is a plain nn.Module; derive it from "
        "`pytorch_lightning.LightningModule`, or rename the method to train with `--loss`"
    )


def _lr(config: TrainConfig) -> float | None:
    return None if config.lr is None else float(config.lr)


def optimizer_factory(optimizer: object, lr: float | None) -> Callable[..., torch.optim.Optimizer]:
    """A function that makes the optimizer of parameters.

    Args:
        optimizer: A name of `OPTIMIZERS`, an Optimizer class, or a callable taking parameters.
        lr: Learning rate; if None, 1e-3 for a name or class, and a callable's own.

    Raises:
        OptionError: It is none of these.
    """
    if isinstance(optimizer, str):
        if optimizer.lower() not in OPTIMIZERS:
            raise OptionError(
                f"`--optimizer {optimizer}`: no such optimizer.{did_you_mean(optimizer, OPTIMIZERS)} Known are "
                f"{', '.join(OPTIMIZERS)}; or give an expression such as `torch.optim.LBFGS`"
            )
        optimizer = OPTIMIZERS[optimizer.lower()]
    if isinstance(optimizer, torch.optim.Optimizer):
        return lambda _parameters: optimizer
    if inspect.isclass(optimizer) and issubclass(optimizer, torch.optim.Optimizer):
        optimizer_class: Any = optimizer
        return lambda parameters: optimizer_class(parameters, lr=1e-3 if lr is None else lr)
    if callable(optimizer):
        return lambda parameters: optimizer(parameters) if lr is None else optimizer(parameters, lr=lr)
    raise OptionError("`--optimizer`: expected a word such as `adam`, an Optimizer class, or a callable")
