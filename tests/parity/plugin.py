"""A pytest plug-in: every `pl.Trainer.fit` of a suite takes the lean loop, where that serves.

`python -m pytest -p tests.parity.plugin SUITE` runs any suite that trains with PyTorch Lightning, and says at the end
how many fits there were, and why Lightning's own loop was taken in the others. A test that passes without it and fails
with it is a place where the two loops differ.
"""

from __future__ import annotations

import contextlib
import functools
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import pytorch_lightning as pl

from jupyter_train.training import engine
from jupyter_train.training.lightning.patches import is_tested


class LeanEverywhere:
    """Puts the lean loop into every trainer before it fits, and counts.

    Attributes:
        fits: How many there were.
        reasons: Of the fits whose first epoch began, why not the lean loop; None counts those that it trained.
    """

    def __init__(self) -> None:
        self.fits = 0
        self.reasons: Counter[str | None] = Counter()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Iterator[None]:
        """While a test and its fixtures run, `fit` is replaced; a test may replace it again."""
        fit = pl.Trainer.fit
        pl.Trainer.fit = self._around(fit)  # type: ignore[method-assign]
        try:
            return (yield)
        finally:
            pl.Trainer.fit = fit  # type: ignore[method-assign]

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Says what was counted."""
        terminalreporter.section("lean loop")
        terminalreporter.line(self.summary())

    def summary(self) -> str:
        """One line on fits and one on each reason."""
        lean = self.reasons[None]
        others = [f"  {count} {reason}" for reason, count in self.reasons.most_common() if reason is not None]
        return "\n".join([f"lean loop: {self.fits} fits, {lean} lean", *others])

    def _around(self, fit: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(fit)
        def lean(trainer: pl.Trainer, *arguments: Any, **named: Any) -> Any:
            self.fits += 1
            with installed(trainer, self._teller()):
                return fit(trainer, *arguments, **named)

        return lean

    def _teller(self) -> Callable[[str | None], None]:
        """Counts the first reason of a fit apart from those of a change in the middle of it."""
        told: list[str | None] = []

        def tell(reason: str | None) -> None:
            told.append(reason)
            self.reasons[reason if len(told) == 1 else f"{reason}, after some batches"] += 1

        return tell


@contextlib.contextmanager
def installed(trainer: pl.Trainer, tell: Callable[[str | None], None]) -> Iterator[None]:
    """The lean loop in a trainer for one fit; afterwards its loops are as they were."""
    if not is_tested():
        tell("this release of Lightning is not among those tested")
        yield
        return
    loop: Any = trainer.fit_loop.epoch_loop
    places = [(loop, "run"), (loop, "on_advance_end"), (loop.val_loop, "run")]
    before = [name in vars(part) and vars(part)[name] for part, name in places]
    engine.install(trainer, tell)
    try:
        yield
    finally:
        for (part, name), value in zip(places, before, strict=True):
            delattr(part, name)
            if value:
                setattr(part, name, value)


def pytest_configure(config: pytest.Config) -> None:
    """Begins to count."""
    config.pluginmanager.register(LeanEverywhere(), "lean-everywhere")
