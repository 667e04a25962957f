"""Values of a trial that is enqueued, and ranges that the space is narrowed to, as they are typed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from jupyter_train.config import TuneConfig
from jupyter_train.config.options import literal
from jupyter_train.config.search_space import Choices, Range, Space, optuna_choice, parse, parts
from jupyter_train.exceptions import StudyError, did_you_mean
from jupyter_train.tuning.samplers import distribution_of


def check_enqueued(config: TuneConfig) -> list[dict[str, Any]]:
    """The values of every `--enqueue`.

    Raises:
        StudyError: A name is not searched, or its value lies outside.
    """
    return [enqueued(text, config) for text in config.enqueue]


def enqueued(text: str, config: TuneConfig) -> dict[str, Any]:
    """The values of an enqueued trial: `lr=1e-3,hidden=64`; names left out are drawn.

    Raises:
        StudyError: A name is not searched, or its value lies outside.
    """
    typed = f"--enqueue {text}"
    values: dict[str, Any] = {}
    for part in parts(text, ","):
        name, equals, word = part.partition("=")
        if not equals or not word.strip():
            _searched(name.strip(), config, typed)
            raise StudyError(f"`{typed}`: expected `{name.strip()}=VALUE`")
        values[name.strip()] = _value_of(word.strip(), config.searched.get(name.strip()))
    return checked(values, config, typed)


def _value_of(word: str, space: Space | None) -> object:
    """What was typed; without quotes it also means the choice that is this word."""
    value = literal(word)
    if not isinstance(space, Choices):
        return value
    try:
        return space.find(value)
    except ValueError:
        return word if word in space.values else value


def checked(params: Mapping[str, Any], config: TuneConfig, typed: str) -> dict[str, Any]:
    """Values of a trial that lie in the space.

    Args:
        params: Values by name.
        config: What is searched.
        typed: As the user wrote them, for messages.

    Raises:
        StudyError: A name is not searched, or its value lies outside.
    """
    values = {}
    for name, value in params.items():
        space = _searched(name, config, typed)
        try:
            values[name] = space.find(value) if isinstance(space, Choices) else value
            distribution = distribution_of(space)
            is_inside = bool(distribution._contains(distribution.to_internal_repr(optuna_choice(values[name]))))
        except (ValueError, TypeError):
            is_inside = False
        if not is_inside:
            raise StudyError(f"`{typed}`: `{name}={value}` lies outside `{name}={space}`")
    return values


def narrowed(name: str, text: object, config: TuneConfig) -> Range:
    """A part of what is searched; by its logarithm, or in steps, as before.

    Raises:
        StudyError: The name is not searched, or this is no part of its range.
        SpaceError: The text is no range.
    """
    typed = f"narrow {name}={text}"
    space = _searched(name, config, typed)
    if not isinstance(space, Range):
        raise StudyError(
            f"`{typed}`: `{name}={space}` are choices, and only a range can be narrowed while it is searched"
        )
    if config.sampler == "grid":
        raise StudyError(f"`{typed}`: `--sampler grid` tries what it began with")
    part = parse(name, text)
    if not isinstance(part, Range):
        raise StudyError(f"`{typed}`: expected a range, such as `{name}={space}`")
    result = dataclasses.replace(part, step=space.step, is_log=space.is_log)
    is_whole = not space.is_whole or result.is_whole
    is_in_step = space.step is None or all(
        abs((end - space.low) / space.step - round((end - space.low) / space.step)) < 1e-9
        for end in (result.low, result.high)
    )
    if result.low < space.low or result.high > space.high or not is_whole or not is_in_step:
        raise StudyError(f"`{typed}` is no part of `{name}={space}`; what lies outside it takes another study")
    return result


def _searched(name: str, config: TuneConfig, typed: str) -> Space:
    space = config.searched.get(name)
    if space is not None:
        return space
    if not config.searched:
        raise StudyError(f"`{typed}`: what is searched is said by a function of the trial, which decides by itself")
    known = ", ".join(f"`{known_name}`" for known_name in config.searched)
    raise StudyError(f"`{typed}`: `{name}` is not searched.{did_you_mean(name, config.searched)} Searched are: {known}")
