"""`TrialRun`: the run of a trial, which can rebuild its model; `BestTrial`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from jupyter_train.execution.preparation import prepare
from jupyter_train.execution.run_spec import RunSpec
from jupyter_train.handle.run import Run
from jupyter_train.store.text_columns import without_codes
from jupyter_train.tuning.parameter_json import unpacked

if TYPE_CHECKING:
    import optuna
    import torch

    from jupyter_train.store import Store
    from jupyter_train.tuning.trial_spec import TrialSpec

_Module = TypeVar("_Module", bound="torch.nn.Module")


class TrialRun(Run):
    """The run of a trial. In the kernel that searched, it rebuilds the trial's model and data.

    Args:
        store: Where it is recorded.
        key: Its key.
        plan: How the search builds its trials; None in another kernel.
    """

    def __init__(self, store: Store, key: str, plan: TrialSpec | None) -> None:
        super().__init__(store, key)
        self._plan = plan

    @property
    def params(self) -> dict[str, Any]:
        """Its parameters, by searched name."""
        return unpacked(self.config)

    def load_into(self, model: _Module, which: str = "best") -> _Module:
        """Loads its weights into a model, in place, and returns the model; a trial keeps its best epoch only.

        Args:
            model: The model to load into.
            which: `best`.

        Raises:
            ModelError: The weights do not fit.
            RunStateError: It has no checkpoint: only the best trials of a search keep one.
        """
        return super().load_into(model, which)

    def _module_for(self, into: torch.nn.Module | None) -> Any:
        if into is None:
            self._prepare()
        return super()._module_for(into)

    def _example(self) -> object:
        self._prepare()
        return super()._example()

    def _prepare(self) -> None:
        """Builds the trial's model and loaders, unless built already or in another kernel."""
        if self._module is not None or self._plan is None:
            return
        from jupyter_train.training.state import seeds

        plan, params = self._plan, self.params
        kernel_state = seeds.KernelRandomState()
        try:
            prepared = prepare(
                RunSpec(config=plan.trial_config(params)), lambda _config: (plan.build(params), plan.data)
            )
        finally:
            kernel_state.restore()
        self._module, self._source = prepared.module, prepared.source


class BestTrial:
    """The best trial of a study.

    Attributes:
        number: Its number in the study.
        params: Its values.
        value: Its objective; the first where there are several.
        run: Its run.
    """

    def __init__(self, trial: optuna.trial.FrozenTrial, run: TrialRun, study: str) -> None:
        self._study = study
        self.number = trial.number
        self.params: dict[str, Any] = run.params or dict(trial.params)
        self.value = float(trial.values[0])
        self.run = run

    def model(self, into: torch.nn.Module | None = None) -> torch.nn.Module:
        """A model with the best weights of the trial, in eval mode.

        Args:
            into: A model to load them into; required in a kernel that did not search.

        Raises:
            ModelError: This kernel has no model of the trial.
        """
        return self.run.model(into).eval()

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={_value_text(value)}" for name, value in self.params.items())
        return without_codes(f"trial {self.number} of {self._study}: {self.value:.4g} with {values}")


def _value_text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
