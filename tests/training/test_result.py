"""How a run ended, and what of it is left in this process."""

from __future__ import annotations

import pytest

from jupyter_train.run import RunRecord, RunStatus
from jupyter_train.training.result import RunResult


def test_a_result_has_the_row_of_its_run_once_there_is_one() -> None:
    result = RunResult(status=RunStatus.FAILED, message="ValueError: x", error=ValueError("x"))
    with pytest.raises(AssertionError):
        _ = result.recorded
    result.record = RunRecord(key="k", name="digits", code="k3f9")
    assert result.recorded.ref == "digits-k3f9"
    assert (result.trainer, result.module, result.source) == (None, None, None)
