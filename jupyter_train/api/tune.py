"""`tune()`: from a model, data and a space to a study, with a live panel."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from jupyter_train.api.panel_observer import PanelObserver
from jupyter_train.api.runs import opened_store
from jupyter_train.config import TuneConfig, options_by_name
from jupyter_train.config.lightning_packages import refuse_other_lightning
from jupyter_train.config.options import Scope
from jupyter_train.config.tune_options import tune_options
from jupyter_train.exceptions import DataError, ModelError, OptionError
from jupyter_train.execution.preparation import prepare
from jupyter_train.execution.run_spec import RunSpec
from jupyter_train.handle import current_cell_execution
from jupyter_train.handle.failure import attach_run
from jupyter_train.handle.study import Study
from jupyter_train.notebook.provenance import notebook_path, parent_run
from jupyter_train.panel.display import current_display
from jupyter_train.panel.live import LivePanel
from jupyter_train.tuning.trial_spec import (
    ModelArguments,
    ModelCopier,
    ModelExpression,
    ModelFactory,
    TrialSpec,
    corners,
    option_called,
    roles,
    taken_by,
)

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from jupyter_train.run import RunRecord
    from jupyter_train.store import Store
    from jupyter_train.tuning.search_spec import SearchSpec
    from jupyter_train.tuning.trial_spec import TrialSpec


def tune(
    model: Any,
    data: Any = None,
    *,
    space: Mapping[str, Any] | Callable[[Any], Mapping[str, Any]] | None = None,
    constraints: Callable[[FrozenTrial], Sequence[float]] | None = None,
    **options: Any,
) -> Study:
    """Searches for the values that train a model best, and returns the `Study`; the same as `%tune`.

    Args:
        model: A LightningModule class, or a function that makes a model: called with the searched values it takes by
            name. A model that takes none is copied for every trial.
        data: As for `train`, or a function giving it; loaded once.
        space: The search space, by name: text such as `"1e-4..1e-1:log"`, `"1..4"` or `"relu|gelu"`, or a list of
            choices. A name that the model does not take is an option of `train` (`batch_size`,
            `trainer.gradient_clip_val`). Or a function of Optuna's trial that gives the values, for a space that
            depends on itself.
        constraints: Gives, for one of Optuna's frozen trials, numbers that are above zero where something is not
            allowed.
        **options: `trials`, `timeout`, `maximize`, `minimize` and the other options of `%tune`; any option of `train`
            for every trial.

    Raises:
        UsageError: Model, data, space or options do not fit; nothing was recorded.
        StudyError: Every trial failed the same way, or the study cannot be resumed.
        TrainingInterrupted: The kernel's Interrupt ended it; the study can be resumed.
    """
    __tracebackhide__ = True
    expressions = options.pop("expressions", {})
    fixed_space: Mapping[str, Any] = {} if space is None or callable(space) else space
    store = opened_store()
    if options.get("resume"):
        options, fixed_space = _completed(store, options, fixed_space)
    config = TuneConfig.of(options, fixed_space, expressions, is_open=callable(space))
    from jupyter_train.tuning.search_spec import SearchSpec

    plan = _trial_spec(config, model, data)
    return run_search(store, SearchSpec(plan, parent_run(), space if callable(space) else None, constraints))


def _completed(
    store: Store, options: dict[str, Any], space: Mapping[str, Any]
) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """Options and space, completed from the record of the study that is resumed.

    Raises:
        RunNotFoundError: There is no such study.
    """
    from jupyter_train.tuning.search import study_record

    recorded = study_record(store, str(options["resume"])).config
    lasting = [option.name for option in tune_options() if option.scope is Scope.RUN]
    kept = {name: recorded[name] for name in lasting if name in recorded and name not in options}
    if "maximize" in options or "minimize" in options:
        kept = {name: value for name, value in kept.items() if name not in ("maximize", "minimize")}
    plain = {
        name: value
        for name, value in recorded.get("train", {}).items()
        if name not in options and isinstance(value, int | float | str | bool | None)
    }
    return {**plain, **kept, **options}, space or recorded.get("space", {})


def _trial_spec(config: TuneConfig, model: object, data: object) -> TrialSpec:
    from jupyter_train.training.data.loaders import refuse_class
    from jupyter_train.training.state import seeds

    refuse_other_lightning(model, "the model", ModelError)
    refuse_other_lightning(data, "the data", DataError)
    config.seed = seeds.draw_seed() if config.seed is None else config.seed
    maker: Callable[[Mapping[str, Any]], Any]
    if isinstance(model, ModelExpression):
        maker, takes, model_text = model, ModelArguments(model.searched), f"`{model.text}`"
    elif inspect.isclass(model) or inspect.isroutine(model):
        maker, takes, model_text = ModelFactory(model), taken_by(model), f"`{model.__name__}`"
    else:
        maker, takes, model_text = ModelCopier(model), ModelArguments(), "the model"
        if not hasattr(model, "parameters"):
            raise ModelError(f"{model!r} is no model; give a LightningModule class, a function that makes one, or one")
    _check_parameters_searched(maker, config)
    _check_not_built(model, maker, config)
    options = roles(config.space, takes, model_text, model if isinstance(model, ModelExpression) else None)
    if takes != ModelArguments():
        config.expressions.setdefault("model", model_text.strip("`"))
    refuse_class(data)
    built = data() if inspect.isroutine(data) else data
    name = config.name or model_text.strip("`").partition("(")[0].rpartition(".")[2]
    plan = TrialSpec(config, maker, built, options, name=name, notebook=notebook_path())
    _check_arguments(plan)
    _check_effect(plan)
    _check_fit(plan)
    return plan


def _check_fit(plan: TrialSpec) -> None:
    """Raises for a searched option that does not fit model or data, before anything is recorded.

    Raises:
        JupyterTrainError: The error of a run with it.
    """
    from jupyter_train.training.state import seeds

    values = {name: corners(space) for name, space in plan.config.space.items()}
    known = options_by_name()
    typical = {name: corner_values[0] for name, corner_values in values.items()}
    checked = [(name, option) for name, option in plan.options.items() if known[option].checked_before_search]
    candidates = [
        {**typical, name: value} for name, option in checked for value in values[name][: 1 if option == "lr" else None]
    ]
    kernel_state = seeds.KernelRandomState()
    try:
        for params in candidates:
            spec = RunSpec(config=plan.trial_config(params), notebook=plan.notebook)
            prepare(spec, partial(_build_trial, plan, params))
    finally:
        kernel_state.restore()


def _build_trial(plan: TrialSpec, params: Mapping[str, Any], _config: object) -> tuple[Any, Any]:
    return plan.build(params), plan.data


def _check_effect(plan: TrialSpec) -> None:
    """Raises for a searched option without effect.

    Raises:
        OptionError: The data makes its own batches, or `--optimizer` replaces the model's rate.
    """
    from jupyter_train.training.inspection.ineffective_options import describe_batch_maker, uses_batch_size

    optimizer = plan.config.train.get("optimizer")
    for name in ("lr", "learning_rate"):
        is_replaced = optimizer is not None or "optimizer" in plan.options.values()
        if name in plan.config.space and name not in plan.options and is_replaced and "lr" not in plan.config.train:
            raise OptionError(
                f"`{name}` is searched but has no effect: `--optimizer` takes the place of `configure_optimizers`; "
                f"take `{name}` out of the model, as in `Net()`, and search `lr`, which the optimizer gets"
            )
    for name, option in plan.options.items():
        if option == "batch_size" and not uses_batch_size(plan.data):
            raise OptionError(
                f"`{name}` is searched but has no effect: {describe_batch_maker(plan.data)}; give `(X, y)`, a "
                "DataFrame or a Dataset"
            )


def _check_arguments(plan: TrialSpec) -> None:
    """Raises for options that no trial can be trained with, before anything is recorded.

    Raises:
        OptionError: `pl.Trainer` refuses them, or they need several devices.
    """
    from jupyter_train.training.trainer import check_arguments

    typical = {name: corners(plan.config.space[name])[0] for name in plan.options}
    for name in plan.options:
        for value in corners(plan.config.space[name]):
            plan.trial_config({**typical, name: value})
    if check_arguments(plan.usual_config()) > 1:
        raise OptionError("a trial trains on one device; `--parallel N` trains several trials at once")


def _check_not_built(model: object, maker: object, config: TuneConfig) -> None:
    """Raises for a model instance whose class takes a searched name.

    Raises:
        OptionError: The class takes one.
    """
    if not isinstance(maker, ModelCopier):
        return
    names = taken_by(type(model)).names
    unused = [name for name in config.space if name in names and option_called(name) is None]
    if unused:
        call = f"{type(model).__name__}({', '.join(f'{name}={name}' for name in config.space if name in names)})"
        raise OptionError(f"`{unused[0]}` is searched but not used: the model is made already; write `{call}`")


def _check_parameters_searched(maker: object, config: TuneConfig) -> None:
    """Raises where the space lacks a parameter of the model function.

    Raises:
        OptionError: A parameter without a default is not searched.
    """
    function = getattr(maker, "maker", None)
    if function is None or not config.space:
        return
    for parameter in inspect.signature(function).parameters.values():
        is_needed = parameter.default is parameter.empty and parameter.kind in (
            parameter.POSITIONAL_OR_KEYWORD,
            parameter.KEYWORD_ONLY,
        )
        if is_needed and parameter.name not in config.space:
            raise OptionError(
                f"`{function.__name__}` needs `{parameter.name}`; search it, or fix it: `{parameter.name}=VALUE`"
            )


def run_search(store: Store, spec: SearchSpec) -> Study:
    """Searches, its panel live meanwhile."""
    __tracebackhide__ = True
    return SearchLauncher(store, spec).launch()


@dataclass(frozen=True)
class SearchLauncher:
    """Searches with the model and data of one call: the first time, and again with some options changed.

    Attributes:
        store: Where the study is recorded.
        spec: What is searched.
    """

    store: Store
    spec: SearchSpec

    def launch(self) -> Study:
        """Searches, its panel live meanwhile.

        Raises:
            StudyError: It cannot be resumed, or every trial failed the same way.
        """
        __tracebackhide__ = True
        from jupyter_train.tuning.detached import launch
        from jupyter_train.tuning.search import search

        config = self.spec.plan.config
        panel = None if config.quiet else LivePanel(current_display())
        if panel is not None:
            panel.loading("loading torch …")
        observer = self.spec.observer = PanelObserver(self.store, panel, config.detach)
        try:
            if config.detach:
                return self._handle(launch(self.store, self.spec).record)
            return self._handle(search(self.store, self.spec))
        except BaseException as err:
            attach_run(err, self._handle(observer.record) if observer.record is not None else None)
            raise
        finally:
            if panel is not None:
                panel.finish()

    def relaunch(self, changes: dict[str, Any]) -> Study:
        """The next attempt at the study, with the same model and data.

        Args:
            changes: Options that are others, by name.
        """
        config = dataclasses.replace(self.spec.plan.config, **changes)
        plan = dataclasses.replace(self.spec.plan, config=config)
        return SearchLauncher(self.store, dataclasses.replace(self.spec, plan=plan)).launch()

    def _handle(self, record: RunRecord) -> Study:
        shown_in = None if self.spec.plan.config.quiet else current_cell_execution()
        return Study(self.store, record.key, self.spec.plan, shown_in, self)
