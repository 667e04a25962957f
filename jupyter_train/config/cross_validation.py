"""Cross-validation as it is typed: `5`, `5:stratified`, `5:time`, `5:group=COLUMN`."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FORM = re.compile(r"(?P<count>\d+)(?::(?P<kind>stratified|plain|time|group=(?P<group>.+)))?")
_EXAMPLES = "a number of folds such as `5`, `5:stratified`, `5:plain`, `5:time` or `5:group=COLUMN`"


@dataclass(frozen=True)
class Folds:
    """How rows are dealt to folds.

    Attributes:
        count: How many.
        kind: `auto` (stratified where the targets are classes), `stratified`, `plain`, `time` or `group`.
        group: The column whose rows stay together.
    """

    count: int
    kind: str = "auto"
    group: str = ""


@dataclass(frozen=True)
class Fold:
    """One of them: its rows validate, the others train.

    Attributes:
        folds: All of them.
        number: From 0.
    """

    folds: Folds
    number: int


def parse_folds(value: int | str) -> Folds:
    """The folds meant by `value`.

    Raises:
        ValueError: None are; the message says what was expected.
    """
    found = _FORM.fullmatch(str(value).strip())
    if found is None or int(found["count"]) < 2:
        raise ValueError(_EXAMPLES)
    kind = found["kind"] or "auto"
    group = found["group"] or ""
    return Folds(int(found["count"]), "group" if group else kind, group)


def folds_text(value: int | str) -> int | str:
    """`value` as it is recorded, once it is known to be good.

    Raises:
        ValueError: It means no folds.
    """
    parse_folds(value)
    return value
