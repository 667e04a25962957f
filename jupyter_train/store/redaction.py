"""Keeps secrets out of what is stored or shown. Best effort: it knows patterns, names and this environment."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Sequence
from typing import Any
from urllib.parse import quote

from jupyter_train.store.environment_variables import variables
from jupyter_train.store.secret_names import is_plain, is_secret_name
from jupyter_train.store.secret_patterns import spans
from jupyter_train.store.visible_text import VisibleText, has_codes, with_inside

MASK = "••••••"

_MIN_SECRET = 6


def mask(text: str, also: Collection[str] = ()) -> str:
    """`text` with every secret it recognises replaced by dots; colours and other control codes stay.

    Args:
        text: Plain text, as it is printed.
        also: Further secrets that are known, such as those a notebook's own source names.
    """
    return _mask(text, _known(also)) if text else text


def one_line(text: str, most: int, also: Collection[str] = ()) -> str:
    """`text` masked, on one line, of at most `most` letters: cut afterwards, since half a secret looks like none."""
    return " ".join(mask(text, also).split())[:most]


def mask_html(text: str, also: Collection[str] = ()) -> str:
    """As `mask`, of markup: also what tags or entities split is found."""
    return _mask(text, _known(also), is_html=True)


def mask_tree(value: Any, also: Collection[str] = ()) -> Any:
    """`value` (plain JSON) with secrets in its strings, and under secret names, replaced by dots."""
    return _mask_tree(value, _known(also))


def _known(also: Collection[str]) -> list[str]:
    """Secrets of this environment and further ones, as they are and as they are written, longest first."""
    values = {value for name, value in variables().items() if is_secret_name(name) and _is_meant(value)}
    values |= {value for value in also if len(value) >= _MIN_SECRET}
    written = {form for value in values for form in (value, json.dumps(value)[1:-1], quote(value, safe=""))}
    return sorted(written, key=len, reverse=True)


def _is_meant(value: str) -> bool:
    """A secret-named variable may be a switch, or name a file."""
    return len(value) >= _MIN_SECRET and not is_plain(value) and not (value[0] == "/" and os.path.exists(value))


def _mask(text: str, known: Sequence[str], is_html: bool = False) -> str:
    if len(text) < _MIN_SECRET and not any(secret in text for secret in known):
        return text
    if not is_html and not has_codes(text):
        return _masked_plain(text, known)
    text = with_inside(text, lambda inside: _masked_plain(inside, known), is_html)
    visible = VisibleText(text, is_html)
    return visible.replaced(spans(visible.seen, known), MASK)


def _masked_plain(text: str, known: Sequence[str]) -> str:
    pieces: list[str] = []
    done = 0
    for start, end in spans(text, known):
        pieces += [text[done:start], MASK]
        done = end
    return "".join([*pieces, text[done:]])


def _mask_tree(value: Any, known: Sequence[str]) -> Any:
    if isinstance(value, str) and not hasattr(value, "value"):  # enums stay as they are
        return _mask(value, known)
    if isinstance(value, dict):
        return {_mask_key(key, known): _mask_item(key, item, known) for key, item in value.items()}
    if isinstance(value, list | tuple):
        named = ["", *(one.strip("-") if isinstance(one, str) and one.startswith("--") else "" for one in value)]
        return [_mask_item(name, item, known) for name, item in zip(named, value, strict=False)]
    return value


def _mask_key(key: Any, known: Sequence[str]) -> Any:
    return _mask(key, known) if isinstance(key, str) else key


def _mask_item(key: Any, item: Any, known: Sequence[str]) -> Any:
    if isinstance(key, str) and is_secret_name(key):
        if isinstance(item, str) and item and not is_plain(item):
            return MASK
        if isinstance(item, list | tuple) and not key.endswith("s"):
            return [_mask_item(key, one, known) for one in item]
    return _mask_tree(item, known)
