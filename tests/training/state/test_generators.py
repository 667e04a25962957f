"""Random generators inside a user's objects, named by where they are."""

from __future__ import annotations

import functools
import random
from typing import Any

import numpy as np
import torch

from jupyter_train.training.state.generators import find_generators


class Holder:
    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)

    def draw(self) -> float:
        return 0.0


def test_generators_are_found_wherever_they_are_held() -> None:
    rng = np.random.default_rng(1)

    def noise() -> float:
        return float(rng.normal())

    owner = Holder(
        rng=random.Random(1),
        legacy=np.random.RandomState(2),
        device=torch.Generator(),
        transforms=[str, Holder(rng=np.random.default_rng(3))],
        by_name={"a": np.random.default_rng(4)},
        noise=noise,
        part=functools.partial(print, np.random.default_rng(5)),
        method=Holder(rng=random.Random(6)).draw,
    )
    assert find_generators(owner) == [
        "rng",
        "legacy",
        "device",
        "transforms[1].rng",
        "by_name['a']",
        "noise.<closure>.rng",
        "part.<argument>",
        "method.__self__.rng",
    ]


def test_global_generators_and_what_is_searched_apart_are_left_out() -> None:
    other = Holder(rng=random.Random(1))
    owner = Holder(numpy=np.random.mtrand._rand, torch=torch.default_generator, other=other)
    assert find_generators(owner, [other]) == []
    assert find_generators(owner) == ["other.rng"]
    assert find_generators(other, [other]) == ["rng"]


def test_a_generator_is_named_once_and_objects_that_hold_each_other_end() -> None:
    rng = random.Random(1)
    owner = Holder(first=rng, second=[rng])
    owner.itself = owner
    assert find_generators(owner) == ["first"]


def test_it_looks_three_levels_deep_and_at_the_beginning_of_long_lists() -> None:
    deep = Holder(a=Holder(b=Holder(c=Holder(d=random.Random(1)))))
    assert find_generators(deep) == ["a.b.c.d"]
    assert find_generators(Holder(z=deep)) == []
    assert find_generators(Holder(many=[*range(40), random.Random(1)])) == []


def test_arrays_tensors_modules_and_classes_are_not_walked() -> None:
    class Kind:
        rng = random.Random(1)

    assert find_generators(Holder(kind=Kind, array=np.zeros(3), tensor=torch.zeros(3), module=np.random)) == []
