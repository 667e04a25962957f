"""The functions behind the magics: same names, same defaults."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from jupyter_train.config import RetrainConfig, TrainConfig, signature_of_train
from jupyter_train.config.bounds import shown
from jupyter_train.exceptions import JupyterTrainError, ModelError, OptionError, UsageError
from jupyter_train.handle import Run, execution_place
from jupyter_train.handle.failure import ended
from jupyter_train.listing import Comparison, RunTable
from jupyter_train.panel.live import LivePanel
from jupyter_train.panel.screen import cell_id, kernel_id, screen_here
from jupyter_train.run import RunStatus
from jupyter_train.study import Repeats, Study

if TYPE_CHECKING:
    from jupyter_train.execution.job import Done
    from jupyter_train.run import RunRecord
    from jupyter_train.store import RunWriter, Store


_MOST_RUNS = 100_000
#: What people hold of runs that are more than one fit, by their kind.
_HANDLES: dict[str, type[Run]] = {"tune": Study, "cv": Repeats}


@dataclass(frozen=True)
class Expression:
    """Something typed, evaluated only once the seed is set, so that it is part of the run."""

    text: str
    evaluate: Callable[[], Any]


def train(model: Any, data: Any = None, **options: Any) -> Run:
    """Trains a model and gives its `Run`; the same as `%train`.

    Everything is seeded twice: before the functions given are called, and again right before the fit, so that what
    building draws does not matter. A stock script gives the same weights where it does so too:

        from jupyter_train.training.order import in_order, order_seed

        pl.seed_everything(7, workers=True)
        model, loader = LitDigits(), DataLoader(rows, batch_size=32, shuffle=True)
        pl.seed_everything(7, workers=True)
        trainer = pl.Trainer(max_epochs=2, devices=1)
        trainer.fit(model, in_order(loader, order_seed(7)))

    Args:
        model: A LightningModule, a plain nn.Module with `loss=`, or a function without arguments that builds
            one: it is called once the seed is set, so that the initial weights follow from the seed.
        data: A LightningDataModule, DataLoader, Dataset, `(train, validation[, test])` of those; `(X, y)` or
            `(X, y, weights)` of arrays, lists, frames or scipy matrices, a DataFrame with `target=`, tuples of these
            with validation rows of their own, a Bunch of scikit-learn; a list or dict of loaders, whose batches come
            together as in Lightning; or a function giving one of them; None for a model with loaders of its own.
        **options: Every option of `%train` and every argument of `pl.Trainer`, by name.

    Raises:
        UsageError: Something does not fit; nothing was recorded.
        TrainingInterrupted: The kernel's Interrupt ended it; the run is kept.
    """
    __tracebackhide__ = True  # a failure in the user's code is shown without our frames
    expressions = options.pop("expressions", {})
    config = TrainConfig.of(_with_recorded(options), expressions)
    return start(config, lambda _config: (_build(model), _build(data)))


train.__signature__ = signature_of_train()  # type: ignore[attr-defined]


def _with_recorded(options: dict[str, Any]) -> dict[str, Any]:
    """The options given, and for another attempt, or a fork, what the run was begun with besides.

    Raises:
        RunNotFoundError: There is no such run.
    """
    word = options.get("resume") or options.get("fork")
    if not word:
        return options
    from jupyter_train.execution.again import completed

    return completed(_store().find(str(word)), options)


def _build(given: Any) -> Any:
    if isinstance(given, Expression):
        return given.evaluate()
    if inspect.isfunction(given) or inspect.ismethod(given):
        return given()
    return given


def train_cli_file(content: Mapping[str, Any], model_class: Any = None, data_class: Any = None, **options: Any) -> Run:
    """Trains what a LightningCLI file describes.

    Args:
        content: The file as a mapping; a `fit:` root is understood.
        model_class: The class whose arguments `model:` holds, when it names no `class_path`.
        data_class: The same for `data:`.
        **options: Options of `%train`, which win over the file.
    """
    root = content["fit"] if isinstance(content.get("fit"), Mapping) else content
    plain = {k: v for k, v in (root.get("trainer") or {}).items() if isinstance(v, int | float | str | None)}
    plain = {k: v for k, v in plain.items() if k not in ("default_root_dir", "enable_progress_bar", "logger")}
    seed = root.get("seed_everything")
    if isinstance(seed, int) and not isinstance(seed, bool):
        options.setdefault("seed", seed)
    if "epochs" in options:
        plain.pop("max_epochs", None)
    expressions = options.pop("expressions", {})
    config = TrainConfig.of(_with_recorded({**plain, **options}), expressions)

    def build(config: TrainConfig) -> tuple[Any, Any]:
        from jupyter_train.training.cli_file import build as build_parts

        parts = build_parts(content, model_class, data_class)
        for name in ("default_root_dir", "enable_progress_bar", "barebones", "model_registry", "num_nodes"):
            parts.trainer.pop(name, None)
        config.trainer = parts.trainer | config.trainer
        return parts.model, parts.datamodule

    return start(config, build, ckpt_path=root.get("ckpt_path"))


def start(config: TrainConfig, build: Callable[[TrainConfig], tuple[Any, Any]], ckpt_path: str | None = None) -> Run:
    """Carries a run out, its panel live meanwhile: in this process, or with `detach` in one of its own."""
    __tracebackhide__ = True
    if config.explain or config.tune_loader:
        from jupyter_train.execution.looking import look

        told: Run = look(config, build)  # text to be read, in a run's place
        return told
    panel = None if config.quiet else LivePanel(screen_here())
    if panel is not None:
        panel.loading("loading torch …")
    shown_in = None if config.quiet else execution_place()
    begun: list[RunRecord] = []

    def again(changes: dict[str, Any]) -> Run:
        """Another attempt, or a fork, with the same model and data."""
        from jupyter_train.execution.job import changed

        return start(changed(config, changes), build, ckpt_path)

    def handle(record: RunRecord, module: Any = None, source: Any = None) -> Run:
        if record.kind in _HANDLES:
            return _HANDLES[record.kind](_store(), record.key, shown_in=shown_in, again=again)
        return Run(_store(), record.key, module, source, shown_in, again)

    try:
        done = _carry_out(config, build, panel, ckpt_path, begun)
    except BaseException as err:
        ended(err, handle(begun[-1]) if begun else None)
        raise
    finally:
        if panel is not None:
            panel.finish()  # a panel that follows from afar ends when its run does
    run = handle(done.record, done.module, done.source)
    if done.error is not None:
        raise ended(done.error.with_traceback(_without_ours(done.error.__traceback__)), run, is_of_fit=True)
    return run


def _without_ours(found: TracebackType | None) -> TracebackType | None:
    """A traceback from the first frame that is not this package's."""
    while found is not None and found.tb_frame.f_globals.get("__name__", "").startswith("jupyter_train."):
        found = found.tb_next
    return found


