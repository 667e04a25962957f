"""Refuses classes of the package `lightning`, which are not those of `pytorch_lightning`."""

from __future__ import annotations

from collections.abc import Iterator

from jupyter_train.exceptions import OptionError, UsageError

#: Package of `lightning` to the standalone package to import from.
_REPLACEMENT_PACKAGES = {"lightning.pytorch": "pytorch_lightning", "lightning.fabric": "lightning_fabric"}
#: Names that `pytorch_lightning` exports at top level.
_TOP_LEVEL_NAMES = frozenset({"Callback", "LightningDataModule", "LightningModule", "Trainer"})


def refuse_other_lightning(value: object, what: str, error: type[UsageError] = OptionError) -> None:
    """Raises for an object or class of `lightning`, or derived from one, also inside a list. Imports nothing.

    Args:
        value: An object, a class or a list of these.
        what: Its role in messages: `--callback`, `model`.
        error: Class of the exception.

    Raises:
        UsageError: A base class comes from `lightning`.
    """
    items = value if isinstance(value, list | tuple) else [value]
    for cls in dict.fromkeys(item if isinstance(item, type) else type(item) for item in items):
        for base in cls.__mro__:
            if (statement := import_instead(f"{base.__module__}.{base.__qualname__}")) is not None:
                raise error(
                    f"{what}: `{cls.__name__}` derives from `{base.__name__}` of the package `lightning`, but runs are "
                    f"trained by `pytorch_lightning`, which has classes of its own; write `{statement}` instead"
                )


def import_instead(path: str) -> str | None:
    """The import statement to replace a class of `lightning`; None for any other class.

    Args:
        path: Class path such as `lightning.pytorch.callbacks.EarlyStopping`.
    """
    package = ".".join(path.split(".")[:2])
    name = path.rpartition(".")[2]
    if package not in _REPLACEMENT_PACKAGES or name == path:
        return None
    folder = [part for part in path.split(".")[2:3] if part != name and name not in _TOP_LEVEL_NAMES]
    return f"from {'.'.join([_REPLACEMENT_PACKAGES[package], *folder])} import {name}"


def class_paths(content: object) -> Iterator[str]:
    """Every `class_path` in a LightningCLI file."""
    if isinstance(content, dict):
        for name, value in content.items():
            if name == "class_path" and isinstance(value, str):
                yield value
            yield from class_paths(value)
    elif isinstance(content, list):
        for item in content:
            yield from class_paths(item)
