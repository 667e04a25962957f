"""Names under which a value is a secret, and values that are none under any name."""

from __future__ import annotations

import pytest

from jupyter_train.store.secret_names import is_plain, is_secret, is_secret_name

SECRET = (
    *("api_key", "API-KEY", "client_secret", "token", "HF_TOKEN", "password", "passwd", "db_pwd", "auth", "tokens"),
    *("authorization", "DATABASE_DSN", "GH_PAT", "connection_string", "credentials", "sort_key"),
)
SHOWN = ("lr", "tokenizer", "max_tokenization", "author", "authors", "keyboard", "pwdx", "epoch", "host", "user")


@pytest.mark.parametrize("name", SECRET)
def test_a_value_under_this_name_is_not_shown(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", SHOWN)
def test_a_value_under_this_name_is_shown(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize("value", ["", "abc", "None", "TRUE", "bearer", "1024", "-3.5e-4", "<eos>", "[PAD]", "••••••"])
def test_a_value_that_is_no_secret_under_any_name(value: str) -> None:
    assert is_plain(value)
    assert not is_secret("api_key", value)


@pytest.mark.parametrize("value", ["hunter2", "abcd", "12ab34", "[a b]"])
def test_a_value_that_may_be_a_secret(value: str) -> None:
    assert not is_plain(value)
    assert is_secret("password", value)


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("sort_key", "name", False),
        ("tokens", "the quick brown", False),
        ("auth", "username", False),
        ("sort_key", "a1b2c3d4e5", True),  # a weak name and a random value
        ("auth", "x9" * 6, True),
        ("key", "val_loss", False),
        ("key", "a1" * 12, True),
        ("lr", "a1" * 12, False),
    ],
)
def test_under_a_weak_name_a_value_must_look_random(name: str, value: str, secret: bool) -> None:
    assert is_secret(name, value) is secret
