"""`train()`: from a model, data and options to a run, its panel live meanwhile."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

from jupyter_train.api.panel_observer import PanelObserver
from jupyter_train.api.runs import HANDLES, opened_store
from jupyter_train.config import TrainConfig, signature_of_train
from jupyter_train.config.options import ArgumentUse
from jupyter_train.config.trainer_arguments import arguments_used, ignored_in_cli_file
from jupyter_train.execution.dry_run import dry_run
from jupyter_train.execution.launcher import launch_run
from jupyter_train.execution.run_spec import RunSpec, changed
from jupyter_train.execution.start_point import completed
from jupyter_train.handle import Run, current_cell_execution
from jupyter_train.handle.failure import attach_run
from jupyter_train.notebook.provenance import notebook_path, parent_run, provenance
from jupyter_train.panel.display import cell_id, current_display
from jupyter_train.panel.live import LivePanel

if TYPE_CHECKING:
    import pytorch_lightning as pl

    from jupyter_train.execution.run_spec import Build, RunSpec
    from jupyter_train.run import RunRecord
    from jupyter_train.training.data.data_source import DataSource


@dataclass(frozen=True)
class Expression:
    """A typed expression, evaluated after the seed is set."""

    text: str
    evaluate: Callable[[], Any]


def train(model: Any, data: Any = None, **options: Any) -> Run:
    """Trains a model and returns its `Run`; the same as `%train`.

    Everything is seeded twice: before the functions given are called, and again right before the fit, so that what
    building draws does not matter. A stock script gives the same weights where it does so too::

        from jupyter_train.training.order import in_order, order_seed

        pl.seed_everything(7, workers=True)
        model, loader = LitDigits(), DataLoader(rows, batch_size=32, shuffle=True)
        pl.seed_everything(7, workers=True)
        trainer = pl.Trainer(max_epochs=2, devices=1)
        trainer.fit(model, in_order(loader, order_seed(7)))

    Args:
        model: A LightningModule, a plain nn.Module with `loss=`, or a function without arguments that builds
            one, called after the seed is set.
        data: A LightningDataModule, DataLoader, Dataset, `(train, validation[, test])` of those; `(X, y)` or
            `(X, y, weights)` of arrays, lists, frames or scipy matrices, a DataFrame with `target=`, tuples of these
            with validation rows of their own, a Bunch of scikit-learn; a list or dict of loaders, combined as
            Lightning does; or a function returning one of these; None for a model with loaders of its own.
        **options: Every option of `%train` and every argument of `pl.Trainer`, by name.

    Raises:
        UsageError: Model, data or options do not fit; nothing was recorded.
        TrainingInterrupted: The kernel's Interrupt ended it; the run is kept.
    """
    __tracebackhide__ = True  # a failure in the user's code is shown without frames of this package
    expressions = options.pop("expressions", {})
    config = TrainConfig.of(_completed(options), expressions)
    return start(config, lambda _config: (_build(model), _build(data)))


train.__signature__ = signature_of_train()  # type: ignore[attr-defined]


def _completed(options: dict[str, Any]) -> dict[str, Any]:
    """The options, completed from the record of the run that is resumed or forked.

    Raises:
        RunNotFoundError: There is no such run.
    """
    word = options.get("resume") or options.get("fork")
    if not word:
        return options

    return completed(opened_store().find(str(word)), options)


def _build(source: Any) -> Any:
    if isinstance(source, Expression):
        return source.evaluate()
    if inspect.isfunction(source) or inspect.ismethod(source):
        return source()
    return source


def train_cli_file(
    content: Mapping[str, Any],
    model_class: type[Any] | None = None,
    data_class: type[Any] | None = None,
    **options: Any,
) -> Run:
    """Trains what a LightningCLI file describes.

    Args:
        content: The file as a mapping; a `fit:` root is understood.
        model_class: The class whose arguments `model:` holds, when it names no `class_path`.
        data_class: The same for `data:`.
        **options: Options of `%train`, which win over the file.
    """
    root = content["fit"] if isinstance(content.get("fit"), Mapping) else content
    plain = {k: v for k, v in (root.get("trainer") or {}).items() if isinstance(v, int | float | str | None)}
    plain = {k: v for k, v in plain.items() if k not in ignored_in_cli_file()}
    seed = root.get("seed_everything")
    if isinstance(seed, int) and not isinstance(seed, bool):
        options.setdefault("seed", seed)
    if "epochs" in options:
        plain.pop("max_epochs", None)
    expressions = options.pop("expressions", {})
    config = TrainConfig.of(_completed({**plain, **options}), expressions)

    def build(config: TrainConfig) -> tuple[Any, Any]:
        from jupyter_train.training.cli_config import build_parts

        parts = build_parts(content, model_class, data_class)
        for name in arguments_used(ArgumentUse.REFUSED) | (ignored_in_cli_file() - {"logger"}):  # objects are kept
            parts.trainer.pop(name, None)
        config.trainer = parts.trainer | config.trainer
        return parts.model, parts.datamodule

    return start(config, build, ckpt_path=root.get("ckpt_path"))


def start(config: TrainConfig, build: Build, ckpt_path: str | None = None) -> Run:
    """Trains a run, its panel live meanwhile: in this process, or with `detach` in one of its own."""
    __tracebackhide__ = True
    return TrainLauncher(config, build, ckpt_path).launch()


@dataclass(frozen=True)
class TrainLauncher:
    """Trains the model and data of one call: the first time, and again with some options changed.

    Attributes:
        config: Checked options.
        build: Gives model and data.
        ckpt_path: A Lightning checkpoint to start from.
    """

    config: TrainConfig
    build: Build
    ckpt_path: str | None = None

    def launch(self) -> Run:
        """Trains, its panel live meanwhile.

        Raises:
            JupyterTrainError: Something does not fit, or the fit failed.
        """
        __tracebackhide__ = True
        if self.config.explain or self.config.tune_loader:
            explanation: Run = dry_run(self.config, self.build)  # text in place of a run
            return explanation
        panel = None if self.config.quiet else LivePanel(current_display())
        if panel is not None:
            panel.loading("loading torch …")
        shown_in = None if self.config.quiet else current_cell_execution()
        observer = None
        try:
            store = opened_store()
            observer = PanelObserver(store, panel, self.config.detach)
            result = launch_run(store, self._spec(), self.build, observer)
        except BaseException as err:
            record = observer.record if observer is not None else None
            attach_run(err, self._handle(record, shown_in) if record is not None else None)
            raise
        finally:
            if panel is not None:
                panel.finish()  # a panel of a detached run ends with its run
        run = self._handle(result.recorded, shown_in, result.module, result.source)
        if result.error is not None:
            error = result.error.with_traceback(_user_traceback(result.error.__traceback__))
            raise attach_run(error, run, is_of_fit=True)
        return run

    def relaunch(self, changes: dict[str, Any]) -> Run:
        """Another attempt, or a fork, with the same model and data.

        Args:
            changes: Options that are others, by name.

        Raises:
            OptionError: A change is no option, or its value does not fit.
        """
        return dataclasses.replace(self, config=changed(self.config, changes)).launch()

    def _spec(self) -> RunSpec:
        """What is requested, with what is known of the notebook and cell it is requested in."""
        return RunSpec(
            config=self.config,
            notebook=notebook_path(),
            parent=parent_run(),
            provenance={**provenance(self.config.record), "cell": cell_id()},
            ckpt_path=self.ckpt_path,
        )

    def _handle(
        self,
        record: RunRecord,
        shown_in: tuple[int, int] | None,
        module: pl.LightningModule | None = None,
        source: DataSource | None = None,
    ) -> Run:
        if record.kind in HANDLES:
            return HANDLES[record.kind](opened_store(), record.key, shown_in=shown_in, launcher=self)
        return Run(opened_store(), record.key, module, source, shown_in, self)


def _user_traceback(tb: TracebackType | None) -> TracebackType | None:
    """A traceback from its first frame outside this package."""
    while tb is not None and tb.tb_frame.f_globals.get("__name__", "").startswith("jupyter_train."):
        tb = tb.tb_next
    return tb
