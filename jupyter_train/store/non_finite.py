"""Which metrics of a run are NaN or infinite: told on the writer's thread, never on the one that trains."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from jupyter_train.store.text_columns import listed, quoted

#: What one can do about it.
_ADVICE = "try a lower `--lr`, `--gradient-clip-val 1` or `--detect-anomaly`"


class _Since(NamedTuple):
    word: str
    step: int
    is_from_first: bool


class NonFinite:
    """Metrics whose newest value is no finite number.

    Attributes:
        matters: Whether a metric tells of the model: a loss does.
        on_matters: Told in words when such a metric stops being a finite number.

    Args:
        tell: Told of every metric that is no finite number, once: its name, the words, and the step.
    """

    def __init__(self, tell: Callable[[str, str, int], None]) -> None:
        self.matters: Callable[[str], bool] = lambda name: "loss" in name.lower()
        self.on_matters: Callable[[str], None] = lambda _words: None
        self.now: dict[str, _Since] = {}
        self._tell = tell
        self._told: set[str] = set()

    def see(self, name: str, value: float, step: int, is_first: bool) -> None:
        """A value that is not finite.

        Args:
            name: The metric.
            value: NaN or an infinity.
            step: Where.
            is_first: Whether the metric had no value before.
        """
        word = "NaN" if math.isnan(value) else "infinite"
        known = self.now.get(name)
        if known is not None:
            if known.word != word:  # infinite, then NaN: the usual way of an overflow
                self.now[name] = _Since(word, step, False)
            return
        self.now[name] = _Since(word, step, is_first)
        words = (
            f"{name} became {word} at step {step:,}" if not is_first else f"{name} is {word} from its first value on"
        )
        if name not in self._told:
            self._told.add(name)
            self._tell(name, words, step)
        if self.matters(name):
            self.on_matters(words)

    def back(self, name: str) -> None:
        """A metric is a finite number again."""
        self.now.pop(name, None)

    @property
    def ended_with(self) -> str:
        """`NaN` or `inf` where a metric that matters is so now; empty where all are finite."""
        words = {since.word for since in self._mattering().values()}
        return "NaN" if "NaN" in words else "inf" if words else ""

    @property
    def words(self) -> str:
        """What a run that has ended so says of itself; empty where all is well."""
        found = self._mattering()
        if not found:
            return ""
        name, since = min(found.items(), key=lambda item: item[1].step)
        when = "its first value" if since.is_from_first else f"step {since.step:,}"
        others = {other: one.word for other, one in found.items() if other != name}
        same = [other for other, word in others.items() if word == since.word]
        different = [other for other, word in others.items() if word != since.word]
        also = f", as {_are(same)} {listed(quoted(same))}" if same else ""
        if different:
            also += f", and {listed(quoted(different))} {_are(different)} {others[different[0]]}"
        return f"`{name}` is {since.word} from {when} to the end{also}: {_ADVICE}"

    def _mattering(self) -> dict[str, _Since]:
        return {name: since for name, since in self.now.items() if self.matters(name)}


def _are(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"
