"""Options that have no effect, because the model or the data decide themselves."""

from __future__ import annotations

from torch.utils.data import Dataset

from jupyter_train.config import TrainConfig, options_by_name
from jupyter_train.training.data.row_inputs import is_column


def describe_ineffective_options(config: TrainConfig, data: object) -> list[str]:
    """A line for each option that was set and has no effect.

    Args:
        config: The options.
        data: Of any kind; None where the model brings its own loaders.
    """
    options = options_by_name()
    makers = sorted(name for name, option in options.items() if option.makes_batches)
    names = makers if data is None else [] if uses_batch_size(data) else ["batch_size"]
    candidates = [(name, options[name], getattr(config, name)) for name in names]
    changed = [candidate for candidate in candidates if candidate[2] not in (candidate[1].default, "auto")]
    texts = [option.flag if name == "split" else f"{option.flag} {value}" for name, option, value in changed]
    return [f"`{text}` has no effect: {describe_batch_maker(data)}" for text in texts]


def uses_batch_size(data: object) -> bool:
    """Whether `--batch-size` applies to any part of this data."""
    if isinstance(data, Dataset) or is_column(data):
        return True
    parts = data.values() if isinstance(data, dict) else data if isinstance(data, list | tuple) else ()
    return any(uses_batch_size(part) for part in parts)


def describe_batch_maker(data: object) -> str:
    """What makes the batches instead."""
    if data is None:
        return "the model brings its own loaders"
    if isinstance(data, list | tuple | dict) and data:
        first = next(iter(data.values())) if isinstance(data, dict) else data[0]
        return f"the {type(first).__name__}s make their own batches"
    return f"the {type(data).__name__} makes its own batches"
