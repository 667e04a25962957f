"""An attribute that is set later is noticed; whatever was there before is ignored."""

from __future__ import annotations

from typing import Any

from jupyter_train.training.engine.attribute_watch import AbsentKeys


class Owner:
    def __init__(self) -> None:
        self.mark = 1
        self.other = 2


def test_a_new_key_of_a_marked_dict_is_noticed_whatever_its_name() -> None:
    owner = Owner()
    keys = AbsentKeys([(vars(owner), "mark")], [])
    assert keys.are_absent()
    owner.other = 3
    assert keys.are_absent()
    owner.hook = print
    assert not keys.are_absent()


def test_a_key_that_takes_the_place_of_another_is_noticed() -> None:
    owner = Owner()
    keys = AbsentKeys([(vars(owner), "mark")], [])
    del owner.other
    assert keys.are_absent()
    owner.hook = print
    assert len(vars(owner)) == 2
    assert not keys.are_absent()


def test_marking_changes_no_value() -> None:
    owner = Owner()
    AbsentKeys([(vars(owner), "mark")], [])
    assert vars(owner) == {"mark": 1, "other": 2}


def test_of_a_small_dict_only_the_named_keys_are_watched() -> None:
    attributes: dict[str, Any] = {"a": 1, "hook": None}
    keys = AbsentKeys([], [(attributes, frozenset({"hook", "late"}))])
    attributes["b"] = 2
    attributes["hook"] = print
    assert keys.are_absent()
    attributes["late"] = print
    assert not keys.are_absent()
    del attributes["late"]
    assert keys.are_absent()


def test_every_dict_counts() -> None:
    owners, small = [Owner(), Owner()], [{"a": 1}, {"a": 1}]
    keys = AbsentKeys([(vars(owner), "mark") for owner in owners], [(one, frozenset({"hook"})) for one in small])
    small[1]["hook"] = 1
    assert not keys.are_absent()
    del small[1]["hook"]
    owners[1].hook = print
    assert not keys.are_absent()
