"""`tune()`: what is refused before a study is recorded, and a study launched again with its model and data."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from jupyter_train import runs
from jupyter_train.api.tune import SearchLauncher, run_search, tune
from jupyter_train.config import TuneConfig
from jupyter_train.exceptions import JupyterTrainError, OptionError, StudyError
from jupyter_train.handle.failure import take_run
from jupyter_train.tuning.search_spec import SearchSpec
from jupyter_train.tuning.trial_spec import ModelFactory, TrialSpec
from tests.models import DigitsData, LitDigits, digits

pytestmark = pytest.mark.filterwarnings("ignore")
USUAL = {"trials": 1, "maximize": "val_acc", "epochs": 1, "seed": 3, "quiet": True, "prune": "none"}
SPACE = {"lr": "1e-3..1e-1:log"}


def needs(width: int, lr: float) -> LitDigits:
    return LitDigits(width, lr)


REFUSED = {
    "no model": ((3,), {}, "3 is no model; give a LightningModule class, a function that makes one, or one"),
    "an object whose class takes a name": ((LitDigits(),), {"space": {"hidden": [8, 16]}}, "write `LitDigits(hidden="),
    "a parameter that is not searched": ((needs,), {}, "`needs` needs `width`; search it, or fix it: `width=VALUE`"),
    "a name that nothing takes": ((LitDigits,), {"space": {"zork": [1, 2]}}, "`zork` is searched but not used"),
    "an optimizer that takes the rate's place": ((LitDigits,), {"optimizer": "sgd"}, "and search `lr`, which the opt"),
    "data that makes its batches": (
        (LitDigits, DigitsData(64)),
        {"space": {"batch_size": [16, 32]}},
        "`batch_size` is searched but has no effect",
    ),
    "several devices": ((LitDigits,), {"devices": 2, "accelerator": "cpu"}, "`--parallel N` trains several trials"),
    "a study that is not there": ((LitDigits,), {"resume": "nothing-k3f9"}, "no run is called"),
    "a class as data": ((LitDigits, DigitsData), {}, "`DigitsData` is a class"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_searched_is_refused_and_nothing_is_recorded(case: str) -> None:
    given, more, words = REFUSED[case]
    model, data = given if len(given) == 2 else (*given, digits(64))
    random = torch.get_rng_state()
    with pytest.raises(JupyterTrainError) as caught:
        tune(model, data, **{"space": SPACE, **USUAL, **more})
    assert words in str(caught.value)
    assert len(runs()) == 0
    assert torch.equal(torch.get_rng_state(), random)


def plan(model: Any = LitDigits, **options: Any) -> TrialSpec:
    return TrialSpec(TuneConfig.of({**USUAL, **options}, SPACE), ModelFactory(model), digits(64), {}, name="digits")


def test_a_study_is_launched_again_with_some_options_changed(store) -> None:
    launcher = SearchLauncher(store, SearchSpec(plan()))
    study = launcher.launch()
    assert len(study.trials) == 1
    again = launcher.relaunch({"resume": study.key, "trials": 2})
    assert (again.key, len(again.trials), again.record.attempt) == (study.key, 2, 2)
    assert launcher.spec.plan.config.trials == 1
    with pytest.raises(StudyError, match="searched something else"):
        launcher.relaunch({"resume": study.key, "seed": 4})


def test_the_study_of_an_error_is_attached_to_it(store) -> None:
    class Fails(LitDigits):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            raise ValueError("no")

    with pytest.raises(StudyError) as caught:
        run_search(store, SearchSpec(plan(Fails, max_failures=1)))
    study = take_run(caught.value)
    assert study is not None
    assert (study.status, study.record.kind) == ("failed", "tune")
    with pytest.raises(OptionError) as refused:
        run_search(store, SearchSpec(plan(sampler="tpe:group=true")))
    assert take_run(refused.value) is None
