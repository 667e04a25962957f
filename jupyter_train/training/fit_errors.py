"""What becomes of an error that ends a fit: a clearer one where its cause is known, and nothing held by its frames."""

from __future__ import annotations

import contextlib
import gc
import traceback

import pytorch_lightning as pl
import torch

from jupyter_train.exceptions import DataError, OptionError
from jupyter_train.training.checkpoints.monitor_choice import metric_not_logged
from jupyter_train.training.data.data_source import DataSource


def _text_of(err: Exception) -> str:
    """An error's own text; empty where it fails to give one: the error itself matters then."""
    try:
        return str(err)
    except Exception:  # noqa: BLE001  whatever an exception of the user's does
        return ""


def explained(err: Exception, trainer: pl.Trainer, source: DataSource) -> BaseException:
    """A clearer error where the cause is known; otherwise the error itself."""
    text = _text_of(err)
    if isinstance(err, IndexError) and "Target" in text and "out of bounds" in text:
        classes = f" ({source.classes} classes)" if source.classes else ""
        clear = DataError(
            f"{text.rstrip('.')}: the data{classes} names a class the model has no output for. Classes are numbered "
            "from 0: number others yourself, `np.unique(y, return_inverse=True)[1]`; if they are, make the last layer "
            "as wide as there are classes"
        )
        clear.__cause__ = err
        return clear
    if isinstance(err, RuntimeError) and "Early stopping conditioned on metric" in text:
        name = text.split("`")[1]
        clear_option = OptionError("`--early-stop`: " + metric_not_logged(name, list(trainer.callback_metrics)))
        clear_option.__cause__ = err
        return clear_option
    return err


def release_memory() -> None:
    """Releases what an exception's frames held, on a GPU too; takes a quarter of a second."""
    gc.collect()
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()


def forget_frames(err: BaseException | None) -> None:
    """Clears the batches and models that a traceback's frames would keep alive."""
    seen: set[int] = set()
    while err is not None and id(err) not in seen:
        seen.add(id(err))
        with contextlib.suppress(RuntimeError):
            traceback.clear_frames(err.__traceback__)
        err = err.__cause__ or err.__context__
