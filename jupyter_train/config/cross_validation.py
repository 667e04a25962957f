"""Cross-validation as it is typed: `5`, `5:stratified`, `5:time`, `5:group=COLUMN`."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FORM = re.compile(r"(?P<count>\d+)(?::(?P<kind>stratified|plain|time|group=(?P<group>.+)))?")
_EXAMPLES = "a number of folds such as `5`, `5:stratified`, `5:plain`, `5:time` or `5:group=COLUMN`"


@dataclass(frozen=True)
class Folds:
    """How rows are assigned to folds.

    Attributes:
        count: Number of folds.
        kind: `auto` (stratified where the targets are classes), `stratified`, `plain`, `time` or `group`.
        group: The column whose rows stay together.
    """

    count: int
    kind: str = "auto"
    group: str = ""


@dataclass(frozen=True)
class Fold:
    """One fold: its rows validate, the rest train.

    Attributes:
        folds: The split it belongs to.
        number: Its index, from 0.
    """

    folds: Folds
    number: int


def parse_folds(value: int | str) -> Folds:
    """The folds that `value` describes.

    Raises:
        ValueError: It describes none; the message says what was expected.
    """
    match = _FORM.fullmatch(str(value).strip())
    if match is None or int(match["count"]) < 2:
        raise ValueError(_EXAMPLES)
    kind = match["kind"] or "auto"
    group = match["group"] or ""
    return Folds(int(match["count"]), "group" if group else kind, group)


def folds_text(value: int | str) -> int | str:
    """`value` as it is recorded, checked.

    Raises:
        ValueError: It describes no folds.
    """
    parse_folds(value)
    return value
