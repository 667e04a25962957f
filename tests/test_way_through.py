"""One option on its way from `%train`'s line to `pl.Trainer`: through few rooms, none of them twice."""

from __future__ import annotations

import itertools
import sys
from typing import Any

import pytest
import pytorch_lightning as pl

from jupyter_train.config import TrainConfig
from tests.models import LitDigits, digits

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
CLIP = 0.3125


def _frames() -> list[Any]:
    """The frames of this package on the stack, the outermost first."""
    found = []
    frame: Any = sys._getframe(2)
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith("jupyter_train."):
            found.append(frame)
        frame = frame.f_back
    return found[::-1]


def _holders(value: Any) -> set[str]:
    """What of this package holds the option, by its type."""
    if isinstance(value, dict):
        return {"arguments"} if value.get("gradient_clip_val") == CLIP else set()
    if not _is_ours(value):
        return set()
    parts = [value, *(part for part in vars(value).values() if _is_ours(part))]
    options = [vars(part).get("trainer") for part in parts]
    return {type(value).__name__} if any(isinstance(one, dict) and CLIP in one.values() for one in options) else set()


def _configs(frame: Any) -> list[TrainConfig]:
    held = [getattr(value, "config", value) for value in frame.f_locals.values() if _is_ours(value)]
    return [value for value in held if isinstance(value, TrainConfig)]


def _is_ours(value: Any) -> bool:
    return type(value).__module__.startswith("jupyter_train") and hasattr(value, "__dict__")


@pytest.fixture
def way(shell, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The modules on the stack when the run's Trainer is made, and what held the option there."""
    ways: list[dict[str, Any]] = []
    init = pl.Trainer.__init__

    def noted(self: pl.Trainer, *arguments: Any, **options: Any) -> None:
        frames = _frames()
        held = [_holders(value) for frame in frames for value in frame.f_locals.values()]
        ways.append(
            {
                "modules": [name for name, _ in itertools.groupby(frame.f_globals["__name__"] for frame in frames)],
                "holders": set().union(*held),
                "configs": len({id(value) for frame in frames for value in _configs(frame)}),
                "given": options.get("gradient_clip_val"),
            }
        )
        init(self, *arguments, **options)

    monkeypatch.setattr(pl.Trainer, "__init__", noted)
    shell.user_ns.update(LitDigits=LitDigits, data=digits(64))
    line = f"LitDigits() data --epochs 1 --seed 1 --quiet --gradient-clip-val {CLIP}"
    assert shell.run_line_magic("train", line).status == "finished"
    return ways[-1]


def test_an_option_goes_from_room_to_room_and_comes_back_to_none(way) -> None:
    assert way["given"] == CLIP
    assert way["modules"] == [
        "jupyter_train.magics.magics",
        "jupyter_train.magics.train_request",
        "jupyter_train.api.train",
        "jupyter_train.execution.launcher",
        "jupyter_train.execution.inline",
        "jupyter_train.execution.run_attempt",
        "jupyter_train.training.fit",
    ]


def test_an_option_is_handed_over_in_four_hands_and_packed_twice(way) -> None:
    assert way["holders"] == {"TrainConfig", "TrainLauncher", "RunSpec", "FitContext", "arguments"}
    assert way["configs"] == 1  # the launcher, the spec and the context hold the same one
