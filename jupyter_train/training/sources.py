"""The sources of the classes that are trained: a resumed run must not go on with another model unawares."""

from __future__ import annotations

import difflib
import hashlib
import inspect
from typing import Any

from jupyter_train.store.masked_source import mask_source

_MOST_LINES = 24
#: Classes of these packages are told apart by the packages' versions.
_LIBRARIES = ("torch", "pytorch_lightning", "lightning", "torchmetrics", "sklearn", "numpy", "pandas", "builtins",
              "jupyter_train")  # fmt: skip


def sources_of(objects: dict[str, Any], keeps_text: bool) -> dict[str, dict[str, str]]:
    """Class, SHA-256 and text of the source behind each object; objects of libraries are left out.

    Args:
        objects: What is trained, by the word for it: `model`, `data`.
        keeps_text: Whether the record may hold the text, secrets masked.
    """
    found = {}
    for word, one in objects.items():
        kind = type(one)
        if one is None or kind.__module__.partition(".")[0] in _LIBRARIES:
            continue
        text = _text_of(kind)
        if text:
            kept = mask_source(text) if keeps_text else ""
            found[word] = {
                "class": kind.__qualname__,
                "sha256": hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest(),
                "text": kept,
            }
    return found


def _text_of(kind: type) -> str:
    """The source of a class and of those it is derived from, as far as they are the user's."""
    texts = []
    for one in kind.__mro__:
        if one.__module__.partition(".")[0] in _LIBRARIES:
            continue
        try:
            texts.append(inspect.getsource(one))
        except (OSError, TypeError):
            continue
    return "\n".join(texts)


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What has changed between two records of sources: a line each, followed by the lines that differ."""
    lines = []
    for word, old in before.items():
        new = now.get(word)
        if new is None or new["sha256"] == old["sha256"]:
            continue
        lines.append(f"the source of the {word} `{new['class']}` has changed")
        if old.get("text") and new.get("text"):
            found = difflib.unified_diff(old["text"].splitlines(), new["text"].splitlines(), lineterm="", n=0)
            changed = [line for line in found if line[:2] not in ("--", "++", "@@")]
            lines += [f"    {line}" for line in changed[:_MOST_LINES]]
    return lines
