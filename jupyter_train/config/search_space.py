"""What is searched: ranges and choices, as they are typed. Parsed, never evaluated.

`1e-4..1e-1:log` a range by its logarithm · `1..4` whole numbers · `0..1:0.1` in steps · `relu|gelu|tanh` choices ·
`(16,)|(32, 16)|none` lists, tuples and nothing as choices · `'a|b'|'c, d'` words in quotes · `true|false` · anything
else one fixed value.
"""

from __future__ import annotations

import ast
import math
import re
from dataclasses import dataclass
from typing import Any

from jupyter_train.config import bounds
from jupyter_train.config.options import literal
from jupyter_train.exceptions import SpaceError

#: Of more choices a search learns nothing, and Optuna keeps each of them for every trial.
MAX_CHOICES = 1_000
_MAX_LETTERS = 100_000
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

    @property
    def kept(self) -> tuple[Any, ...]:
        """The same as Optuna keeps them: of lists and tuples it keeps what they look like."""
        return tuple(kept(value) for value in self.values)

    def find(self, given: Any) -> Any:
        """The choice that is meant: itself, as it is kept, or a list in the place of a tuple.

        Raises:
            ValueError: None is.
        """
        for same in (_is_same, lambda value, other: kept(value) == other, _is_same_sequence):
            found = [value for value in self.values if same(value, given)]
            if found:
                return found[0]
        raise ValueError(f"{given!r} is none of {self}")


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


def kept(value: Any) -> Any:
    """A choice as Optuna keeps it."""
    return value if value is None or isinstance(value, bool | int | float | str) else repr(value)


def _is_same(one: Any, other: Any) -> bool:
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _is_same_sequence(one: Any, other: Any) -> bool:
    if not isinstance(one, list | tuple) or not isinstance(other, list | tuple) or len(one) != len(other):
        return False
    return all(_is_same(*pair) or _is_same_sequence(*pair) for pair in zip(one, other, strict=True))


def parse(name: str, text: Any) -> Space:
    """The space that `text` means for `name`; a value that is no text is a fixed one, a list choices.

    Raises:
        SpaceError: It means none; the message says what is wrong with it.
    """
    if isinstance(text, Fixed | Choices | Range):
        return text
    _check_size(name, text)
    if isinstance(text, list | tuple):
        return _choices(name, [_word(value) for value in text], list(text))
    if not isinstance(text, str):
        return Fixed(text)
    text = text.strip()
    if not text:
        raise SpaceError(f"`{name}=` says nothing; expected {_EXAMPLES}")
    if text[0] in "'\"[({" and _is_literal(text):
        return Fixed(literal(text))
    words = parts(text, "|")
    if len(words) > 1:
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
    if count > MAX_CHOICES:
        raise SpaceError(
            f"`{name}` has {count:,} choices; expected at most {MAX_CHOICES:,}. Numbers are searched as a range: "
            f"`{name}=1..{count}`"
        )
    if isinstance(given, str) and len(given) > _MAX_LETTERS:
        raise SpaceError(f"`{name}` is {len(given):,} letters long; expected {_EXAMPLES}")


def parts(text: str, mark: str) -> list[str]:
    """Text cut at a mark, but not inside quotes or brackets; each part without the spaces around it."""
    found, depth, quote, before = [""], 0, "", ""
    for letter in text:
        if quote:
            quote = "" if letter == quote and before != "\\" else quote
        elif letter in "'\"" and not re.search(r"\w$", found[-1]):  # not the one in `don't`
            quote = letter
        elif letter == mark and depth <= 0:
            found.append("")
            continue
        else:
            depth += (letter in "([{") - (letter in ")]}")
        found[-1] += letter
        before = letter
    return [part.strip() for part in found]


def _choices(name: str, words: list[str], values: list[Any]) -> Choices:
    shown = f"`{name}={bounds.shown('|'.join(words))}`"
    seen = set()
    if not values or "" in words:
        raise SpaceError(f"{shown}: a choice is empty")
    for word, value in zip(words, values, strict=True):
        if not _is_plain(value):
            raise SpaceError(
                f"{shown}: `{word}` is no number, truth value or word, and no list or tuple of these; search names of "
                "such things, and let the model look them up"
            )
        if kept(value) in seen:  # to Optuna 1, 1.0 and true are one choice
            raise SpaceError(f"{shown}: `{word}` is given twice")
        seen.add(kept(value))
    if len(values) == 1:
        raise SpaceError(f"{shown}: one choice is no search; expected two or more")
    return Choices(tuple(values))


def _is_plain(value: Any) -> bool:
    """Whether a choice can be kept as what it looks like, and comes back as what it was."""
    if value is None or isinstance(value, bool | int | float | str):
        return True
    return type(value) in (list, tuple, dict) and _is_literal(repr(value))


def _is_literal(text: str) -> bool:
    try:
        ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


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
    return abs(value) <= bounds.MAX_WHOLE if isinstance(value, int) else math.isfinite(value)


def _word(value: Any) -> str:
    """A value as it is typed; a word in quotes where it would be taken for something else without them."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        is_itself = literal(value) == value and value == value.strip() != "" and parts(value, "|") == [value]
        return value if is_itself and ".." not in value else repr(value)
    return str(value)


def difference(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What is not the same between two spaces in their written form, a line each."""
    lines = []
    for name in dict.fromkeys([*old, *new]):
        before, after = old.get(name), new.get(name)
        if before != after:
            lines.append(f"{name}: {before if before is not None else '-'} → {after if after is not None else '-'}")
    return lines
