"""Trials whose values somebody gives by hand."""

from __future__ import annotations

from jupyter_train.config import TuneConfig
from jupyter_train.config.options import literal
from jupyter_train.exceptions import StudyError, did_you_mean
from jupyter_train.tuning.optimizer import distribution_of


def check_enqueued(config: TuneConfig) -> list[dict[str, object]]:
    """The values of every `--enqueue`.

    Raises:
        StudyError: A name is not searched, or its value lies outside.
    """
    return [enqueued(given, config) for given in config.enqueue]


def enqueued(text: str, config: TuneConfig) -> dict[str, object]:
    """The values of a trial given by hand: `lr=1e-3,hidden=64`; names left out are drawn.

    Raises:
        StudyError: A name is not searched, or its value lies outside.
    """
    found: dict[str, object] = {}
    for part in text.split(","):
        name, equals, word = (piece.strip() for piece in part.partition("="))
        space = config.searched.get(name)
        if space is None or not equals:
            close = did_you_mean(name, config.searched)
            raise StudyError(f"`--enqueue {text}`: `{name}` is not searched.{close} Searched are: "
                             + ", ".join(f"`{one}`" for one in config.searched))  # fmt: skip
        value, distribution = literal(word), distribution_of(space)
        try:
            is_inside = bool(distribution._contains(distribution.to_internal_repr(value)))
        except (ValueError, TypeError):
            is_inside = False
        if not is_inside:
            raise StudyError(f"`--enqueue {text}`: `{name}={word}` lies outside `{name}={space}`")
        found[name] = value
    return found