def resume(word: str | Run, **changes: Any) -> Run | str:
    """Goes on with a run: after a pause, or, when it has ended or died, as its next attempt.

    Args:
        word: The run.
        **changes: Options that are others from here on, such as `epochs`; `from_` names a checkpoint.

    Raises:
        RunStateError: This process cannot begin it; the message says which notebook and cell can.
    """
    return (word if isinstance(word, Run) else get_run(word)).resume(**changes)


def resume_as_typed(word: str, words: Sequence[str]) -> Run | str:
    """The same, with changes as they are typed: `epochs=30`; of a study `trials=100`.

    Raises:
        OptionError: A word is no option, or its value does not fit.
        RunStateError: This process cannot begin it.
    """
    from jupyter_train.config import tune_options_by_name
    from jupyter_train.config.train import option_values

    run = get_run(word)
    known = tune_options_by_name() if isinstance(run, Study) else None
    return run.resume(**option_values(words, known))


def _carry_out(
    config: TrainConfig,
    build: Callable[[TrainConfig], tuple[Any, Any]],
    panel: LivePanel | None,
    ckpt_path: str | None,
    begun: list[RunRecord],
) -> Done:
    """Trains; `begun` gets the run as soon as it is recorded."""
    from jupyter_train.execution.job import Job
    from jupyter_train.execution.place import carry_out
    from jupyter_train.notebook.provenance import notebook_path, parent_run, provenance

    store = _store()

    def on_start(record: RunRecord, _writer: RunWriter | None) -> None:
        begun.append(record)
        if panel is not None and config.detach:
            panel.follow_elsewhere(store, record)
        elif panel is not None:
            panel.follow(store, record.key)

    job = Job(
        config,
        build,
        notebook_path(),
        parent_run(),
        {**provenance(config.record), "cell": cell_id()},
        on_start,
        ckpt_path,
    )
    return carry_out(store, job)


def _store() -> Store:
    """The store; its database library is imported here, after the panel's first word."""
    from jupyter_train.store import open_store

    return open_store()


# -- runs --------------------------------------------------------------------------------------------


