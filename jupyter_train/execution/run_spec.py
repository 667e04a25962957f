"""`RunSpec`: what was requested of a run, before anything of it is built or recorded."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jupyter_train.config import TrainConfig
from jupyter_train.config.notification import redacted_target
from jupyter_train.config.options import Scope
from jupyter_train.config.train_options import own_options
from jupyter_train.events import RunKind
from jupyter_train.run import RunRecord, RunRole, RunStatus

if TYPE_CHECKING:
    from jupyter_train.config import TuneConfig
    from jupyter_train.store import Store

#: Gives `(model, data)`; called once the seed is set, so that an expression is part of the run.
Build = Callable[[TrainConfig], tuple[Any, Any]]


@dataclass(kw_only=True)
class RunSpec:
    """What was requested of a run; another process can be given it.

    Attributes:
        config: Checked options.
        role: What the run is to the one above it.
        notebook: Path of the notebook, if known.
        parent: Key of the run that started this one, such as a repeated notebook.
        provenance: Cells and parameters, as plain JSON.
        recorded: What its record holds besides the options.
        ckpt_path: A Lightning checkpoint to start from.
        interrupt_timeout_s: After an Interrupt, how many seconds it may take to come to its next batch; see
            `InterruptWatch`.
    """

    config: TrainConfig
    role: RunRole = RunRole.TRAIN
    notebook: str = ""
    parent: str | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    recorded: dict[str, Any] = field(default_factory=dict)
    ckpt_path: str | None = None
    interrupt_timeout_s: float | None = None


def spec_in(payload: Mapping[str, Any]) -> RunSpec:
    """What a payload says was requested; one of release 0.1 holds it in parts."""
    if "spec" in payload:
        spec: RunSpec = payload["spec"]
        return spec
    parts = {name: payload[name] for name in ("notebook", "parent", "provenance", "ckpt_path")}
    return RunSpec(config=payload["options"], **parts)


def changed(config: TrainConfig, changes: dict[str, Any]) -> TrainConfig:
    """The same options with some of them changed; objects among the others stay what they are.

    Raises:
        OptionError: A change is no option, or its value does not fit.
    """
    own = {option.name: getattr(config, option.name) for option in own_options() if option.scope is not Scope.START}
    trainer, expressions = config.trainer, config.expressions
    values = {name: value for name, value in own.items() if value is not None}
    if "max_epochs" in changes or "epochs" in changes:
        trainer = {name: value for name, value in trainer.items() if name != "max_epochs"}
        values.pop("epochs", None)
    known = {name: text for name, text in expressions.items() if name not in changes}
    return TrainConfig.of({**values, **trainer, **changes}, known)


def recorded_options(config: TrainConfig | TuneConfig) -> dict[str, Any]:
    """The options as they are recorded: who is notified may be a secret."""
    return config.to_json() | ({"notify": redacted_target(config.notify)} if config.notify else {})


def create(
    store: Store,
    spec: RunSpec,
    model: object,
    kind: RunKind | None = None,
    goes_elsewhere: bool = False,
    is_begun: bool = False,
) -> RunRecord:
    """The row of a new run: QUEUED, or RUNNING where it has begun.

    Args:
        store: Where it is recorded.
        spec: What was requested.
        model: What is trained; its class names a run that has no name.
        kind: What the run is; as its role says if None.
        goes_elsewhere: Whether it trains in a process of its own.
        is_begun: Whether it is RUNNING at once: writing that down twice is felt where there are many.

    Raises:
        StoreError: It cannot be recorded.
    """
    config = spec.config
    begun: dict[str, Any] = {}
    if is_begun:
        begun = {"status": RunStatus.RUNNING, "started_at": time.time(), "heartbeat_at": time.time()}
    if goes_elsewhere:
        begun["summary"] = {"waits_for": "model and data, which are written down for its process"}
    return store.create_run(
        config.name or type(model).__name__,
        **begun,
        kind=kind or spec.role.value,
        config=recorded_options(config) | spec.recorded,
        notebook=spec.notebook,
        parent=spec.parent,
        note=config.note or "",
        tags=list(config.tag),
    )
