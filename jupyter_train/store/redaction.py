"""Masks secrets in what is stored or shown. Best effort: by patterns, names and the environment's values."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Collection, Sequence
from typing import Any
from urllib.parse import quote

from jupyter_train.store.environment_variables import variables
from jupyter_train.store.secret_names import is_plain, is_secret_name
from jupyter_train.store.secret_patterns import spans
from jupyter_train.store.visible_text import VisibleText, has_codes, with_inside

MASK = "••••••"

_MIN_LETTERS = 6


def mask(text: str, also: Collection[str] = ()) -> str:
    """`text` with every recognised secret replaced by dots; colours and other control codes stay.

    Args:
        text: Plain text, as it is printed.
        also: Further known secrets, such as those in a notebook's own source.
    """
    return _mask(text, _known(also)) if text else text


def one_line(text: str, most: int, also: Collection[str] = ()) -> str:
    """`text` masked, on one line of at most `most` letters; cut after masking: half a secret is not recognised."""
    return " ".join(mask(text, also).split())[:most]


def error_summary(err: BaseException, most: int = 500) -> str:
    """The last line of an error's traceback, masked, at most `most` letters."""
    return one_line(traceback.format_exception_only(err)[-1], most)


def mask_html(text: str, also: Collection[str] = ()) -> str:
    """As `mask`, for HTML: also finds secrets that tags or entities split."""
    return _mask(text, _known(also), is_html=True)


def mask_tree(value: object, also: Collection[str] = ()) -> Any:
    """`value` (plain JSON) with secrets in its strings, and under secret names, replaced by dots."""
    return _mask_tree(value, _known(also))


def _known(also: Collection[str]) -> list[str]:
    """The secrets of the environment and of `also`, plain, JSON-escaped and URL-quoted, longest first."""
    values = {value for name, value in variables().items() if is_secret_name(name) and _is_secret_value(value)}
    values |= {value for value in also if len(value) >= _MIN_LETTERS}
    written = {form for value in values for form in (value, json.dumps(value)[1:-1], quote(value, safe=""))}
    return sorted(written, key=len, reverse=True)


def _is_secret_value(value: str) -> bool:
    """Whether a secret-named variable holds a secret: it may be a switch, or a file name."""
    return len(value) >= _MIN_LETTERS and not is_plain(value) and not (value[0] == "/" and os.path.exists(value))


def _mask(text: str, known: Sequence[str], is_html: bool = False) -> str:
    if len(text) < _MIN_LETTERS and not any(secret in text for secret in known):
        return text
    if not is_html and not has_codes(text):
        return _masked_plain(text, known)
    text = with_inside(text, lambda inside: _masked_plain(inside, known), is_html)
    visible = VisibleText(text, is_html)
    return visible.replaced(spans(visible.seen, known), MASK)


def _masked_plain(text: str, known: Sequence[str]) -> str:
    pieces: list[str] = []
    copied_to = 0
    for start, end in spans(text, known):
        pieces += [text[copied_to:start], MASK]
        copied_to = end
    return "".join([*pieces, text[copied_to:]])


def _mask_tree(value: object, known: Sequence[str]) -> Any:
    if isinstance(value, str) and not hasattr(value, "value"):  # enums stay as they are
        return _mask(value, known)
    if isinstance(value, dict):
        return {_mask_key(key, known): _mask_item(key, item, known) for key, item in value.items()}
    if isinstance(value, list | tuple):
        option_names = [item.strip("-") if isinstance(item, str) and item.startswith("--") else "" for item in value]
        return [_mask_item(name, item, known) for name, item in zip(["", *option_names], value, strict=False)]
    return value


def _mask_key(key: object, known: Sequence[str]) -> object:
    return _mask(key, known) if isinstance(key, str) else key


def _mask_item(key: object, item: object, known: Sequence[str]) -> Any:
    if isinstance(key, str) and is_secret_name(key):
        if isinstance(item, str) and item and not is_plain(item):
            return MASK
        if isinstance(item, list | tuple) and not key.endswith("s"):
            return [_mask_item(key, entry, known) for entry in item]
    return _mask_tree(item, known)
