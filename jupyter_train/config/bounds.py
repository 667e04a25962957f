"""The largest value of an option: processes limited by the machine, fits and files by number."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jupyter_train.config import machine

#: The largest whole number that JSON, a database and a float all keep.
MAX_INTEGER = 2**53
#: Longer text is no tag, note or command.
MAX_CHARACTERS = 100_000
MAX_REPEATS = 10_000
_SHOWN_LETTERS = 60


@dataclass(frozen=True)
class Bound:
    """The largest value of an option.

    Attributes:
        limit: Without `--oversubscribe`.
        hard_limit: With it.
        unit: What is counted, and what limits it.
        count: Turns a value into a number; None where the value names none.
    """

    limit: Callable[[], int]
    hard_limit: Callable[[], int]
    unit: str
    count: Callable[[Any], int | None]

    def check_hard_limit(self, value: object) -> None:
        """Raises above the limit of `--oversubscribe`.

        Raises:
            ValueError: The value is too large; the message says what was expected.
        """
        count = self.count(value)
        if count is not None and count > self.hard_limit():
            raise ValueError(f"at most {self._limit_text(self.limit())} (`--oversubscribe`: {self.hard_limit():,})")

    def check(self, value: object) -> None:
        """Raises above the limit without `--oversubscribe`.

        Raises:
            ValueError: The value is too large; the message says what was expected.
        """
        count = self.count(value)
        if count is not None and count > self.limit():
            raise ValueError(
                f"at most {self._limit_text(self.limit())}; `--oversubscribe` takes up to {self.hard_limit():,}"
            )

    def _limit_text(self, count: int) -> str:
        return f"{count:,} {self.unit}"


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _devices(value: object) -> int | None:
    """How many of `2`, `"2"`, `[0, 1]` or `"0,1"`; None for `auto`, -1 and what only `pl.Trainer` understands."""
    if isinstance(value, str):
        text = value.strip().strip("[]")
        return int(text) if re.fullmatch(r"\d{1,18}", text) else len(text.split(",")) if "," in text else None
    if isinstance(value, list | tuple):
        return len(value)
    return _whole(value)


def _folds(value: object) -> int | None:
    """How many of `5` or `5:stratified`."""
    match = re.match(r"\d{1,18}", str(value).strip())
    return int(match[0]) if match else None


def _fixed(number: int) -> Callable[[], int]:
    return lambda: number


_PER_PROCESSOR = "here, one for each processor or GPU this process may use"
DEVICES = Bound(machine.max_processes, machine.max_processes_oversubscribed, f"devices {_PER_PROCESSOR}", _devices)
PARALLEL = Bound(
    machine.max_processes, machine.max_processes_oversubscribed, f"trials at once {_PER_PROCESSOR}", _whole
)
FOLDS = Bound(_fixed(1_000), _fixed(10_000), "folds, a run folder each", _folds)
SEEDS = Bound(_fixed(1_000), _fixed(10_000), "seeds, a run folder each", _whole)
TRIALS = Bound(_fixed(100_000), _fixed(1_000_000), "trials, a run folder each", _whole)
CHECKPOINTS = Bound(_fixed(1_000), _fixed(100_000), "checkpoints of one run", _whole)


def check_integer(value: object) -> None:
    """Raises for an integer beyond what JSON, a database and a float all hold.

    Raises:
        ValueError: The integer is larger.
    """
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise ValueError(f"a number of at most {MAX_INTEGER:,}")


def check_text(value: object) -> None:
    """Raises for text longer than a record holds.

    Raises:
        ValueError: The text is longer.
    """
    if isinstance(value, str) and len(value) > MAX_CHARACTERS:
        raise ValueError(f"at most {MAX_CHARACTERS:,} letters")


def shown(value: object) -> str:
    """A value as an error message shows it: on one line, shortened."""
    try:
        text = str(value)
    except ValueError:  # Python does not write numbers of more than 4,300 digits
        return "a number of thousands of digits"
    text = text if text.isprintable() else repr(text)[1:-1]
    return text if len(text) <= _SHOWN_LETTERS else f"{text[:_SHOWN_LETTERS]}… ({len(text):,} letters)"
