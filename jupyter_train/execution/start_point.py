"""Another attempt at a run: the checkpoint it resumes from, and whether it still is the same run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jupyter_train.config import TrainConfig, options_by_name
from jupyter_train.config.options import Scope
from jupyter_train.config.train import as_json
from jupyter_train.exceptions import ChangedError, RunStateError
from jupyter_train.execution.attempt_differences import explain_absences
from jupyter_train.execution.checkpoint_selector import CheckpointSelector
from jupyter_train.execution.compatibility import check_fits, hyperparameters_changed
from jupyter_train.execution.environment import environment
from jupyter_train.execution.preparation import PreparedRun
from jupyter_train.execution.run_spec import RunSpec
from jupyter_train.run import RunRecord, RunRole, RunStatus
from jupyter_train.store import MetricReader, RunFolder, Store, trust
from jupyter_train.store.metrics.blocks import Point
from jupyter_train.store.metrics.rewind import expected_of
from jupyter_train.store.replay_check import ReplayCheck
from jupyter_train.store.run_lock import RunLock
from jupyter_train.store.takeover import take_over
from jupyter_train.training.state.source_code import source_diff as differences_of_sources

if TYPE_CHECKING:
    from jupyter_train.training.checkpoints.resume import StartPoint

#: What a run's summary says of its beginning.
_LASTING = ("data", "initial_state", "cell", "fork", "callbacks")
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_PARTS_OF_ENVIRONMENT = {
    "packages.torch": "torch",
    "packages.pytorch-lightning": "pytorch-lightning",
    "hardware.cpu": "processor",
    "hardware.threads": "threads",
    "hardware.gpus": "GPUs",
}


def completed(record: RunRecord, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The options of another attempt: what is given now, None too, and else what the run was begun with.

    Options whose value was an object are not kept with a run: they have to be given again, and are compared.
    """
    known = options_by_name()
    expressions = record.config.get("expressions", {})
    kept = {
        name: value
        for name, value in record.config.items()
        if name in known
        and known[name].scope is Scope.RUN
        and not (known[name].is_expression and name in expressions)
        and known[name].is_restorable
    }
    if "max_epochs" in changes:
        kept.pop("epochs", None)
    return {**kept, **changes}


def config_diff(
    record: RunRecord, provenance: Mapping[str, Any], config: TrainConfig, prepared: PreparedRun
) -> list[str]:
    """What would make the run another one: a readable line for each option, for the data and for sources."""
    from jupyter_train.training.data.fingerprint import fingerprint

    lines = []
    now = config.to_json()
    for name, option in options_by_name().items():
        old, new = (_comparable(options.get(name, option.default)) for options in (record.config, now))
        if option.affects_weights and old != new:
            lines.append(f"`{option.flag}` was {_shown(record.config, name)} and is {_shown(now, name)}")
    before, data = provenance.get("data", {}), fingerprint(prepared.source.content)
    if before.get("sha256") and data["sha256"] and before["sha256"] != data["sha256"]:
        lines.append(
            f"the data has changed: {_rows(before.get('words'))} then, {_rows(prepared.source.description)} now"
        )
    trained = {"model": prepared.model, "data": prepared.data}
    return lines + differences_of_sources(provenance.get("sources", {}), trained, config.record == "code=full")


def _comparable(value: object) -> object:
    return _ADDRESS.sub("", value) if isinstance(value, str) else value


def _shown(options: Mapping[str, Any], name: str) -> str:
    return f"`{as_json(options[name])}`" if name in options else "not given"


def _rows(description: object) -> str:
    return str(description).removeprefix("rows: ") if description else "other content"


def environment_diff(provenance: Mapping[str, Any]) -> str:
    """What differs in versions and hardware: allowed, but the last digits of values may too."""
    before, now = provenance.get("environment", {}), environment()
    changed = []
    for path, word in _PARTS_OF_ENVIRONMENT.items():
        part, _, name = path.partition(".")
        old, new = before.get(part, {}).get(name), now.get(part, {}).get(name)
        if old != new and old is not None:
            changed.append(f"{word} {old} → {new}")
    return ", ".join(changed)


