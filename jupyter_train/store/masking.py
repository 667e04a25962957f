"""Keeps secrets out of what is stored or shown. Best effort: it knows patterns and this environment."""

from __future__ import annotations

import os
import re
from typing import Any

MASK = "••••••"

_SECRET_NAME = re.compile(
    r"(secret|token|passw(or)?d|passphrase|api[_-]?key|access[_-]?key|private[_-]?key|credential|auth|dsn|"
    r"connection[_-]?string|^pwd$|_pwd$|_pat$|_key$)",
    re.IGNORECASE,
)
#: Shapes of well-known credentials: cloud keys, forge and model-hub tokens, JWTs, URLs with a password.
_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
        r"\bgh[pousr]_[A-Za-z0-9]{20,}\b",
        r"\bgithub_pat_[A-Za-z0-9_]{20,}\b",
        r"\bglpat-[A-Za-z0-9_-]{16,}\b",
        r"\bhf_[A-Za-z0-9]{20,}\b",
        r"\bsk-[A-Za-z0-9_-]{16,}\b",
        r"\bxox[abprs]-[A-Za-z0-9-]{10,}\b",
        r"\bAIza[A-Za-z0-9_-]{30,}\b",
        r"\bya29\.[A-Za-z0-9_-]{20,}\b",
        r"\bpypi-[A-Za-z0-9_-]{32,}\b",
        r"\bnpm_[A-Za-z0-9]{30,}\b",
        r"\bsk_(?:live|test)_[A-Za-z0-9]{16,}\b",
        r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}\b",
        r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\b",
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    )
)
_URL_PASSWORD = re.compile(
    r"(?P<head>\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@]{1,200}:)(?P<secret>[^\s@/]{1,500})(?P<tail>@)", re.IGNORECASE
)
_BEARER = re.compile(r"(?P<head>\b(?:Bearer|Basic)\s+)(?P<secret>[A-Za-z0-9._~+/=-]{12,})")
#: `api_key = "…"`, `"password": '…'`, `token=…`: the name says that the value is a secret.
_ASSIGNED = re.compile(
    r"(?P<head>\b[\w.-]{0,30}(?:secret|token|passw(?:or)?d|passphrase|api[_-]?key|access[_-]?key|private[_-]?key|"
    r"credential|auth[_-]?key)[\w-]{0,60}[\"']?\]?\s*(?:=|:)\s*[rbf]?(?P<quote>[\"']))(?P<secret>(?:(?!(?P=quote)).){4,})",
    re.IGNORECASE,
)
_SHORTEST_SECRET = 6
# every quantifier before a literal is bounded: outputs of 100 KB without a space are masked too


def is_secret_name(name: str) -> bool:
    """True when a value under this name should not be shown."""
    return _SECRET_NAME.search(name) is not None


def _environment_secrets() -> list[str]:
    """Values of secret-named environment variables, longest first."""
    values = {value for name, value in os.environ.items() if is_secret_name(name)}
    plain = {"true", "false", "none", "null", "disabled", "enabled", "default"}
    kept = [v for v in values if len(v) >= _SHORTEST_SECRET and v.lower() not in plain and not v.startswith("/")]
    return sorted(kept, key=len, reverse=True)


def mask(text: str) -> str:
    """`text` with every secret it recognises replaced by dots."""
    return _mask(text, _environment_secrets()) if text else text


def _mask(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        if secret in text:
            text = text.replace(secret, MASK)
    if len(text) < _SHORTEST_SECRET:
        return text
    for pattern in _PATTERNS:
        text = pattern.sub(MASK, text)
    text = _URL_PASSWORD.sub(rf"\g<head>{MASK}\g<tail>", text)
    text = _BEARER.sub(rf"\g<head>{MASK}", text)
    return _ASSIGNED.sub(rf"\g<head>{MASK}", text)


def mask_tree(value: Any) -> Any:
    """`value` (plain JSON) with secrets in its strings, and under secret names, replaced by dots."""
    return _mask_tree(value, _environment_secrets())


def _mask_tree(value: Any, secrets: list[str]) -> Any:
    if isinstance(value, str) and not hasattr(value, "value"):  # enums stay as they are
        return _mask(value, secrets)
    if isinstance(value, dict):
        return {key: _mask_item(key, item, secrets) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_mask_tree(item, secrets) for item in value]
    return value


def _mask_item(key: Any, item: Any, secrets: list[str]) -> Any:
    if isinstance(key, str) and isinstance(item, str) and item and is_secret_name(key):
        return MASK
    return _mask_tree(item, secrets)
