"""The search space as typed: ranges and choices, parsed and never evaluated.

`1e-4..1e-1:log` a log range · `1..4` integers · `0..1:0.1` in steps · `relu|gelu|tanh` choices ·
`(16,)|(32, 16)|none` lists, tuples and None as choices · `'a|b'|'c, d'` quoted words · `true|false` · anything
else one fixed value.
"""

from __future__ import annotations

import ast
import math
import re
from dataclasses import dataclass
from typing import Any, TypeGuard

from jupyter_train.config import bounds
from jupyter_train.config.options import literal
from jupyter_train.exceptions import SpaceError

#: A sampler learns nothing from more, and Optuna stores all of them with every trial.
MAX_CHOICES = 1_000
_MAX_LETTERS = 100_000
_EXAMPLES = "a range `1e-4..1e-1:log`, `1..4` or `0..1:0.1`, or choices `relu|gelu`"
_RANGE = re.compile(r"(?P<low>[^.].*?|\.\d.*?)\.\.(?P<high>[^:]*)(?::(?P<how>.*))?", re.DOTALL)


@dataclass(frozen=True)
class Fixed:
    """One value, the same in every trial."""

    value: Any

    def __str__(self) -> str:
        return _typed_text(self.value)


@dataclass(frozen=True)
class Choices:
    """One of several values."""

    values: tuple[Any, ...]

    def __str__(self) -> str:
        return "|".join(_typed_text(value) for value in self.values)

    @property
    def optuna_choices(self) -> tuple[Any, ...]:
        """The choices as Optuna stores them: lists and tuples by their repr."""
        return tuple(optuna_choice(value) for value in self.values)

    def find(self, requested: object) -> object:
        """The choice that equals `requested`, also in Optuna's form or as a list for a tuple.

        Raises:
            ValueError: There is none.
        """
        for is_equal in (_is_equal, lambda value, candidate: optuna_choice(value) == candidate, _is_equal_sequence):
            matches = [value for value in self.values if is_equal(value, requested)]
            if matches:
                return matches[0]
        raise ValueError(f"{requested!r} is none of {self}")


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, inclusive; integers where both are.

    Attributes:
        step: Distance of neighbours; None for a continuous range.
        is_log: Whether it is sampled by its logarithm.
    """

    low: float
    high: float
    step: float | None = None
    is_log: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether it holds integers only."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def __str__(self) -> str:
        suffix = (
            ":log" if self.is_log else f":{_typed_text(self.step)}" if self.step is not None and self.step != 1 else ""
        )
        return f"{_typed_text(self.low)}..{_typed_text(self.high)}{suffix}"


Space = Fixed | Choices | Range


def optuna_choice(value: object) -> bool | int | float | str | None:
    """A choice as Optuna stores it."""
    return value if value is None or isinstance(value, bool | int | float | str) else repr(value)


def _is_equal(left: object, right: object) -> bool:
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _is_equal_sequence(left: object, right: object) -> bool:
    if not isinstance(left, list | tuple) or not isinstance(right, list | tuple) or len(left) != len(right):
        return False
    return all(_is_equal(*pair) or _is_equal_sequence(*pair) for pair in zip(left, right, strict=True))


def reads_as_space(text: object) -> bool:
    """Whether an option's value is written as something to be searched: a range or choices."""
    if not isinstance(text, str):
        return False
    try:
        return not isinstance(parse("value", text), Fixed)
    except SpaceError:
        return False


def parse(name: str, text: object) -> Space:
    """The space of `name`: text is parsed, a list gives choices, any other value is fixed.

    Raises:
        SpaceError: The text is no range and no choice; the message says why.
    """
    if isinstance(text, Fixed | Choices | Range):
        return text
    _check_size(name, text)
    if isinstance(text, list | tuple):
        return _choices(name, [_typed_text(value) for value in text], list(text))
    if not isinstance(text, str):
        return Fixed(text)
    text = text.strip()
    if not text:
        raise SpaceError(f"`{name}=` is empty; expected {_EXAMPLES}")
    if text[0] in "'\"[({" and _is_literal(text):
        return Fixed(literal(text))
    words = parts(text, "|")
    if len(words) > 1:
        return _choices(name, words, [literal(word) for word in words])
    if ".." in text:
        return _range(name, text)
    return Fixed(literal(text))


