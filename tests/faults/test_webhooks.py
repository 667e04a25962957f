"""Whom a run tells how it ended: odd targets are refused, odd answers are said, and nothing of an address is shown."""

from __future__ import annotations

import pytest

from jupyter_train import runs, train
from jupyter_train.exceptions import OptionError
from jupyter_train.execution import notify
from tests.execution.test_notify import ODD, far
from tests.models import LitDigits, digits

__all__ = ["far"]
pytestmark = [pytest.mark.filterwarnings("ignore::UserWarning"), pytest.mark.timeout(120)]


def test_odd_targets_are_refused_before_anything_is_recorded(tally) -> None:
    for target in tally.trials("an odd target of --notify", ODD):
        with pytest.raises(OptionError) as caught:
            train(lambda: LitDigits(), lambda: digits(64), epochs=1, quiet=True, notify=target)
        assert str(caught.value).startswith("`--notify …`: expected")
        assert ODD[target] in str(caught.value)
        assert len(runs()) == 0


def test_whatever_a_far_end_answers_the_run_has_finished_and_says_so(tally, far, monkeypatch) -> None:
    monkeypatch.setattr(notify, "_TIMEOUT_S", 0.6)
    url, asked = far
    for way in tally.trials("a webhook that answers oddly", ["redirect", "garbage", "nothing", "drip"]):
        run = train(lambda: LitDigits(), lambda: digits(64), epochs=1, quiet=True, notify=f"{url}/{way}/s3cret")
        assert run.status == "finished"
        assert asked[-1] == f"/{way}/s3cret"
        told = [event.text for event in run.events if "could not notify" in event.text]
        assert len(told) == 1, way
        shown = [*(event.text for event in run.events), run.log, repr(run), repr(run.config), repr(run.provenance)]
        assert not any("s3cret" in text for text in shown), way