def begin_attempt(
    store: Store, spec: RunSpec, prepared: PreparedRun, key: str
) -> tuple[RunRecord, RunLock, StartPoint]:
    """The next attempt at a run, owned by this process.

    Raises:
        ChangedError: Model, data or options are others, and `--force` is not given.
        RunStateError: The run is being trained, is another user's, or does not have the requested checkpoint.
    """
    config = spec.config
    record = store.get(key)
    provenance = RunFolder(record.folder).read_provenance()
    differences = config_diff(record, provenance, config, prepared)
    if differences and not config.force:
        listed = "\n".join(f"  {line}" for line in differences)
        raise ChangedError(
            f"`{record.ref}` cannot be resumed as the same run:\n{listed}\nUndo that, add `--force` to resume all the "
            "same (it is recorded), or begin another run at its checkpoint with `--fork`"
        )
    was_finished = record.status is RunStatus.FINISHED
    if was_finished and not is_longer(record, config):
        raise RunStateError(
            f"`{record.ref}` has finished, there is nothing left to do; make it longer with `--epochs N`, resume from "
            "`--from best` or a step, or begin another run at its checkpoint with `--fork`"
        )
    _check_fork(record)
    choice = CheckpointSelector(store, config.from_, lambda content: check_fits(record, content, config, prepared))
    before, lock = record, None
    try:
        record, lock = take_over(store, key, choose=choice, is_part=spec.role is RunRole.FOLD)
        _sweep(RunFolder(record.folder))
        start = _start_point(record, before, choice, config, prepared, provenance, was_finished)
        start.remarks += forced_messages(differences)
        store.update(key, record.attempt, config=lasting_options(record, spec))
    except BaseException:
        if lock is not None:
            lock.release()
        raise
    return store.get(key), lock, start


def lasting_options(record: RunRecord, spec: RunSpec) -> dict[str, Any]:
    """The options of a resumed run: what is set for this attempt holds from now on."""
    of_attempt = {option.name for option in options_by_name().values() if option.scope is not Scope.RUN}
    fresh = {name: value for name, value in spec.config.to_json().items() if name not in of_attempt}
    notify = {"notify": record.config["notify"]} if "notify" in record.config else {}
    return fresh | notify | spec.recorded


def forced_messages(differences: Sequence[str]) -> list[str]:
    """What is recorded of differences that `--force` overrules; indented lines show the ones before."""
    return [f"forced although {line.strip()}" for line in differences if not line.startswith("    ")]


def _check_fork(record: RunRecord) -> None:
    """Raises for a fork that ended before its first checkpoint: step 0 is not where it began.

    Raises:
        RunStateError: It has no checkpoint.
    """
    fork = record.summary.get("fork")
    with MetricReader(RunFolder(record.folder).metrics) as reader:
        has_own = bool(reader.checkpoints())
    if fork and not has_own:
        raise RunStateError(
            f"`{record.ref}` has no checkpoint of its own yet; begin it again where it began: "
            f"`--fork {fork['ref']} --from {fork['step']}`"
        )


def is_longer(record: RunRecord, config: TrainConfig) -> bool:
    """Whether a finished run has something left to do with these options."""
    now = config.to_json()
    return config.from_ is not None or any(
        option.sets_length and now.get(name) != record.config.get(name) for name, option in options_by_name().items()
    )


def _start_point(
    record: RunRecord,
    before: RunRecord,
    choice: CheckpointSelector,
    config: TrainConfig,
    prepared: PreparedRun,
    provenance: Mapping[str, Any],
    was_finished: bool,
) -> StartPoint:
    from jupyter_train.training.checkpoints.resume import StartPoint

    folder = RunFolder(record.folder)
    step = choice.checkpoint.step if choice.checkpoint is not None else 0
    expected = expected_of(folder.metrics, record.attempt)
    replay_check = ReplayCheck(record.attempt, step, expected)
    repeats = _repeats(expected, step)
    kept = {name: value for name, value in before.summary.items() if name in _LASTING}
    kept["callbacks"] = explain_absences(replay_check, before, config)
    remarks = list(choice.remarks)
    changed = environment_diff(provenance)
    if changed:
        remarks.append(f"{changed}: values may differ in their last digits")
    if choice.checkpoint is None:
        _restart(record, prepared, provenance)
        description = f"attempt {record.attempt} begins at step 0{repeats}: there was no checkpoint to resume from"
        return StartPoint(replay_check=replay_check, summary=kept, description=description, remarks=remarks)
    start = _at_checkpoint(folder, choice, config, before)
    start.keeps_stop = not was_finished
    remarks += hyperparameters_changed(before, prepared)
    if not start.is_exact:
        remarks.append("numbers had been drawn since the moment of the checkpoint: what follows may differ")
    description = f"attempt {record.attempt} resumes from step {step:,} ({choice.checkpoint.kind} checkpoint){repeats}"
    start.replay_check, start.summary, start.description, start.remarks = replay_check, kept, description, remarks
    return start


