"""Choices that are nothing, lists, or words with marks in them: drawn, listed, enqueued, kept over a resume."""

from __future__ import annotations

import json

import jsonschema
import pytest

from jupyter_train import get_run, tune
from jupyter_train.config.search_space import Choices, Fixed, parse
from jupyter_train.exceptions import SpaceError, StudyError
from jupyter_train.panel.bundle import MIME_TYPE, bundle
from jupyter_train.panel.snapshot import snapshot
from jupyter_train.tuning.parameter_json import packed, unpacked
from tests.models import LitDigits, digits
from tests.panel.test_bundle import SCHEMA

pytestmark = [pytest.mark.filterwarnings("ignore")]
USUAL = {"epochs": 1, "minimize": "val_loss", "prune": "none", "seed": 1, "quiet": True}
SEEN: list[object] = []

WRITTEN = {
    "none|a": (None, "a"),
    "(16,)|(32, 16)|[8]": ((16,), (32, 16), [8]),
    "'a|b'|'c, d'| e f ": ("a|b", "c, d", "e f"),
    "don't|do": ("don't", "do"),
    "'1'|1": ("1", 1),
    "'none'|none|'true'|true": ("none", None, "true", True),
    "'../x'|'a..b'": ("../x", "a..b"),
    "''|' x'": ("", " x"),
    '"it\'s"|\'say "so"\'': ("it's", 'say "so"'),
    "{'a': 1}|{'a': (1, 2)}": ({"a": 1}, {"a": (1, 2)}),
    "1e-3|0.1": (1e-3, 0.1),
}


@pytest.mark.parametrize("text", WRITTEN)
def test_choices_are_what_they_look_like_and_written_so_that_they_come_back(text: str) -> None:
    found = parse("x", text)
    assert isinstance(found, Choices)
    assert [(type(one), one) for one in found.values] == [(type(one), one) for one in WRITTEN[text]]
    again = parse("x", str(found))
    assert [(type(one), one) for one in again.values] == [(type(one), one) for one in found.values]
    given = parse("x", list(WRITTEN[text]))
    assert given == found
    assert parse("x", str(given)) == found


def test_a_word_in_quotes_is_one_value() -> None:
    assert parse("x", "'../data'") == Fixed("../data")
    assert parse("x", "'a|b'") == Fixed("a|b")
    assert str(Fixed("1")) == "'1'"
    assert parse("x", str(Fixed("1"))) == Fixed("1")


def test_what_cannot_be_kept_is_refused() -> None:
    with pytest.raises(SpaceError, match="is no number, truth value or word, and no list or tuple of these"):
        parse("x", [LitDigits, int])
    with pytest.raises(SpaceError, match="is no number"):
        parse("x", [(LitDigits,), 1])
    with pytest.raises(SpaceError, match="given twice"):
        parse("x", [(1, 2), (1, 2)])


def test_values_come_through_json_as_what_they_were() -> None:
    params = {"a": (1, (2, [3])), "b": {1: 2}, "c": [1, "x"], "d": None, "e": 0.1}
    again = unpacked(json.loads(json.dumps(packed(params))))
    assert repr(again) == repr(params)


class Takes(LitDigits):
    """Says what it was made with."""

    def __init__(self, lr: float = 1e-3, sizes=(), tag=None, word=""):
        super().__init__(lr=lr, hidden=(sizes or (8,))[0])
        SEEN.append((sizes, tag, word))


SPACE = {"lr": "1e-3..1e-1:log", "sizes": [(16,), (32, 16)], "tag": [None, "1", 1], "word": ["a, b", "c|d"]}
#: Every choice at least once.
ENQUEUED = [
    "sizes=(16,),tag=none,word='a, b',lr=0.01",
    "sizes=[32, 16],tag='1',word=c|d,lr=0.02",
    "tag=1,word='c|d',sizes=(16,),lr=0.03",
]


def typed(values) -> list[tuple[object, ...]]:
    return [tuple((type(one), one) for one in row) for row in values]


