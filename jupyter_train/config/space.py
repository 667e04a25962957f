"""What is searched: ranges and choices, as they are typed. Parsed, never evaluated.

`1e-4..1e-1:log` a range by its logarithm · `1..4` whole numbers · `0..1:0.1` in steps · `relu|gelu|tanh` choices ·
`true|false` · anything else one fixed value.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from jupyter_train.config import bounds
from jupyter_train.config.options import literal
from jupyter_train.exceptions import SpaceError

#: Of more choices a search learns nothing, and Optuna keeps each of them for every trial.
MOST_CHOICES = 1_000
_MOST_LETTERS = 100_000
_EXAMPLES = "a range `1e-4..1e-1:log`, `1..4` or `0..1:0.1`, or choices `relu|gelu`"
_RANGE = re.compile(r"(?P<low>[^.].*?|\.\d.*?)\.\.(?P<high>[^:]*)(?::(?P<how>.*))?", re.DOTALL)


@dataclass(frozen=True)
class Fixed:
    """One value, the same in every trial."""

    value: Any

    def __str__(self) -> str:
        return _word(self.value)


@dataclass(frozen=True)
class Choices:
    """One of several values."""

    values: tuple[Any, ...]

    def __str__(self) -> str:
        return "|".join(_word(value) for value in self.values)


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; whole ones where both are.

    Attributes:
        step: Distance of neighbours; None for any number between.
        is_log: Whether equal ratios, rather than equal differences, are equally likely.
    """

    low: float
    high: float
    step: float | None = None
    is_log: bool = False

    @property
    def is_whole(self) -> bool:
        """True where only whole numbers are meant."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def __str__(self) -> str:
        how = ":log" if self.is_log else f":{_word(self.step)}" if self.step is not None and self.step != 1 else ""
        return f"{_word(self.low)}..{_word(self.high)}{how}"


Space = Fixed | Choices | Range


def parse(name: str, text: Any) -> Space:
    """The space that `text` means for `name`; a value that is no text is a fixed one, a list choices.

    Raises:
        SpaceError: It means none; the message says what is wrong with it.
    """
    if isinstance(text, Fixed | Choices | Range):
        return text
    _check_size(name, text)
    if isinstance(text, list | tuple):
        return _choices(name, [str(value) for value in text], list(text))
    if not isinstance(text, str):
        return Fixed(text)
    text = text.strip()
    if not text:
        raise SpaceError(f"`{name}=` says nothing; expected {_EXAMPLES}")
    if text[0] in "'\"[({" and not isinstance(literal(text), str):
        return Fixed(literal(text))
    if "|" in text:
        words = [word.strip() for word in text.split("|")]
        return _choices(name, words, [literal(word) for word in words])
    if ".." in text:
        return _range(name, text)
    return Fixed(literal(text))


def _check_size(name: str, given: Any) -> None:
    """Raises for more choices than can be searched, before anything is read of them.

    Raises:
        SpaceError: There are.
    """
    count = len(given) if isinstance(given, list | tuple) else given.count("|") + 1 if isinstance(given, str) else 1
    if count > MOST_CHOICES:
        raise SpaceError(
            f"`{name}` has {count:,} choices; expected at most {MOST_CHOICES:,}. Numbers are searched as a range: "
            f"`{name}=1..{count}`"
        )
    if isinstance(given, str) and len(given) > _MOST_LETTERS:
        raise SpaceError(f"`{name}` is {len(given):,} letters long; expected {_EXAMPLES}")


def _choices(name: str, words: list[str], values: list[Any]) -> Choices:
    shown = f"`{name}={bounds.shown('|'.join(words))}`"
    seen = set()
    if not values or "" in words:
        raise SpaceError(f"{shown}: a choice is empty")
    for index, value in enumerate(values):
        if not isinstance(value, bool | int | float | str) and value is not None:
            raise SpaceError(f"{shown}: `{words[index]}` is neither a number, a truth value nor a word")
        if value in seen:  # to Optuna 1, 1.0 and true are one choice
            raise SpaceError(f"{shown}: `{words[index]}` is given twice")
        seen.add(value)
    if len(values) == 1:
        raise SpaceError(f"{shown}: one choice is no search; expected two or more")
    return Choices(tuple(values))


def _range(name: str, text: str) -> Range:
    shown = f"`{name}={bounds.shown(text)}`"
    found = _RANGE.fullmatch(text)
    ends = [literal(found[part].strip()) for part in ("low", "high")] if found is not None else []
    if found is None or any(not _is_number(end) for end in ends):
        raise SpaceError(f"{shown}: expected two numbers around `..`, as in `1e-4..1e-1:log`")
    low, high = ends
    how = found["how"]
    if low > high:
        turned = f"{name}={_word(high)}..{_word(low)}" + (f":{how}" if how else "")
        raise SpaceError(f"{shown}: the range is the wrong way round; did you mean `{turned}`?")
    if low == high:
        raise SpaceError(f"{shown}: the range is empty; `{name}={_word(low)}` fixes it to one value")
    if how is None:
        return Range(low, high, 1 if isinstance(low, int) and isinstance(high, int) else None)
    if how.strip() == "log":
        if low <= 0:
            raise SpaceError(f"{shown}: a logarithmic range begins above zero; `{name}=1e-6..{_word(high)}:log` does")
        return Range(low, high, None, is_log=True)
    step = literal(how.strip())
    if not _is_number(step) or step <= 0:
        raise SpaceError(f"{shown}: after `:` comes `log` or a step above zero, not `{how.strip()}`")
    if step > high - low:
        raise SpaceError(f"{shown}: a step of {_word(step)} is wider than the range")
    is_whole = all(isinstance(one, int) for one in (low, high, step))
    return Range(low, high, step) if is_whole else Range(float(low), float(high), float(step))


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= bounds.MOST_WHOLE if isinstance(value, int) else math.isfinite(value)


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def difference(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What is not the same between two spaces in their written form, a line each."""
    lines = []
    for name in dict.fromkeys([*old, *new]):
        before, after = old.get(name), new.get(name)
        if before != after:
            lines.append(f"{name}: {before if before is not None else '-'} → {after if after is not None else '-'}")
    return lines
