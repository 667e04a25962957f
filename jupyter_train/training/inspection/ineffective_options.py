"""Options that were given and change nothing, as the model or the data decide themselves."""

from __future__ import annotations

from typing import Any

from torch.utils.data import Dataset

from jupyter_train.config import TrainConfig, options_by_name
from jupyter_train.training.data.row_inputs import is_column

#: Options that say how rows become batches, and what they are for.
_OF_ROWS = ("batch_size", "encode", "scale", "split", "target")


def without_effect(config: TrainConfig, data: Any) -> list[str]:
    """A line for each option that was given and changes nothing.

    Args:
        config: The options.
        data: As given; None where the model brings its own loaders.
    """
    names = _OF_ROWS if data is None else () if uses_batch_size(data) else ("batch_size",)
    known = options_by_name()
    told = [(name, known[name], getattr(config, name)) for name in names]
    given = [one for one in told if one[2] not in (one[1].default, "auto")]
    found = [option.flag if name == "split" else f"{option.flag} {value}" for name, option, value in given]
    return [f"`{words}` has no effect: {maker_words(data)}" for words in found]


def uses_batch_size(data: Any) -> bool:
    """Whether any batches of this data are made here, of the size in the options."""
    if isinstance(data, Dataset) or is_column(data):
        return True
    parts = data.values() if isinstance(data, dict) else data if isinstance(data, list | tuple) else ()
    return any(uses_batch_size(part) for part in parts)


def maker_words(data: Any) -> str:
    """Who makes the batches instead."""
    if data is None:
        return "the model brings its own loaders"
    if isinstance(data, list | tuple | dict) and data:
        first = next(iter(data.values())) if isinstance(data, dict) else data[0]
        return f"the {type(first).__name__}s make their own batches"
    return f"the {type(data).__name__} makes its own batches"
