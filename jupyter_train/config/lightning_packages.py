"""Classes of the package `lightning`: named like those of `pytorch_lightning`, and none of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jupyter_train.exceptions import OptionError, UsageError

#: Where the package keeps them, and what is imported instead.
_INSTEAD = {"lightning.pytorch": "pytorch_lightning", "lightning.fabric": "lightning_fabric"}
#: What `pytorch_lightning` has at its top.
_AT_THE_TOP = frozenset({"Callback", "LightningDataModule", "LightningModule", "Trainer"})


def refuse_other_lightning(value: Any, what: str, error: type[UsageError] = OptionError) -> None:
    """Raises for an object or class of the package `lightning`, or derived from one; for a list, if one in it is.

    Nothing is imported for it.

    Args:
        value: What was given.
        what: What it was given as: `--callback`, `model`.
        error: What is raised.

    Raises:
        UsageError: It is one.
    """
    items = value if isinstance(value, list | tuple) else [value]
    for made_of in dict.fromkeys(one if isinstance(one, type) else type(one) for one in items):
        for base in made_of.__mro__:
            if (instead := import_instead(f"{base.__module__}.{base.__qualname__}")) is not None:
                raise error(
                    f"{what}: `{made_of.__name__}` is made of `{base.__name__}` of the package `lightning`, and here "
                    f"`pytorch_lightning` trains, whose classes are others; write `{instead}` in its place"
                )


def import_instead(path: str) -> str | None:
    """The import to write for a class of the package `lightning`; None for any other.

    Args:
        path: Of the class, such as `lightning.pytorch.callbacks.EarlyStopping`.
    """
    package = ".".join(path.split(".")[:2])
    name = path.rpartition(".")[2]
    if package not in _INSTEAD or name == path:
        return None
    folder = [part for part in path.split(".")[2:3] if part != name and name not in _AT_THE_TOP]
    return f"from {'.'.join([_INSTEAD[package], *folder])} import {name}"


def class_paths(content: Any) -> Iterator[str]:
    """Every `class_path` in a LightningCLI file."""
    if isinstance(content, dict):
        for name, value in content.items():
            if name == "class_path" and isinstance(value, str):
                yield value
            yield from class_paths(value)
    elif isinstance(content, list):
        for item in content:
            yield from class_paths(item)
