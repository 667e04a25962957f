"""A run about to be carried out, wherever that will be."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jupyter_train.config import TrainConfig
from jupyter_train.config.notification import shown_target
from jupyter_train.run import RunRecord, RunStatus
from jupyter_train.store.run_folder import RunFolder

if TYPE_CHECKING:
    from jupyter_train.config import TuneConfig
    from jupyter_train.store import RunWriter, Store
    from jupyter_train.training.data.encoder import Encoder
    from jupyter_train.training.inspection.finders import FinderResult
    from jupyter_train.training.trial_monitor import TrialMonitor


@dataclass
class Job:
    """A run about to be carried out.

    Attributes:
        config: Checked options.
        build: Gives `(model, data)`; called once the seed is set, so that an expression is part of the run.
        notebook: Path of the notebook, if known.
        parent: Key of the run that started this one, such as a repeated notebook.
        provenance: Cells and parameters, as plain JSON.
        on_start: Called once the run exists, with its record and, in the process that trains it, its writer.
        ckpt_path: A Lightning checkpoint to start from.
        remarks: What the user shall be told before the first step.
        findings: What was `auto` and has been found.
        kind: `train`, or what the run is a part of: `trial`, `fold`.
        recorded: What its record holds besides the options.
        judge: Watches the monitored metric of a run that is one of many; their common parts are recorded once, with
            its parent.
        patience_s: After an Interrupt, how many seconds it may take to come to its next batch; see `InterruptWatch`.
    """

    config: TrainConfig
    build: Callable[[TrainConfig], tuple[Any, Any]]
    notebook: str = ""
    parent: str | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    on_start: Callable[[RunRecord, RunWriter | None], None] = lambda _record, _writer: None
    ckpt_path: str | None = None
    remarks: list[str] = field(default_factory=list)
    findings: list[FinderResult] = field(default_factory=list)
    kind: str = "train"
    recorded: dict[str, Any] = field(default_factory=dict)
    judge: TrialMonitor | None = None
    patience_s: float | None = None


@dataclass
class RunResult:
    """What is left in this process of a run that has ended, or that trains elsewhere.

    Attributes:
        record: Its row.
        module: The LightningModule of this process.
        source: The loaders.
        error: What to raise to the user; None when there is nothing to raise.
    """

    record: RunRecord
    module: Any
    source: Any
    error: BaseException | None = None


@dataclass
class PreparedRun:
    """What is trained, checked and in its final form.

    Attributes:
        model: As given, with compiled modules unwrapped.
        data: As given.
        module: The LightningModule that is fitted.
        source: The loaders.
        world_size: How many processes train it together.
    """

    model: Any
    data: Any
    module: Any
    source: Any
    world_size: int = 1


def prepare(job: Job, store: Store | None = None) -> PreparedRun:
    """Builds model and data under the run's seed, and checks that they fit the options.

    Args:
        job: What is to be done.
        store: Where the run is that goes on, or is forked: its data is encoded as it was.

    Raises:
        JupyterTrainError: They do not.
    """
    from jupyter_train.training.checkpoints import initial_weights
    from jupyter_train.training.data.loaders import as_source
    from jupyter_train.training.fit import check_validation
    from jupyter_train.training.inspection.ineffective_options import without_effect
    from jupyter_train.training.model import as_module, unused_rate, unwrapped
    from jupyter_train.training.state import seeds
    from jupyter_train.training.trainer import check_arguments

    config = job.config
    config.seed = seeds.draw_seed() if config.seed is None else config.seed
    seeds.seed_all(config.seed)
    model, data = job.build(config)
    model = unwrapped(model)
    if config.reinit:
        initial_weights.reinitialise(model)
    module = as_module(model, config.settled())
    split_seed = config.seed if config.split_seed is None else config.split_seed
    source = as_source(data, config.settled(), module, split_seed, _kept_encoder(config, store))
    check_validation(module, source, config)
    if job.judge is None:  # one of many: it is said of its study
        said = [*without_effect(config, data), *filter(None, [unused_rate(model, config)])]
        job.remarks += [line for line in said if line not in job.remarks]
    if config.is_looking:
        from jupyter_train.training.inspection.finders import find

        job.findings = find(model, data, module, source, config)
        module = as_module(model, config)
        source = as_source(data, config, module, config.seed)
    world_size = check_arguments(config) if job.judge is None else 1  # one of many: its study has checked them
    return PreparedRun(model, data, module, source, world_size)


def _kept_encoder(config: TrainConfig, store: Store | None) -> Encoder | None:
    """How data was encoded for the run that goes on, or is forked; None for a new one."""
    from jupyter_train.training.data.encoder import Encoder

    word = config.resume or config.fork
    return Encoder.load(RunFolder(store.find(word).folder)) if word and store is not None else None


#: Options that say how the attempt before began, not the next one.
_BEGINNINGS = ("force", "fork", "from_", "reinit", "resume")


def changed(config: TrainConfig, changes: dict[str, Any]) -> TrainConfig:
    """The same options with some of them changed; objects among the others stay what they are.

    Raises:
        OptionError: A change is no option, or its value does not fit.
    """
    own = {item.name: getattr(config, item.name) for item in dataclasses.fields(config) if "option" in item.metadata}
    trainer, expressions = config.trainer, config.expressions
    given = {name: value for name, value in own.items() if value is not None and name not in _BEGINNINGS}
    if "max_epochs" in changes or "epochs" in changes:
        trainer = {name: value for name, value in trainer.items() if name != "max_epochs"}
        given.pop("epochs", None)
    known = {name: text for name, text in expressions.items() if name not in changes}
    return TrainConfig.of({**given, **trainer, **changes}, known)


def recorded_options(config: TrainConfig | TuneConfig) -> dict[str, Any]:
    """The options as they are recorded: who is notified may be a secret."""
    return config.to_json() | ({"notify": shown_target(config.notify)} if config.notify else {})


def create(store: Store, job: Job, model: Any, goes_elsewhere: bool = False) -> RunRecord:
    """A QUEUED run for the job; one of many is RUNNING at once.

    Args:
        store: Where it is recorded.
        job: What is to be done.
        model: What is trained.
        goes_elsewhere: Whether a process of its own carries it out.

    Raises:
        StoreError: It cannot be recorded.
    """
    config = job.config
    recorded = recorded_options(config) | job.recorded
    began: dict[str, Any] = {}
    if job.judge is not None:  # one of many: what it takes to write it down twice is felt
        began = {"status": RunStatus.RUNNING, "started_at": time.time(), "heartbeat_at": time.time()}
    if goes_elsewhere:
        began["summary"] = {"waits_for": "model and data, which are written down for its process"}
    return store.create_run(
        config.name or type(model).__name__,
        **began,
        kind=job.kind,
        config=recorded,
        notebook=job.notebook,
        parent=job.parent,
        note=config.note or "",
        tags=list(config.tag),
    )
