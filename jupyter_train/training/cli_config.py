"""Reads LightningCLI files by Lightning's own CLI classes, as `python main.py fit --config` does."""

from __future__ import annotations

import contextlib
import importlib
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytorch_lightning as pl
from jsonargparse import ArgumentError
from pytorch_lightning.cli import LightningCLI

from jupyter_train.config.lightning_packages import class_paths, import_instead, refuse_other_lightning
from jupyter_train.config.trainer_arguments import trainer_options
from jupyter_train.exceptions import OptionError

_SUBCOMMANDS = ("fit", "validate", "test", "predict")


@dataclass
class CliParts:
    """Model, datamodule and Trainer arguments of a LightningCLI file."""

    model: pl.LightningModule
    datamodule: pl.LightningDataModule | None
    trainer: dict[str, Any] = field(default_factory=dict)
    seed: int | None = None
    ckpt_path: str | None = None


class _PartsCLI(LightningCLI):
    """Instantiates model and data, and keeps the Trainer arguments instead of making a Trainer."""

    # `_get` reads the config of the subcommand, as `LightningCLI.instantiate_trainer` itself does
    def instantiate_trainer(self, **kwargs: object) -> Any:
        self.trainer_arguments = {**self._get(self.config_init, "trainer", default={}), **kwargs}


def build_parts(
    content: Mapping[str, Any], model_class: type[Any] | None = None, data_class: type[Any] | None = None
) -> CliParts:
    """Model, data and Trainer arguments of a file.

    Args:
        content: The mapping in the file; may have a `fit:` root and a `ckpt_path`.
        model_class: Class whose arguments `model:` holds; None when `model:` names a `class_path`.
        data_class: The same for `data:`.

    Raises:
        OptionError: LightningCLI does not accept it.
    """
    settings = dict(content)
    if isinstance(settings.get("fit"), Mapping):
        settings = {key: value for key, value in settings.items() if key not in _SUBCOMMANDS} | dict(settings["fit"])
    settings = {key: value for key, value in settings.items() if key not in _SUBCOMMANDS}
    ckpt_path = settings.pop("ckpt_path", None)
    settings.pop("weights_only", None)
    _refuse_other_lightning(settings, model_class, data_class)
    trainer_keys = set(settings.get("trainer") or {})
    has_data = "data" in settings
    try:
        with _without_process_arguments():
            cli = _PartsCLI(
                model_class,
                data_class,
                save_config_callback=None,
                run=False,
                args=settings,
                seed_everything_default=False,
                parser_kwargs={"exit_on_error": False},
            )
    except (ArgumentError, SystemExit) as err:
        for path in class_paths(settings):
            refuse_other_lightning(_import_or_none(path), f"`class_path: {path}`")
        raise OptionError(f"the file was not accepted by LightningCLI: {_single_line(err)}") from err
    known = {option.name: option for option in trainer_options()}
    names = [name for name, value in cli.trainer_arguments.items() if name not in known or known[name].is_set(value)]
    trainer = {name: cli.trainer_arguments[name] for name in names if name in trainer_keys}
    seed = cli.config.get("seed_everything")
    return CliParts(
        cli.model,
        cli.datamodule if has_data or data_class is not None else None,
        trainer,
        None if isinstance(seed, bool) else seed,
        ckpt_path,
    )


def _refuse_other_lightning(
    settings: Mapping[str, Any], model_class: type[Any] | None, data_class: type[Any] | None
) -> None:
    """Refuses classes of the package `lightning`, in the file or as model and data.

    Raises:
        OptionError: There is one.
    """
    for path in class_paths(settings):
        if (instead := import_instead(path)) is not None:
            name = path.rpartition(".")[2]
            module_name = instead.split()[1]
            raise OptionError(
                f"`class_path: {path}` is of the package `lightning`, and here `pytorch_lightning` trains; write "
                f"`class_path: {module_name}.{name}`"
            )
    refuse_other_lightning([model_class, data_class], "the file")


def _import_or_none(path: str) -> object:
    """The class of an import path; None where it cannot be imported, which LightningCLI has reported."""
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name, None)
    except Exception:  # noqa: BLE001  LightningCLI has refused the file for that
        return None


@contextlib.contextmanager
def _without_process_arguments() -> Iterator[None]:
    """Hides `sys.argv`: LightningCLI warns when the process has arguments, as a kernel always has.

    Also hides its warning that an optimizer in the file overrides the module's own: it is there for that.
    """
    arguments, sys.argv = sys.argv, sys.argv[:1]
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*will be overridden by.*")
            yield
    finally:
        sys.argv = arguments


def _single_line(err: BaseException) -> str:
    text = " ".join(str(err).split())
    return text[:600] or "see the log"
