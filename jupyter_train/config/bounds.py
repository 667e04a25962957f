"""How much an option may ask for: processes by the machine, fits and files by number."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jupyter_train.config import machine

#: The largest whole number that JSON, a database and a float all keep.
MAX_WHOLE = 2**53
#: More of one option is nobody's tag, note or command.
MAX_LETTERS = 100_000
MAX_TIMES = 10_000
_SHOWN_LETTERS = 60


@dataclass(frozen=True)
class Bound:
    """The most that an option may ask for.

    Attributes:
        usual: Without `--oversubscribe`.
        most: With it.
        words: What is counted, and why so many.
        count: How much a value asks for; None where it does not say.
    """

    usual: Callable[[], int]
    most: Callable[[], int]
    words: str
    count: Callable[[Any], int | None]

    def check_at_all(self, value: Any) -> None:
        """Raises for more than anybody may ask for.

        Raises:
            ValueError: It is; the message says what was expected.
        """
        count = self.count(value)
        if count is not None and count > self.most():
            raise ValueError(f"at most {self._words(self.usual())} (`--oversubscribe`: {self.most():,})")

    def check(self, value: Any) -> None:
        """Raises for more than `--oversubscribe` is needed for.

        Raises:
            ValueError: It is; the message says what was expected.
        """
        count = self.count(value)
        if count is not None and count > self.usual():
            raise ValueError(
                f"at most {self._words(self.usual())}; `--oversubscribe` takes up to {self.most():,}, if you mean it"
            )

    def _words(self, count: int) -> str:
        return f"{count:,} {self.words}"


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _devices(value: Any) -> int | None:
    """How many of `2`, `"2"`, `[0, 1]` or `"0,1"`; None for `auto`, -1 and what only `pl.Trainer` understands."""
    if isinstance(value, str):
        text = value.strip().strip("[]")
        return int(text) if re.fullmatch(r"\d{1,18}", text) else len(text.split(",")) if "," in text else None
    if isinstance(value, list | tuple):
        return len(value)
    return _whole(value)


def _folds(value: Any) -> int | None:
    """How many of `5` or `5:stratified`."""
    found = re.match(r"\d{1,18}", str(value).strip())
    return int(found[0]) if found else None


def _fixed(number: int) -> Callable[[], int]:
    return lambda: number


_ONE_EACH = "here, one for each processor or GPU this process may use"
DEVICES = Bound(machine.most_processes, machine.most_processes_at_all, f"devices {_ONE_EACH}", _devices)
PARALLEL = Bound(machine.most_processes, machine.most_processes_at_all, f"trials at once {_ONE_EACH}", _whole)
FOLDS = Bound(_fixed(1_000), _fixed(10_000), "folds, a run folder each", _folds)
SEEDS = Bound(_fixed(1_000), _fixed(10_000), "seeds, a run folder each", _whole)
TRIALS = Bound(_fixed(100_000), _fixed(1_000_000), "trials, a run folder each", _whole)
CHECKPOINTS = Bound(_fixed(1_000), _fixed(100_000), "checkpoints of one run", _whole)


def check_whole(value: Any) -> None:
    """Raises for a whole number that nothing here could keep.

    Raises:
        ValueError: It is one.
    """
    if isinstance(value, int) and abs(value) > MAX_WHOLE:
        raise ValueError(f"a number of at most {MAX_WHOLE:,}")


def check_text(value: Any) -> None:
    """Raises for a text that no record is made for.

    Raises:
        ValueError: It is one.
    """
    if isinstance(value, str) and len(value) > MAX_LETTERS:
        raise ValueError(f"at most {MAX_LETTERS:,} letters")


def shown(value: Any) -> str:
    """A value as an error shows it: on one line, and of something very long the beginning."""
    try:
        text = str(value)
    except ValueError:  # Python does not write numbers of more than 4,300 digits
        return "a number of thousands of digits"
    text = text if text.isprintable() else repr(text)[1:-1]
    return text if len(text) <= _SHOWN_LETTERS else f"{text[:_SHOWN_LETTERS]}… ({len(text):,} letters)"
