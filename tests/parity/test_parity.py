"""Every case ends the same with both loops: weights, optimizer, hooks with their arguments, metrics at every hook."""

from __future__ import annotations

import pytest

from tests.parity.both_ways import carry_out, differences
from tests.parity.cases import CASES

pytestmark = [pytest.mark.filterwarnings("ignore")]


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 60


@pytest.mark.parametrize("watched", ["", "callbacks", "all"])
@pytest.mark.parametrize("name", CASES)
def test_both_loops_do_the_same(name: str, watched: str) -> None:
    case = CASES[name]
    lean = carry_out(case, True, watched)
    assert differences(carry_out(case, False, watched), lean) == []
    assert lean["why"][0] == (case.own_loop or None)