@pytest.mark.parametrize("parallel", [1, 2])
def test_the_model_gets_them_and_so_do_the_records(parallel: int) -> None:
    SEEN.clear()
    study = tune(Takes, digits(160), space=SPACE, trials=5, enqueue=ENQUEUED, parallel=parallel, **USUAL)
    rows = study.trials.sort_index()
    wanted = typed([((16,), None, "a, b"), ((32, 16), "1", "c|d"), ((16,), 1, "c|d")])
    assert typed(rows[["sizes", "tag", "word"]].itertuples(index=False))[:3] == wanted
    if parallel == 1:
        assert typed(SEEN)[:3] == wanted
        assert typed(SEEN) == typed(rows[["sizes", "tag", "word"]].itertuples(index=False))
    best = study.best
    row = rows.loc[best.number]
    assert typed([best.params.values()]) == typed([(float(row["lr"]), row["sizes"], row["tag"], row["word"])])
    assert best.model() is not None
    assert f"sizes={best.params['sizes']!r}" in study.promote()
    drawn = snapshot(study._store, study.key)
    jsonschema.validate(bundle(drawn)[MIME_TYPE], SCHEMA)
    columns = {one["name"]: one for one in drawn["study"]["params"]}
    assert columns["tag"]["labels"] == ["None", "1", "1"]
    assert columns["tag"]["values"].split(",")[0] == "0", "nothing is a choice too"
    assert "" not in columns["sizes"]["values"].split(",")


def test_a_resumed_study_knows_the_types_of_its_space() -> None:
    study = tune(Takes, digits(160), space=SPACE, trials=3, enqueue=ENQUEUED, **USUAL)
    again = tune(Takes, digits(160), resume=study.ref, trials=6, quiet=True)
    assert again.status == "finished"
    assert len(again.trials) == 6
    unbroken = tune(Takes, digits(160), space=SPACE, trials=6, enqueue=ENQUEUED, **USUAL)
    names = ["sizes", "tag", "word", "lr"]
    rows = [one.trials.sort_index()[names].itertuples(index=False) for one in (again, unbroken)]
    assert typed(rows[0]) == typed(rows[1])
    assert isinstance(get_run(study.ref).trials["sizes"].iloc[0], tuple)


def test_an_enqueued_choice_is_tried_as_it_is_meant() -> None:
    for words in ("tag=2", "sizes=(8,)", "word=a"):
        with pytest.raises(StudyError, match="lies outside"):
            tune(Takes, digits(160), space=SPACE, trials=1, enqueue=[words], **USUAL)
    with pytest.raises(StudyError, match="expected `tag=VALUE`"):
        tune(Takes, digits(160), space=SPACE, trials=1, enqueue=["tag="], **USUAL)


def drawn_space(trial):
    """A space as a function: a tuple of as many numbers as another one says."""
    count = trial.suggest_int("count", 1, 2)
    return {"sizes": tuple(trial.suggest_int(f"size{index}", 8, 16) for index in range(count)), "word": "x"}


def test_what_a_function_has_drawn_is_confirmed_as_it_was() -> None:
    SEEN.clear()
    study = tune(Takes, digits(160), space=drawn_space, trials=3, confirm=True, **USUAL)
    assert study.status == "finished"
    assert len(study.confirmed) == 3
    assert set(map(type, (sizes for sizes, _, _ in SEEN))) == {tuple}
    winner = study.best.params
    assert list(winner) == ["sizes", "word"]
    assert isinstance(winner["sizes"], tuple)


class Many(LitDigits):
    """Takes more names than a panel shows; the last two matter."""

    def __init__(self, **others):
        super().__init__(lr=others["x14"], hidden=others["x13"])


def test_of_many_names_those_that_matter_are_shown() -> None:
    space = {f"x{index:02}": "0..1" for index in range(13)} | {"x13": "2..64", "x14": "1e-5..1e-1:log"}
    study = tune(Many, digits(160), space=space, trials=12, sampler="random", **USUAL)
    drawn = snapshot(study._store, study.key)["study"]
    shown = [one["name"] for one in drawn["params"]]
    assert len(shown) == 12
    assert drawn["names"] == 15
    matter = list(study.importance().index[:12])
    assert set(matter) == set(shown)
    assert shown == sorted(shown)