def _repeats(expected: Mapping[str, Sequence[Point]], step: int) -> str:
    """How many steps an attempt does again that an earlier one had done and recorded, as text; empty for none.

    A learning rate is recorded before its step: it does not say that the step was done.
    """
    done = max((points[-1].step + 1 for name, points in expected.items() if not name.startswith("lr")), default=0)
    if done <= step:
        return ""
    return " and repeats 1 step" if done - step == 1 else f" and repeats {done - step:,} steps"


def _at_checkpoint(folder: RunFolder, choice: CheckpointSelector, config: TrainConfig, before: RunRecord) -> StartPoint:
    from jupyter_train.training.checkpoints.resume import StartPoint

    assert choice.checkpoint is not None
    recorded = before.config
    return StartPoint(
        step=choice.checkpoint.step,
        path=str(folder.path / choice.checkpoint.path),
        content=choice.content,
        keeps_epochs=config.epochs == recorded.get("epochs"),
        keeps_patience=config.early_stop == recorded.get("early_stop"),
    )


def _restart(record: RunRecord, prepared: PreparedRun, provenance: Mapping[str, Any]) -> None:
    """Puts back the step-0 weights, unless the model has just been built with them.

    Raises:
        RunStateError: They were not kept.
    """
    from jupyter_train.training.checkpoints import initial_weights

    wanted = (record.summary.get("initial_state") or provenance.get("initial_state", {})).get("sha256", "")
    if not wanted or initial_weights.state_hash(prepared.model) == wanted:
        return
    if not initial_weights.load_initial_weights(prepared.model, RunFolder(record.folder), wanted):
        raise RunStateError(
            f"`{record.ref}` has no checkpoint, its step-0 weights were not kept and the model given has others; "
            "train it as a new run"
        )


def start_point_of(store: Store, record: RunRecord) -> StartPoint | None:
    """Where the newest attempt resumes, for a process that trains along with its owner."""
    from jupyter_train.training.checkpoints.format import read
    from jupyter_train.training.checkpoints.resume import StartPoint

    with MetricReader(RunFolder(record.folder).metrics) as reader:
        attempts, known = reader.attempts(), reader.checkpoints()
    checkpoints = [checkpoint for checkpoint in known if attempts and checkpoint.path == attempts[-1].checkpoint]
    if not checkpoints:
        return None
    path = trust.checkpoint(store, record, checkpoints[0])
    return StartPoint(step=checkpoints[0].step, path=str(path), content=read(path, checkpoints[0].sha256))


def begin_fork(store: Store, config: TrainConfig, prepared: PreparedRun) -> tuple[str, StartPoint]:
    """A new run's beginning at another one's checkpoint; gives that one's key too.

    Raises:
        ChangedError: The model is another.
        RunStateError: It does not have the requested checkpoint, or is further than the new run shall be.
    """
    parent = store.find(str(config.fork))
    choice = CheckpointSelector(store, config.from_, lambda content: check_fits(parent, content, config, prepared))
    checkpoint = choice(parent)
    if checkpoint is None:
        raise RunStateError(f"`{parent.ref}` has no valid checkpoint to fork from; `%runs show {parent.ref}`")
    start = _at_checkpoint(RunFolder(parent.folder), choice, config, parent)
    start.keeps_stop = False
    if config.lr is not None and config.lr != parent.config.get("lr"):
        start.lr = float(config.lr)
    start.remarks = choice.remarks + hyperparameters_changed(parent, prepared)
    start.description = f"forked from {parent.ref} at step {checkpoint.step:,}"
    start.summary = {"fork": {"run": parent.key, "ref": parent.ref, "step": checkpoint.step}}
    return parent.key, start


def _sweep(folder: RunFolder) -> None:
    """Removes what a killed process left half written, or never announced; this process alone writes here now."""
    with MetricReader(folder.metrics) as reader:
        announced = {folder.path / checkpoint.path for checkpoint in reader.checkpoints()}
    paths = [] if folder.checkpoints.is_symlink() else folder.checkpoints.glob("*.ckpt")
    unannounced = [path for path in paths if path not in announced]
    for leftover in [*folder.leftovers(), *unannounced]:
        leftover.unlink(missing_ok=True)
