"""What goes wrong beside the fit ends the run, and nothing writes afterwards."""

from __future__ import annotations

import threading

import pytest

from jupyter_train import runs, train
from jupyter_train.exceptions import StoreError
from jupyter_train.execution import run_attempt
from tests.models import LitDigits, digits


@pytest.mark.parametrize("where", ["sharing_warning", "start_mirror", "_fit"])
def test_a_run_whose_beginning_fails_has_failed(own_store, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    def fails(*_: object, **__: object) -> None:
        raise StoreError("the run store does not answer")

    before = threading.enumerate()
    monkeypatch.setattr(run_attempt.trust if where == "sharing_warning" else run_attempt, where, fails)
    with pytest.raises(StoreError, match="does not answer"):
        train(LitDigits(), digits(64), epochs=1, quiet=True, wandb=True)
    [run] = runs()
    assert (run.record.status, run.record.message) == (
        "failed",
        "the run store does not answer",
    )
    made = [thread for thread in threading.enumerate() if thread not in before]
    assert not [thread for thread in made if thread.name == "jupyter_train writer"]
