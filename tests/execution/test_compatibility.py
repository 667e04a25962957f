"""Whether a model can be resumed from a checkpoint: what is refused, and what is only said."""

from __future__ import annotations

from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from jupyter_train.config import TrainConfig
from jupyter_train.exceptions import ChangedError, RunStateError
from jupyter_train.execution.compatibility import check_fits, hyperparameters_changed
from jupyter_train.execution.preparation import PreparedRun, prepare
from jupyter_train.execution.run_spec import RunSpec
from jupyter_train.run import RunRecord
from tests.models import LitDigits, digits


def config(**options: Any) -> TrainConfig:
    return TrainConfig.of({"epochs": 3, **options})


def prepared(model: pl.LightningModule, data: Any = None) -> PreparedRun:
    return prepare(RunSpec(config=config()), lambda _config: (model, digits(64) if data is None else data))


def record(hyperparameters: dict[str, Any] | None = None, **recorded: Any) -> RunRecord:
    summary = {"hyperparameters": hyperparameters or {}}
    return RunRecord(key="k", name="digits", code="k3f9", config={"epochs": 3, **recorded}, summary=summary)


def content(model: pl.LightningModule, epoch: int = 1) -> dict[str, Any]:
    return {"state_dict": model.state_dict(), "epoch": epoch}


def test_the_same_model_can_be_resumed() -> None:
    check_fits(record(), content(LitDigits()), config(), prepared(LitDigits()))


def test_weights_of_another_shape_are_named() -> None:
    with pytest.raises(ChangedError) as caught:
        check_fits(record(), content(LitDigits(hidden=8)), config(), prepared(LitDigits(hidden=16)))
    said = str(caught.value)
    assert "`digits-k3f9` has weights of another model: `net.0.weight` was (8, 64) and is (16, 64)" in said
    assert "`net.3.weight` was (10, 8) and is (10, 16); build it as it was" in said


def test_of_many_shapes_the_others_are_counted() -> None:
    def model(width: int) -> pl.LightningModule:
        module = LitDigits()
        module.more = torch.nn.ModuleList(torch.nn.Linear(width, width) for _ in range(3))
        return module

    with pytest.raises(ChangedError, match="and 3 more; build it"):
        check_fits(record(), content(model(2)), config(), prepared(model(3)))


def test_a_model_that_may_get_its_layers_later_is_not_judged() -> None:
    class Late(LitDigits):
        def configure_model(self) -> None:
            """Layers may come here."""

    check_fits(record(), content(LitDigits(hidden=8)), config(), prepared(Late()))


@pytest.mark.parametrize(("epochs", "done", "is_refused"), [(5, 4, False), (5, 5, False), (2, 4, True), (3, 9, False)])
def test_a_length_that_is_passed_already_is_refused(epochs: int, done: int, is_refused: bool) -> None:
    given = (record(), content(LitDigits(), done), config(epochs=epochs), prepared(LitDigits()))
    if is_refused:
        with pytest.raises(RunStateError, match="`digits-k3f9` has trained 4 epochs: give `--epochs 4` or more"):
            check_fits(*given)
    else:
        check_fits(*given)


def test_hyperparameters_that_changed_are_said_and_the_run_is_resumed() -> None:
    before = record({"hidden": 8, "lr": 0.003, "gone": 1})
    [words] = hyperparameters_changed(before, prepared(LitDigits(hidden=16)))
    assert words.startswith("hyperparameters have changed: `hidden` was `8` and is `16`; weights and the optimizer's")
    assert hyperparameters_changed(record({"hidden": 16, "lr": 0.003}), prepared(LitDigits(hidden=16))) == []


def test_objects_among_hyperparameters_are_not_compared() -> None:
    class Odd(LitDigits):
        def __init__(self, act: Any = torch.relu) -> None:
            super().__init__()
            self.save_hyperparameters({"act": act, "hidden": 16})

    assert hyperparameters_changed(record({"act": "<another function>", "hidden": 16}), prepared(Odd())) == []
