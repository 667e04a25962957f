"""`FitSpec`: the fits that a cross-validation, or a run with several seeds, consists of."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from jupyter_train.config import TrainConfig
from jupyter_train.config.cross_validation import Fold, parse_folds
from jupyter_train.config.train import copy_callbacks
from jupyter_train.config.train_options import own_options
from jupyter_train.exceptions import OptionError
from jupyter_train.execution.run_spec import RunSpec
from jupyter_train.run import RunRole

#: More than any run consists of.
MAX_FITS = 10_000


@dataclass(frozen=True)
class FitSpec:
    """One fit of several.

    Attributes:
        config: Its options.
        recorded: `fold` and `seed`, as its record has them.
        label: The same, as text.
    """

    config: TrainConfig
    recorded: dict[str, Any]
    label: str

    @property
    def place(self) -> tuple[int | None, int]:
        """Its fold, where there are folds, and its seed."""
        return self.recorded.get("fold"), self.recorded["seed"]


def fit_specs_of(config: TrainConfig) -> list[FitSpec]:
    """Every fold with every seed.

    Raises:
        OptionError: An option has no meaning for several fits.
    """
    from jupyter_train.training.state import seeds

    if config.fork is not None:
        raise OptionError("`--fork` is for one fit; `--cv` and `--seeds` train several, each from its beginning")
    if config.from_ is not None:
        raise OptionError("`--from` is for one fit; of several, each resumes from its newest checkpoint")
    if config.needs_finder:
        raise OptionError("`auto` looks for one number for one fit; say it: `--lr 1e-3`, `--batch-size 32`")
    config.seed = seeds.draw_seed() if config.seed is None else config.seed
    folds = parse_folds(config.cv) if config.cv is not None else None
    parts = []
    for repeat in range(config.seeds or 1):
        for number in range(folds.count if folds is not None else 1):
            changes: dict[str, Any] = {
                **{option.name: option.default for option in own_options() if not option.in_fits},
                "seed": config.seed + repeat,
                "split_seed": config.seed if config.split_seed is None else config.split_seed,
                "fold": Fold(folds, number) if folds is not None else None,
            }
            recorded = ({"fold": number} if folds is not None else {}) | {"seed": config.seed + repeat}
            label = " ".join(f"{name} {value}" for name, value in recorded.items())
            callbacks = copy_callbacks({"callback": config.callback})["callback"]
            part = dataclasses.replace(config, **changes, callback=callbacks, trainer=copy_callbacks(config.trainer))
            parts.append(FitSpec(part, recorded, label))
    return parts


def spec_of(spec: RunSpec, part: FitSpec, parent: str | None) -> RunSpec:
    """One of the fits, as a run of its own below `parent`."""
    return dataclasses.replace(spec, config=part.config, role=RunRole.FOLD, parent=parent, recorded=part.recorded)