def _check_size(name: str, text: object) -> None:
    """Raises for too many choices, before they are parsed.

    Raises:
        SpaceError: There are too many.
    """
    count = len(text) if isinstance(text, list | tuple) else text.count("|") + 1 if isinstance(text, str) else 1
    if count > MAX_CHOICES:
        raise SpaceError(
            f"`{name}` has {count:,} choices; expected at most {MAX_CHOICES:,}. Numbers are searched as a range: "
            f"`{name}=1..{count}`"
        )
    if isinstance(text, str) and len(text) > _MAX_LETTERS:
        raise SpaceError(f"`{name}` is {len(text):,} letters long; expected {_EXAMPLES}")


def parts(text: str, separator: str) -> list[str]:
    """Text split at `separator` outside quotes and brackets; each part stripped."""
    pieces, depth, quote, before = [""], 0, "", ""
    for letter in text:
        if quote:
            quote = "" if letter == quote and before != "\\" else quote
        elif letter in "'\"" and not re.search(r"\w$", pieces[-1]):  # not the one in `don't`
            quote = letter
        elif letter == separator and depth <= 0:
            pieces.append("")
            continue
        else:
            depth += (letter in "([{") - (letter in ")]}")
        pieces[-1] += letter
        before = letter
    return [part.strip() for part in pieces]


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
        if optuna_choice(value) in seen:  # to Optuna 1, 1.0 and true are one choice
            raise SpaceError(f"{shown}: `{word}` is given twice")
        seen.add(optuna_choice(value))
    if len(values) == 1:
        raise SpaceError(f"{shown}: one choice is no search; expected two or more")
    return Choices(tuple(values))


def _is_plain(value: object) -> bool:
    """Whether a choice can be stored as its repr and read back."""
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
    match = _RANGE.fullmatch(text)
    ends = [literal(match[part].strip()) for part in ("low", "high")] if match is not None else []
    if match is None or any(not _is_number(end) for end in ends):
        raise SpaceError(f"{shown}: expected two numbers around `..`, as in `1e-4..1e-1:log`")
    low, high = ends
    scale = match["how"]
    if low > high:
        reversed_text = f"{name}={_typed_text(high)}..{_typed_text(low)}" + (f":{scale}" if scale else "")
        raise SpaceError(f"{shown}: the range is the wrong way round; did you mean `{reversed_text}`?")
    if low == high:
        raise SpaceError(f"{shown}: the range is empty; `{name}={_typed_text(low)}` fixes it to one value")
    if scale is None:
        return Range(low, high, 1 if isinstance(low, int) and isinstance(high, int) else None)
    if scale.strip() == "log":
        if low <= 0:
            raise SpaceError(
                f"{shown}: a logarithmic range begins above zero; `{name}=1e-6..{_typed_text(high)}:log` does"
            )
        return Range(low, high, None, is_log=True)
    step = literal(scale.strip())
    if not _is_number(step) or step <= 0:
        raise SpaceError(f"{shown}: after `:` comes `log` or a step above zero, not `{scale.strip()}`")
    if step > high - low:
        raise SpaceError(f"{shown}: a step of {_typed_text(step)} is wider than the range")
    is_whole = all(isinstance(number, int) for number in (low, high, step))
    return Range(low, high, step) if is_whole else Range(float(low), float(high), float(step))


def _is_number(value: object) -> TypeGuard[int | float]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= bounds.MAX_INTEGER if isinstance(value, int) else math.isfinite(value)


def _typed_text(value: object) -> str:
    """A value as typed; text is quoted where it would be read as something else."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        reads_back = literal(value) == value and value == value.strip() != "" and parts(value, "|") == [value]
        return value if reads_back and ".." not in value else repr(value)
    return str(value)


def difference(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """A line for each difference between two spaces in their typed form."""
    lines = []
    for name in dict.fromkeys([*old, *new]):
        before, after = old.get(name), new.get(name)
        if before != after:
            lines.append(f"{name}: {before if before is not None else '-'} → {after if after is not None else '-'}")
    return lines
