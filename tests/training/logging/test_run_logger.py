"""What modules log by their own calls: recorded as it was at that moment, or said to be none; nothing else is lost."""

from __future__ import annotations

import warnings
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
import torch

from jupyter_train import train
from tests.models import LitDigits, digits

STEPS = 4


class Logging(LitDigits):
    """Makes a call in its second step, as a method given to it does."""

    def __init__(self, call: Any) -> None:
        super().__init__()
        self.call = call

    def training_step(self, batch, batch_idx):
        if batch_idx == 1:
            self.call(self)
        return super().training_step(batch, batch_idx)


def trained(call: Any) -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Attribute 'call'")  # and no other: nothing is said twice
        return train(Logging(call), digits(STEPS * 32), max_steps=STEPS, epochs=1, seed=1, quiet=True)


def steps_of(run: Any) -> list[int]:
    return run.metrics["train_loss"].dropna().index.tolist()


ODD = {
    "text": ("0.5", "str, not a number"),
    "bytes": (b"1", "bytes, not a number"),
    "vector": (torch.zeros(3), "Tensor of shape (3,), not a number"),
    "array": (np.zeros((2, 2)), "ndarray of shape (2, 2), not a number"),
    "list": ([1, 2], "list, not a number"),
    "complex": (1j, "complex, not a number"),
    "of no kind": (None, "NoneType, not a number"),
    "huge": (10**400, "too large"),
    "shape that is none": (type("Odd", (), {"shape": len})(), "Odd, not a number"),
    "complex tensor": (torch.tensor(1j), "Tensor of shape (), not a number"),
}


@pytest.mark.parametrize("call", ["log_metrics", "experiment.log", "experiment.add_scalar"])
def test_what_is_no_number_is_said_once_and_nothing_else_is_lost(call: str) -> None:
    def log(module: Any) -> None:
        for _ in range(2):
            for name, (value, _words) in ODD.items():
                if call == "log_metrics":
                    module.logger.log_metrics({name: value}, step=1)
                elif call == "experiment.log":
                    module.logger.experiment.log({name: value}, step=1)
                else:
                    module.logger.experiment.add_scalar(name, value, 1)
        module.logger.log_metrics({"after": 2.5}, step=1)

    run = trained(log)
    assert str(run.status) == "finished"
    assert [event.text for event in run.events if event.kind == "warning"] == [
        f"`{name}` is not recorded: at step 1 it is {words}" for name, (_, words) in ODD.items()
    ]
    assert steps_of(run) == list(range(STEPS))
    assert run.metrics["after"].dropna().to_dict() == {1: 2.5}
    assert not set(ODD) & set(run.metrics.columns)


def test_numbers_of_any_kind_are_recorded() -> None:
    values = {"half": np.float16(0.5), "one": torch.ones(1, 1), "flag": True, "exact": Decimal("0.25"), 7: 7}
    run = trained(lambda module: module.logger.log_metrics({**values, "of": {"a": 1, "b": {"c": 2}}}, step=np.int64(2)))
    found = {
        name: run.metrics[name].dropna().to_dict() for name in ("half", "one", "flag", "exact", "7", "of/a", "of/b/c")
    }
    assert found == {
        "half": {2: 0.5},
        "one": {2: 1.0},
        "flag": {2: 1.0},
        "exact": {2: 0.25},
        "7": {2: 7.0},
        "of/a": {2: 1.0},
        "of/b/c": {2: 2.0},
    }


def test_a_value_is_recorded_as_it_was_when_it_was_logged() -> None:
    def log(module: Any) -> None:
        tensor, array, weight = torch.tensor(1.0), np.array(1.0), next(module.parameters()).flatten()[:1]
        seen.append(float(weight.detach()))
        module.logger.log_metrics({"tensor": tensor, "array": array, "weight": weight}, step=1)
        tensor.fill_(9.0)
        array.fill(9.0)

    seen: list[float] = []
    run = trained(log)
    assert [run.metrics[name].dropna().tolist() for name in ("tensor", "array", "weight")] == [[1.0], [1.0], seen]


@pytest.mark.parametrize("step", [1.5, "3", 2**70, float("nan"), [1]])
@pytest.mark.parametrize("call", ["log_metrics", "log_image"])
def test_a_step_that_is_no_whole_number_is_refused_where_it_is_given(call: str, step: Any) -> None:
    def log(module: Any) -> None:
        if call == "log_metrics":
            module.logger.log_metrics({"a": 1.0}, step=step)
        else:
            module.logger.log_image("a", np.zeros((4, 4)), step=step)

    with pytest.raises(ValueError, match=r"a step is (a whole number; .* is none|at most 2\^53; .* is not)"):
        trained(log)


def test_without_a_step_it_is_the_current_one() -> None:
    run = trained(lambda module: module.logger.log_metrics({"a": 1.0}))
    assert run.metrics["a"].dropna().to_dict() == {0: 1.0}  # the last step that was recorded


def test_a_full_disk_costs_a_picture_and_not_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Any, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    def log(module: Any) -> None:
        for _ in range(2):
            module.logger.experiment.add_image("sample", np.zeros((1, 8, 8)), 1)

    monkeypatch.setattr("jupyter_train.training.logging.run_logger.write_atomically", full)
    run = trained(log)
    assert str(run.status) == "finished"
    assert [event.text for event in run.events if event.kind == "warning"] == [
        "`sample` of step 1 is not kept: No space left on device"
    ]


def test_the_users_own_loss_is_taken_without_a_warning() -> None:
    def log(module: Any) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            module.logger.log_metrics({"own": module(torch.zeros(1, 64)).sum()}, step=1)

    assert len(trained(log).metrics["own"].dropna()) == 1


def test_an_object_that_is_no_number_is_left_out() -> None:
    class Broken:
        def __float__(self) -> float:
            raise RuntimeError("no")

    run = trained(lambda module: module.logger.log_metrics({"broken": Broken(), "good": 1.0}, step=1))
    assert [event.text for event in run.events if event.kind == "warning"] == [
        "`broken` is not recorded: at step 1 it is Broken, not a number"
    ]
    assert run.metrics["good"].dropna().tolist() == [1.0]


@pytest.mark.parametrize(("names", "per_s", "is_thinned"), [(10, 200, False), (1, 1500, True)])
def test_thinning_goes_by_steps_and_not_by_calls(names: int, per_s: int, is_thinned: bool) -> None:
    from jupyter_train.training.logging.run_logger import _Stride

    class Writer:
        told: list[str] = []

        def thin(self, stride: int) -> None:
            """Nothing."""

        def event(self, kind: str, *_: Any, **__: Any) -> None:
            self.told.append(kind)

    Writer.told = []
    stride = _Stride(None, Writer())  # type: ignore[arg-type]
    for step in range(1, 4 * per_s):
        for name in range(names):
            stride.keep([(f"m{name}", 1.0)], step, 1000.0 + step / per_s)
    assert ("strided" in Writer.told) is is_thinned
