"""Lightning's messages and all warnings go to the run's log; what a user's code warns of is said once besides."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator

import pytest
from lightning_fabric.utilities.warnings import PossibleUserWarning

from jupyter_train.store.redaction import MASK
from jupyter_train.training.logging.console import capture_lightning_output

SECRET = "ghp_canary000000000000000000000000000003"


class Captured:
    """What was logged and warned of."""

    def __init__(self) -> None:
        self.logged: list[str] = []
        self.warned: list[str] = []


@pytest.fixture
def captured() -> Iterator[Captured]:
    found = Captured()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with capture_lightning_output(found.logged.append, found.warned.append):
            yield found


def test_messages_of_lightning_are_logged_and_not_printed(captured: Captured, capfd) -> None:
    for name in ("pytorch_lightning.trainer", "lightning_fabric", "lightning.pytorch"):
        logging.getLogger(name).info("from %s", name)
    assert captured.logged == ["from pytorch_lightning.trainer", "from lightning_fabric", "from lightning.pytorch"]
    assert captured.warned == []
    assert capfd.readouterr() == ("", "")


def test_a_warning_is_logged_every_time_and_said_once(captured: Captured) -> None:
    for _ in range(2):
        warnings.warn("careful\nwith more lines", UserWarning, stacklevel=1)
    assert [line.partition(" (")[0] for line in captured.logged] == ["UserWarning: careful\nwith more lines"] * 2
    assert __file__ in captured.logged[0]
    assert captured.warned == ["careful"]


def test_a_warning_without_words_is_said_by_its_class_and_secrets_are_masked(captured: Captured) -> None:
    warnings.warn("", RuntimeWarning, stacklevel=1)
    warnings.warn(f"it is {SECRET}", UserWarning, stacklevel=1)
    assert captured.warned == ["RuntimeWarning", f"it is {MASK}"]


@pytest.mark.parametrize("category", [DeprecationWarning, FutureWarning, PossibleUserWarning])
def test_advice_of_libraries_stays_in_the_log(captured: Captured, category: type[Warning]) -> None:
    warnings.warn("do otherwise", category, stacklevel=1)
    warnings.warn_explicit("from Lightning", UserWarning, "/lib/pytorch_lightning/trainer.py", 3)
    assert len(captured.logged) == 2
    assert captured.warned == []


def test_everything_is_as_before_afterwards_however_it_ends() -> None:
    logger = logging.getLogger("pytorch_lightning")
    before = (logger.handlers, logger.propagate, logger.level, warnings.showwarning)
    levels: list[int] = []

    def fails() -> None:
        levels.append(logger.level)
        raise KeyError

    with pytest.raises(KeyError), capture_lightning_output(print, print):
        fails()
    assert levels == [logging.INFO]
    assert (logger.handlers, logger.propagate, logger.level, warnings.showwarning) == before
