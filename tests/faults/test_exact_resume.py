"""Killed and resumed runs end as unbroken ones: same weights, optimizer states and rows, bit for bit."""

from __future__ import annotations

import random

import pytest

from tests.faults.subjects import SUBJECTS
from tests.faults.training import differences, killed, resumed, whole

pytestmark = [pytest.mark.timeout(600)]


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_killed_run_goes_on_exactly(name: str) -> None:
    expected = whole(name)
    dice = random.Random(name)
    for _ in range(2):
        run = killed(name, "step", dice.randrange(2, SUBJECTS[name].steps), dice.choice([0.0, 0.5]))
        found = resumed(name, run)
        assert differences(found, expected) == []
        assert not [words for words in found["verified"] if words.startswith("diverged")]
