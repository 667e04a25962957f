"""Optuna's parts, made from what was typed: distributions, sampler, pruner."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from optuna import distributions, pruners, samplers
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial

from jupyter_train.config import TuneConfig, search_methods
from jupyter_train.config.search_space import Choices, Fixed, Range, Space
from jupyter_train.exceptions import OptionError

#: Epochs between two looks of a pruner, and the least a trial is given.
_REDUCTION = 3
#: Optuna holds a whole grid in memory, and looks through all of it for each trial.
MAX_OF_GRID = 10_000


def distributions_of(space: Mapping[str, Space]) -> dict[str, distributions.BaseDistribution]:
    """What Optuna draws from, for every name that has more than one value."""
    return {name: distribution_of(values) for name, values in space.items() if not isinstance(values, Fixed)}


def distribution_of(space: Space) -> distributions.BaseDistribution:
    """The distribution of one name."""
    if isinstance(space, Choices):
        return distributions.CategoricalDistribution(space.optuna_choices)
    assert isinstance(space, Range)
    if space.is_whole:
        return distributions.IntDistribution(int(space.low), int(space.high), space.is_log, int(space.step or 1))
    return distributions.FloatDistribution(float(space.low), float(space.high), space.is_log, space.step)


Constraints = Callable[[FrozenTrial], Sequence[float]]


def sampler_of(config: TuneConfig, constraints: Constraints | None = None) -> samplers.BaseSampler:
    """The requested sampler.

    Raises:
        OptionError: It cannot search this space, or takes no constraints.
    """
    name = search_methods.name_of(config.sampler)
    if constraints is not None and name not in ("tpe", "gp", "nsga2"):
        raise OptionError(f"`--sampler {name}` takes no constraints; `tpe`, `gp` and `nsga2` do")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        try:
            return _made(config, constraints)
        except ValueError as err:  # Optuna's own: what does not go together
            raise OptionError(f"`--sampler {config.sampler}`: {err}") from err


def check_methods(config: TuneConfig, constraints: Constraints | None = None) -> None:
    """Raises for a sampler or a pruner that cannot do what is requested, before anything is recorded.

    Raises:
        OptionError: It cannot.
    """
    sampler_of(config, constraints)
    pruner_of(config.prune, None)


class _Grid(samplers.GridSampler):
    """Optuna's, which stops `Study.optimize` after the last of its trials; here the scheduler counts them."""

    def after_trial(self, *_: object) -> None:
        """Nothing."""


def _made(config: TuneConfig, constraints: Constraints | None) -> samplers.BaseSampler:
    name, seed = search_methods.name_of(config.sampler), config.seed
    arguments = search_methods.arguments_of(config.sampler, search_methods.SAMPLERS)
    if arguments.get("group") and not arguments.get("multivariate"):  # Optuna says nothing, and does nothing
        raise OptionError(f"`--sampler {config.sampler}`: `group=true` is of `multivariate=true`; add that")
    if name == "tpe":
        return samplers.TPESampler(seed=seed, constant_liar=True, constraints_func=constraints, **arguments)
    if name == "gp":
        return samplers.GPSampler(seed=seed, constraints_func=constraints, **arguments)
    if name == "cmaes":
        return samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False, **arguments)
    if name == "qmc":
        return samplers.QMCSampler(seed=seed, scramble=True, warn_independent_sampling=False)
    if name == "nsga2":
        return samplers.NSGAIISampler(seed=seed, constraints_func=constraints, **arguments)
    if name == "grid":
        return _Grid(grid_of(config.searched), seed=seed)
    return samplers.RandomSampler(seed=seed)


def grid_of(space: Mapping[str, Space]) -> dict[str, list[Any]]:
    """Every value of every name.

    Raises:
        OptionError: A range has no end of them, or all together are more than a grid may have.
    """
    grid_size(space)
    return {name: _values(space[name]) for name in space}


def _values(space: Space) -> list[Any]:
    if isinstance(space, Choices):
        return list(space.optuna_choices)
    assert isinstance(space, Range)
    assert space.step is not None
    return [round(space.low + index * space.step, 12) for index in range(_range_size(space, space.step))]


def _range_size(space: Range, step: float) -> int:
    return math.floor((space.high - space.low) / step + 1e-9) + 1


def _size(name: str, space: Space) -> int:
    if isinstance(space, Choices):
        return len(space.values)
    assert isinstance(space, Range)
    if space.step is None:
        raise OptionError(
            f"`--sampler grid` needs values it can count: give `{name}` a step, as in "
            f"`{name}={space.low:g}..{space.high:g}:{(space.high - space.low) / 4:g}`, or choices"
        )
    return _range_size(space, space.step)


def grid_size(space: Mapping[str, Space]) -> int:
    """How many trials a whole grid takes.

    Raises:
        OptionError: A range has no end of values, or all together are more than a grid may have.
    """
    sizes = {name: _size(name, values) for name, values in space.items()}
    size = math.prod(sizes.values())
    if size > MAX_OF_GRID:
        product = " x ".join(f"{number:,}" for number in sizes.values())
        raise OptionError(
            f"`--sampler grid`: {product} {f'= {size:,} ' if len(sizes) > 1 else ''}trials; expected at most "
            f"{MAX_OF_GRID:,}. Take wider steps, or another sampler with `--trials N`"
        )
    return size


def pruner_of(prune: str, max_epochs: int | None) -> pruners.BasePruner:
    """The requested pruner.

    Args:
        prune: As it is typed: one of `PRUNERS`, with its arguments.
        max_epochs: How many epochs a trial has at most, where that is known.

    Raises:
        OptionError: What it is given does not go together.
    """
    name, arguments = search_methods.name_of(prune), search_methods.arguments_of(prune, search_methods.PRUNERS)
    most: Any = max_epochs if max_epochs is not None and max_epochs > 0 else "auto"
    try:
        if name == "asha":
            return pruners.SuccessiveHalvingPruner(**{"min_resource": 1, "reduction_factor": _REDUCTION} | arguments)
        if name == "hyperband":
            usual = {"min_resource": 1, "max_resource": most, "reduction_factor": _REDUCTION}
            return pruners.HyperbandPruner(**usual | arguments)
        if name == "median":
            return pruners.MedianPruner(**{"n_startup_trials": 5, "n_warmup_steps": 1} | arguments)
    except ValueError as err:
        raise OptionError(f"`--prune {prune}`: {err}") from err
    return pruners.NopPruner()
