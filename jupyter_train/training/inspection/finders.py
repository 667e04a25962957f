"""`--lr auto` and `--batch-size auto`: Lightning's own finders, on a copy of the model, before a run begins."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import io
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
from pytorch_lightning.tuner.tuning import Tuner

from jupyter_train.config import TrainConfig
from jupyter_train.exceptions import DataError, JupyterTrainError, OptionError
from jupyter_train.training.data.data_source import DataSource
from jupyter_train.training.lightning.patches import LoopPatches
from jupyter_train.training.logging.console import capture_lightning_output
from jupyter_train.training.model import as_module
from jupyter_train.training.trainer import refuse_model_callbacks, silent_arguments

if TYPE_CHECKING:
    from pytorch_lightning.tuner.lr_finder import _LRFinder
    from pytorch_lightning.utilities.types import EVAL_DATALOADERS, TRAIN_DATALOADERS

_ATTRIBUTE = "batch_size"


@dataclass
class FinderResult:
    """The result of a finder, to be recorded in the run.

    Attributes:
        words: One line for the run's events.
        curve: (learning rate, smoothed loss) of each step; empty for a batch size.
        picture: The finder's plot as PNG, where matplotlib is installed.
    """

    words: str
    curve: list[tuple[float, float]]
    picture: bytes = b""


def run_finders(
    model: object, module: pl.LightningModule, source: DataSource, config: TrainConfig
) -> list[FinderResult]:
    """Replaces each `auto` in `config` by the number that a finder suggests; changes nothing else.

    Args:
        model: The user's model.
        module: The LightningModule made of the model.
        source: Its loaders; batched in the size found afterwards.
        config: Options; `lr` and `batch_size` are numbers afterwards.

    Raises:
        OptionError: A finder cannot run, or suggests nothing.
    """
    if config.resume is not None or config.fork is not None:
        raise OptionError("`auto` looks before a run begins; with `--resume` or `--fork` give a number, or nothing")
    if config.trainer.get("fast_dev_run"):
        raise OptionError("`auto` needs more steps than `--fast-dev-run` takes; leave one of them out")
    findings = []
    if config.batch_size == "auto":
        size, message = _find_batch_size(module, source, config)
        config.batch_size = size
        source.set_batch_size(size)
        findings.append(FinderResult(message, []))
    if config.lr == "auto":
        as_module(model, dataclasses.replace(config, lr=1e-3))  # refuses what keeps no learning rate, before the search
        finding, config.lr = _find_lr(module, source, config)
        findings.append(finding)
    return findings


def _find_lr(module: pl.LightningModule, source: DataSource, config: TrainConfig) -> tuple[FinderResult, float]:
    with _quiet_tuner(config, "--lr auto") as tuner:
        finder = tuner.lr_find(_copy_module(module), **source.loaders, update_attr=False)
    suggestion = finder.suggestion() if finder is not None else None
    if finder is None or suggestion is None:
        raise OptionError(
            "`--lr auto`: the losses tried do not point to a learning rate; give one, such as `--lr 1e-3`"
        )
    rates, losses = finder.results["lr"], finder.results["loss"]
    message = f"learning rate {suggestion:.3g} found by Lightning's finder in {len(rates)} steps"
    return FinderResult(message, list(zip(rates, losses, strict=False)), _plot(finder)), float(suggestion)


def _find_batch_size(module: pl.LightningModule, source: DataSource, config: TrainConfig) -> tuple[int, str]:
    loaders, model = source.loaders, _copy_module(module)
    if source.uses_batch_size:
        loaders = {"datamodule": _SizedBatches(source)}
    elif not any(hasattr(owner, _ATTRIBUTE) for owner in (module, loaders.get("datamodule"))):
        raise DataError(
            "`--batch-size auto` needs to change the batch size: give arrays or a Dataset, or a LightningDataModule "
            "(or model) that keeps `self.batch_size` and makes its loaders from it"
        )
    elif "datamodule" in loaders:
        loaders = {"datamodule": copy.copy(loaders["datamodule"])}
    with _quiet_tuner(config, "--batch-size auto") as tuner:
        size = tuner.scale_batch_size(model, **loaders)
    if size is None:
        raise OptionError("`--batch-size auto` found none; give one, such as `--batch-size 64`")
    if source.uses_batch_size:
        size = min(size, len(source.loaders["train_dataloaders"].dataset))
    for owner in (module, source.loaders.get("datamodule")):
        if owner is not None and hasattr(owner, _ATTRIBUTE):
            setattr(owner, _ATTRIBUTE, size)
    return int(size), f"batch size {size:,} found by Lightning's finder: the largest that fits"


class _SizedBatches(pl.LightningDataModule):
    """The data in batches of the size that Lightning's `BatchSizeFinder` sets."""

    def __init__(self, source: DataSource) -> None:
        super().__init__()
        self.batch_size = 2
        self._source = source

    def train_dataloader(self) -> TRAIN_DATALOADERS:
        """Training batches of the current size."""
        return self._source.make_loaders(self.batch_size)["train_dataloaders"]

    def val_dataloader(self) -> EVAL_DATALOADERS:
        """Validation batches of the current size; none without validation data."""
        return self._source.make_loaders(self.batch_size).get("val_dataloaders", [])


@contextlib.contextmanager
def _quiet_tuner(config: TrainConfig, flag: str) -> Iterator[Tuner]:
    """A `Tuner` whose trainer writes and prints nothing."""
    hidden = contextlib.redirect_stderr(io.StringIO())  # the finder's own progress bar
    with tempfile.TemporaryDirectory() as folder, capture_lightning_output(_ignore, _ignore), hidden:
        trainer = pl.Trainer(**silent_arguments(config, folder))
        patches = LoopPatches(trainer)
        refuse_model_callbacks(patches)
        patches.install()
        try:
            yield Tuner(trainer)
        except JupyterTrainError:
            raise
        except Exception as err:
            raise OptionError(f"`{flag}`: the search failed: {type(err).__name__}: {err}") from err


def _copy_module(module: pl.LightningModule) -> pl.LightningModule:
    """A copy for the search, so that metric states and hooks of the model stay as they are."""
    try:
        return copy.deepcopy(module)
    except Exception:  # noqa: BLE001  a model that cannot be copied is used itself; Lightning restores its weights
        return module


def _plot(finder: _LRFinder) -> bytes:
    try:
        figure: Any = finder.plot(suggest=True)
    except Exception:  # noqa: BLE001  matplotlib may be missing
        return b""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90, bbox_inches="tight")
    with contextlib.suppress(ImportError):
        import matplotlib.pyplot as plt

        plt.close(figure)
    return buffer.getvalue()


def _ignore(_text: str) -> None:
    """Drops the output of the search."""
