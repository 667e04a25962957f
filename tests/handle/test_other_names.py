"""What a run has not is answered with what to write; what is assigned to it is kept or refused."""

from __future__ import annotations

import copy
import inspect
import re

import pytest

from jupyter_train import Study
from jupyter_train.exceptions import RunStateError
from jupyter_train.handle import Run
from jupyter_train.handle.attribute_hints import _RUN_HINTS, _STUDY_HINTS, _SYNONYMS_OF_RUN, _SYNONYMS_OF_STUDY
from jupyter_train.handle.run import _warn_renamed


@pytest.fixture
def run(store) -> Run:
    return Run(store, store.create_run("digits", tags=["nightly"]).key)


ANSWERS = {
    "plot": "Write `run.show()`",
    "history": "Write `run.metrics`",
    "metric": "Did you mean `metrics`?",
    "best_model_path": "Write `run.checkpoint`",
    "best_params": "no `best_params`.",
}


@pytest.mark.parametrize("name", ANSWERS)
def test_what_a_run_has_not_is_answered(run: Run, name: str) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(run, name)
    assert f"a run has no `{name}`." in str(caught.value)
    assert ANSWERS[name] in str(caught.value)
    assert getattr(run, name, "nothing") == "nothing"


def test_a_study_answers_for_a_study(store) -> None:
    study = Study(store, store.create_run("digits", kind="tune").key)
    for name, words in {"best_params": "study.best.params", "plot": "study.show()", "history": "study.trials"}.items():
        with pytest.raises(AttributeError, match=rf"a study has no `{name}`. Write `{re.escape(words)}`"):
            getattr(study, name)


def test_how_it_is_removed_names_the_run(run: Run) -> None:
    with pytest.raises(AttributeError, match=f"Write `%runs rm {run.ref}`"):
        run.delete()


def test_every_answer_is_there(run: Run) -> None:
    assert not [name for name in _RUN_HINTS if hasattr(Run, name) and name not in _STUDY_HINTS]
    assert not [name for name in _STUDY_HINTS if hasattr(Study, name)]
    written = [words.removeprefix("run.") for words in _SYNONYMS_OF_RUN if words.startswith("run.")]
    assert not [words for words in written if not hasattr(Run, re.split(r"\W", words)[0])]
    assert not [
        words for words in _SYNONYMS_OF_STUDY if not hasattr(Study, re.split(r"\W", words.removeprefix("study."))[0])
    ]


def test_what_is_assigned_is_kept_or_refused(run: Run) -> None:
    run.notes = "the first"
    assert run.notes == "the first"
    with pytest.raises(AttributeError, match=r"a run keeps no `note`. Write `run.notes`"):
        run.note = "lost"
    with pytest.raises(AttributeError, match="status"):
        run.status = "finished"
    assert run.tags == ["nightly"]
    assert copy.copy(run) == run


def test_an_error_inside_a_property_keeps_its_own_words(store) -> None:
    class Broken(Run):
        @property
        def broken(self) -> int:
            return [].nothing  # type: ignore[attr-defined]

    with pytest.raises(AttributeError, match="'list' object has no attribute 'nothing'"):
        _ = Broken(store, store.create_run("digits").key).broken


def _stop_twice(run: Run) -> None:
    run.tell("stop")
    assert run.status == "stopped"
    with pytest.raises(RunStateError):
        run.tell("stop")


def test_the_former_name_of_send_still_sends_and_says_so_once(run: Run) -> None:
    _warn_renamed.cache_clear()
    with pytest.warns(FutureWarning, match=r"`run.tell\(...\)` is now `run.send\(...\)`") as noted:
        _stop_twice(run)
    assert [warning.filename for warning in noted] == [__file__]
    assert "Deprecated" in str(inspect.getdoc(Run.tell))
    assert inspect.signature(Run.tell) == inspect.signature(Run.send)