def runs(limit: int = 50) -> RunTable:
    """The newest runs of the store.

    Args:
        limit: At most so many.

    Raises:
        UsageError: It is no number of runs that a table could show.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= _MOST_RUNS:
        raise UsageError(f"`limit={shown(limit)}`: expected a whole number from 1 to {_MOST_RUNS:,}")
    store = _store()
    return RunTable(store, store.list_runs(limit))


def get_run(word: str) -> Run:
    """The run meant by a short name (`digits-k3f9`), a code, a name or a key; a trial by `digits-k3f9/17`.

    Raises:
        RunNotFoundError: None is meant.
        AmbiguousRunError: Several are.
    """
    store = _store()
    record = store.find(word)
    return _HANDLES.get(record.kind, Run)(store, record.key)


def attach(word: str) -> Run:
    """The run meant by a word, its panel live here until the run ends.

    Raises:
        RunNotFoundError: None is meant.
        AmbiguousRunError: Several are.
    """
    run = get_run(word)
    if not (run.status.is_live or run.status is RunStatus.QUEUED):
        return run
    if not kernel_id():
        return run.wait()
    panel = LivePanel(screen_here())
    panel.loading(f"attaching to {run.ref} …")
    panel.follow_from_afar(_store(), run.key)
    return Run(_store(), run.key, shown_in=execution_place())


def compare(*words: str | Run) -> Comparison:
    """Runs laid over each other.

    Raises:
        UsageError: Fewer than two runs are named.
    """
    if len(words) < 2:
        raise UsageError("comparing takes two runs or more: `%runs compare A B`")
    store = _store()
    found = [word if isinstance(word, Run) else Run(store, store.find(word).key) for word in words]
    return Comparison(store, found)


def remove(*words: str) -> list[str]:
    """Deletes runs, their folders and events; gives their names.

    A folder that is not the one its run was recorded in is left where it is, with a warning.

    Raises:
        RunStateError: One is alive or another user's; those before it are gone.
    """
    store = _store()
    records = [store.find(word) for word in words]
    for record in records:
        for left in store.delete_run(record.key):
            warnings.warn(left, stacklevel=2)
    return [record.ref for record in records]


def collect_garbage() -> dict[str, int]:
    """Removes what dead runs left behind: temporary files, and rows whose folder is gone.

    Returns:
        `files` removed, `bytes` freed, `rows` removed.
    """
    from jupyter_train.store.trust import remove_leftovers

    store = _store()
    freed = {"files": 0, "bytes": 0, "rows": 0}
    for record in store.list_runs(limit=1_000_000, has_parts=True):
        if store.status_of(record).is_live or record.user != store_user():
            continue
        folder = Path(record.folder)
        if not folder.is_dir():
            store.delete_run(record.key)
            freed["rows"] += 1
            continue
        for size in remove_leftovers(store, record):
            freed["files"] += 1
            freed["bytes"] += size
    return freed


def store_user() -> str:
    """The user whose runs may be changed here."""
    from jupyter_train.store.locations import user_name

    return user_name()


# -- repeating ---------------------------------------------------------------------------------------


def retrain(
    notebook: str | Path, parameters: Mapping[str, Any] | None = None, output: str | Path = "", **more: Any
) -> Run:
    """Repeats a notebook with papermill, recorded; the same as `%retrain`.

    Args:
        notebook: Path of the notebook; never written.
        parameters: Values by name for its `parameters` cell.
        output: Path of the executed copy, or a URL that papermill writes to; in the run's folder if empty.
        **more: `kernel`, `timeout_s`, `html`.

    Raises:
        ParameterError: A name or value could carry code, or the notebook has no such parameter.
        NotebookError: The file is no notebook, its kernel is not here, or the output cannot be written.
        CellFailedError: A cell failed; the output notebook is saved up to there.
        RepeatFailedError: It was begun, and could not be executed to its end.
        TrainingInterrupted: An Interrupt or a SIGTERM ended it; the output notebook is saved up to there.
    """
    from jupyter_train.notebook.retrain import repeat

    try:
        config = RetrainConfig(str(notebook), dict(parameters or {}), str(output), **more)
    except TypeError as err:
        raise OptionError(f"`retrain`: {err}") from None
    store = _store()
    begun: list[RunRecord] = []
    try:
        return Run(store, repeat(store, config, begun.append).key)
    except BaseException as err:
        ended(err, Run(store, begun[-1].key) if begun else None)
        raise


__all__ = [
    "Expression", "JupyterTrainError", "ModelError", "attach", "collect_garbage", "compare", "get_run", "remove",
    "resume", "resume_as_typed", "retrain", "runs", "start", "train", "train_cli_file",
]  # fmt: skip
