"""LightningCLI files: built through Lightning's own CLI classes, as `python main.py fit --config` would."""

from __future__ import annotations

import contextlib
import importlib
import inspect
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
    """What a LightningCLI file describes."""

    model: pl.LightningModule
    datamodule: pl.LightningDataModule | None
    trainer: dict[str, Any] = field(default_factory=dict)
    seed: int | None = None
    ckpt_path: str | None = None


class _PartsCLI(LightningCLI):
    """Builds model, data and trainer arguments, but no trainer: that one is ours to build."""

    def instantiate_trainer(self, **kwargs: Any) -> Any:
        self.trainer_arguments = {**self._get(self.config_init, "trainer", default={}), **kwargs}


def build(
    content: Mapping[str, Any], model_class: type[Any] | None = None, data_class: type[Any] | None = None
) -> CliParts:
    """What a file's content describes.

    Args:
        content: The mapping in the file; a `fit:` root and a `ckpt_path` are understood.
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
    given = set(settings.get("trainer") or {})
    has_data = "data" in settings
    try:
        with _no_arguments():
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
            refuse_other_lightning(_named(path), f"`class_path: {path}`")
        raise OptionError(f"the file was not accepted by LightningCLI: {_cleaned(err)}") from err
    known = {option.name: option for option in trainer_options()}
    said = [name for name, value in cli.trainer_arguments.items() if name not in known or known[name].is_said(value)]
    trainer = {name: cli.trainer_arguments[name] for name in said if name in given}
    seed = cli.config.get("seed_everything")
    return CliParts(
        cli.model,
        cli.datamodule if has_data or data_class is not None else None,
        trainer,
        None if isinstance(seed, bool) else seed,
        ckpt_path,
    )


def _refuse_other_lightning(settings: Mapping[str, Any], model_class: Any, data_class: Any) -> None:
    """Raises where a class of the package `lightning` is named, in the file or beside it.

    Raises:
        OptionError: One is.
    """
    for path in class_paths(settings):
        if (instead := import_instead(path)) is not None:
            name = path.rpartition(".")[2]
            place = instead.split()[1]
            raise OptionError(
                f"`class_path: {path}` is of the package `lightning`, and here `pytorch_lightning` trains; write "
                f"`class_path: {place}.{name}`"
            )
    refuse_other_lightning([model_class, data_class], "the file")


def _named(path: str) -> Any:
    """The class of a path; None where there is none, as LightningCLI has said then."""
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name, None)
    except Exception:  # noqa: BLE001  the file was refused for that
        return None


@contextlib.contextmanager
def _no_arguments() -> Iterator[None]:
    """LightningCLI warns when the process has arguments of its own, as a kernel always has.

    It also warns that an optimizer in the file overrides the module's own: that is what it is in the file for.
    """
    kept, sys.argv = sys.argv, sys.argv[:1]
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*will be overridden by.*")
            yield
    finally:
        sys.argv = kept


def is_cli_file(content: Mapping[str, Any]) -> bool:
    """True when a mapping has the shape of a LightningCLI file rather than of `%train` options."""
    if isinstance(content.get("fit"), Mapping) or isinstance(content.get("trainer"), Mapping):
        return True
    if "seed_everything" in content:
        return True
    return any(isinstance(content.get(part), Mapping) for part in ("model", "data", "optimizer", "lr_scheduler"))


def class_of(value: Any) -> type[Any] | None:
    """`value` if it is a class; None otherwise."""
    return value if inspect.isclass(value) else None


def _cleaned(err: BaseException) -> str:
    text = " ".join(str(err).split())
    return text[:600] or "see the log"
