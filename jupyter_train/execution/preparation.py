"""`PreparedRun`: model and data built under the run's seed, checked, and in the form that is trained."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jupyter_train.execution.run_spec import Build, RunSpec
from jupyter_train.run import RunRole
from jupyter_train.store.run_folder import RunFolder

if TYPE_CHECKING:
    import pytorch_lightning as pl

    from jupyter_train.config import TrainConfig
    from jupyter_train.store import Store
    from jupyter_train.training.data.data_source import DataSource
    from jupyter_train.training.data.encoder import Encoder
    from jupyter_train.training.inspection.finders import FinderResult


@dataclass(kw_only=True)
class PreparedRun:
    """What is trained, checked and in its final form.

    Attributes:
        model: As given, with compiled modules unwrapped.
        data: As given.
        module: The LightningModule that is fitted.
        source: The loaders.
        world_size: How many processes train it together.
        remarks: What the user is warned of before the first step.
        findings: What was `auto` and has been found.
    """

    model: Any
    data: Any
    module: pl.LightningModule
    source: DataSource
    world_size: int = 1
    remarks: list[str] = field(default_factory=list)
    findings: list[FinderResult] = field(default_factory=list)


def prepare(spec: RunSpec, build: Build, store: Store | None = None) -> PreparedRun:
    """Model and data, built under the run's seed and checked against the options.

    Args:
        spec: What was requested; a seed that was not is drawn, and noted in its options.
        build: Gives model and data.
        store: Where the run is that is resumed or forked: its data is encoded as it was.

    Raises:
        JupyterTrainError: They do not fit each other, or the options.
    """
    from jupyter_train.training.checkpoints import initial_weights
    from jupyter_train.training.data.loaders import make_data_source
    from jupyter_train.training.fit import check_validation
    from jupyter_train.training.inspection.finders import run_finders
    from jupyter_train.training.inspection.ineffective_options import describe_ineffective_options
    from jupyter_train.training.model import as_module, describe_unused_lr, unwrap_compiled
    from jupyter_train.training.state import seeds
    from jupyter_train.training.trainer import check_arguments

    config = spec.config
    config.seed = seeds.draw_seed() if config.seed is None else config.seed
    seeds.seed_all(config.seed)
    model, data = build(config)
    model = unwrap_compiled(model)
    if config.reinit:
        initial_weights.reinitialise(model)
    module = as_module(model, config.with_finder_defaults())
    split_seed = config.seed if config.split_seed is None else config.split_seed
    source = make_data_source(data, config.with_finder_defaults(), module, split_seed, _kept_encoder(config, store))
    check_validation(module, source, config)
    prepared = PreparedRun(model=model, data=data, module=module, source=source)
    if spec.role is not RunRole.TRIAL:  # a search says this once, for all of its trials
        prepared.remarks = [
            *describe_ineffective_options(config, data),
            *filter(None, [describe_unused_lr(model, config)]),
        ]
    if config.needs_finder:
        prepared.findings = run_finders(model, module, source, config)
        prepared.module = as_module(model, config)
    if spec.role is not RunRole.TRIAL:  # a search checks its trials' arguments once
        prepared.world_size = check_arguments(config)
    return prepared


def _kept_encoder(config: TrainConfig, store: Store | None) -> Encoder | None:
    """How data was encoded for the run that is resumed or forked; None for a new one."""
    from jupyter_train.training.data.encoder import Encoder

    word = config.resume or config.fork
    return Encoder.load(RunFolder(store.find(word).folder)) if word and store is not None else None
