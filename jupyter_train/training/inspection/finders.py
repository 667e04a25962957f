"""`--lr auto` and `--batch-size auto`: Lightning's own finders, on a copy of the model, before a run begins."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import io
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.tuner.tuning import Tuner

from jupyter_train.config import TrainConfig
from jupyter_train.exceptions import DataError, JupyterTrainError, OptionError
from jupyter_train.training.data.loaders import DataSource, as_source
from jupyter_train.training.logging.console import captured
from jupyter_train.training.model import as_module
from jupyter_train.training.trainer import plain_arguments, refuse_model_callbacks

_ATTRIBUTE = "batch_size"


@dataclass
class FinderResult:
    """Something that was looked for, to be told in the run.

    Attributes:
        words: One line for the run's events.
        curve: What was tried: (learning rate, smoothed loss) of each step; empty for a batch size.
        picture: The finder's plot as PNG, where matplotlib is installed.
    """

    words: str
    curve: list[tuple[float, float]]
    picture: bytes = b""


def find(
    model: Any, data: Any, module: pl.LightningModule, source: DataSource, config: TrainConfig
) -> list[FinderResult]:
    """Looks for what is `auto` in `config`, and puts the numbers there; nothing else is changed.

    Args:
        model: As given.
        data: As given.
        module: The model in its final form.
        source: Its loaders, of a first batch size.
        config: Options; `lr` and `batch_size` are numbers afterwards.

    Raises:
        OptionError: It cannot be looked for.
    """
    if config.resume is not None or config.fork is not None:
        raise OptionError("`auto` looks before a run begins; with `--resume` or `--fork` give a number, or nothing")
    if config.trainer.get("fast_dev_run"):
        raise OptionError("`auto` needs more steps than `--fast-dev-run` takes; leave one of them out")
    findings = []
    if config.batch_size == "auto":
        size, words = _find_batch_size(module, source, data, config)
        config.batch_size = size
        findings.append(FinderResult(words, []))
        source = as_source(data, config, module, config.seed or 0)
    if config.lr == "auto":
        as_module(model, dataclasses.replace(config, lr=1e-3))  # refuses what keeps no learning rate, before the search
        finding, config.lr = _find_lr(module, source, config)
        findings.append(finding)
    return findings


def _find_lr(module: pl.LightningModule, source: DataSource, config: TrainConfig) -> tuple[FinderResult, float]:
    with _looking(config, "--lr auto") as tuner:
        finder = tuner.lr_find(_copied(module), **source.loaders, update_attr=False)
    found = finder.suggestion() if finder is not None else None
    if finder is None or found is None:
        raise OptionError(
            "`--lr auto`: the losses tried do not point to a learning rate; give one, such as `--lr 1e-3`"
        )
    rates, losses = finder.results["lr"], finder.results["loss"]
    words = f"learning rate {found:.3g} found by Lightning's finder in {len(rates)} steps"
    return FinderResult(words, list(zip(rates, losses, strict=False)), _picture(finder)), float(found)


def _find_batch_size(module: pl.LightningModule, source: DataSource, data: Any, config: TrainConfig) -> tuple[int, str]:
    loaders, model = source.loaders, _copied(module)
    if source.batches_are_ours:
        loaders = {"datamodule": _Batches(data, config, module)}
    elif not any(hasattr(one, _ATTRIBUTE) for one in (module, loaders.get("datamodule"))):
        raise DataError(
            "`--batch-size auto` needs to change the batch size: give arrays or a Dataset, or a LightningDataModule "
            "(or model) that keeps `self.batch_size` and makes its loaders from it"
        )
    elif "datamodule" in loaders:
        loaders = {"datamodule": copy.copy(loaders["datamodule"])}
    with _looking(config, "--batch-size auto") as tuner:
        found = tuner.scale_batch_size(model, **loaders)
    if found is None:
        raise OptionError("`--batch-size auto` found none; give one, such as `--batch-size 64`")
    if source.batches_are_ours:
        found = min(found, len(source.loaders["train_dataloaders"].dataset))
    for one in (module, source.loaders.get("datamodule")):
        if one is not None and hasattr(one, _ATTRIBUTE):
            setattr(one, _ATTRIBUTE, found)
    return int(found), f"batch size {found:,} found by Lightning's finder: the largest that fits"


class _Batches(pl.LightningDataModule):
    """Data of which the batches are made here, in batches of any size."""

    def __init__(self, data: Any, config: TrainConfig, module: pl.LightningModule) -> None:
        super().__init__()
        self.batch_size = 2
        self._given = data, config, module

    def _loader(self, name: str) -> Any:
        data, config, module = self._given
        sized = dataclasses.replace(config, batch_size=self.batch_size)
        return as_source(data, sized, module, config.seed or 0).loaders.get(name)

    def train_dataloader(self) -> Any:
        """Batches of the size that is being tried."""
        return self._loader("train_dataloaders")

    def val_dataloader(self) -> Any:
        """The same for validation; none where there is no such data."""
        return self._loader("val_dataloaders") or []


@contextlib.contextmanager
def _looking(config: TrainConfig, flag: str) -> Iterator[Tuner]:
    """A tuner of a trainer that leaves nothing behind."""
    hidden = contextlib.redirect_stderr(io.StringIO())  # the finder's own progress bar
    with tempfile.TemporaryDirectory() as folder, captured(_ignored, _ignored), hidden:
        trainer = pl.Trainer(
            **plain_arguments(config) | {"default_root_dir": folder},
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        refuse_model_callbacks(trainer)
        try:
            yield Tuner(trainer)
        except JupyterTrainError:
            raise
        except Exception as err:
            raise OptionError(f"`{flag}`: the search failed: {type(err).__name__}: {err}") from err


def _copied(module: pl.LightningModule) -> pl.LightningModule:
    """A model of its own for the search: metric states and hooks of the real one stay as they are."""
    try:
        return copy.deepcopy(module)
    except Exception:  # noqa: BLE001  what cannot be copied is searched with; Lightning puts its weights back
        return module


def _picture(finder: Any) -> bytes:
    try:
        figure = finder.plot(suggest=True)
    except Exception:  # noqa: BLE001  no matplotlib here
        return b""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90, bbox_inches="tight")
    with contextlib.suppress(ImportError):
        import matplotlib.pyplot as plt

        plt.close(figure)
    return buffer.getvalue()


def _ignored(_text: str) -> None:
    """Said of a trainer that only looks around."""
