"""Every case ends the same with both loops: weights, optimizer, hooks with their arguments, metrics at every hook."""

from __future__ import annotations

from functools import partial

import pytest
from pytorch_lightning import callbacks as cb

from tests.parity import models as m
from tests.parity.both_ways import carry_out, differences
from tests.parity.cases import CASES, Case

pytestmark = [pytest.mark.filterwarnings("ignore")]


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 60


@pytest.mark.parametrize("is_lean", [True, False])
@pytest.mark.parametrize("saved_by_lean", [True, False])
@pytest.mark.parametrize("model", [m.Normed, m.EverySecondStep, m.LogsAll])
def test_a_checkpoint_of_one_loop_resumes_with_either(model, saved_by_lean: bool, is_lean: bool, tmp_path) -> None:
    """In the middle of an epoch; both are compared with Lightning's own loop from Lightning's own checkpoint."""
    saves = lambda folder: [cb.ModelCheckpoint(folder, filename="at", every_n_train_steps=8, save_top_k=-1)]  # noqa: E731
    for name, is_saved_by_lean in (("theirs", False), ("given", saved_by_lean)):
        folder = tmp_path / name
        case = Case(model, options={"max_steps": 8, "enable_checkpointing": True}, callbacks=partial(saves, folder))
        carry_out(case, is_saved_by_lean)
    expected = carry_out(Case(model, resumes=str(tmp_path / "theirs" / "at.ckpt")), False)
    found = carry_out(Case(model, resumes=str(tmp_path / "given" / "at.ckpt")), is_lean)
    assert differences(expected, found) == []


@pytest.mark.parametrize("watched", ["", "callbacks", "all"])
@pytest.mark.parametrize("name", CASES)
def test_both_loops_do_the_same(name: str, watched: str) -> None:
    case = CASES[name]
    lean = carry_out(case, True, watched)
    assert differences(carry_out(case, False, watched), lean) == []
    assert lean["why"][0] == (case.own_loop or None)
