"""Secrets are masked by their shape, their name, and the values of this environment."""

from __future__ import annotations

import pytest

from jupyter_train.store.masking import MASK, mask, mask_tree

#: Twenty canaries; no real credential among them.
CANARIES = {
    "environment secret": ("{}", "canary-env-value-0001"),
    "aws": ("{}", "AKIAQ7CANARY00000002"),
    "github": ("{}", "ghp_canary000000000000000000000000000003"),
    "github fine": ("{}", "github_pat_canary0000000000000000000004"),
    "gitlab": ("{}", "glpat-canary00000000000005"),
    "hugging face": ("{}", "hf_canary0000000000000000000006"),
    "openai": ("{}", "sk-canary00000000000000000007"),
    "slack": ("{}", "xoxb-canary-000000000008"),
    "google": ("{}", "AIzacanary0000000000000000000000000009a"),
    "google oauth": ("{}", "ya29.canary000000000000000000010"),
    "pypi": ("{}", "pypi-canary00000000000000000000000000000011"),
    "npm": ("{}", "npm_canary00000000000000000000000012"),
    "stripe": ("{}", "sk_live_canary00000000000013"),
    "sendgrid": ("{}", "SG.canary0000000000014.canary0000000000014"),
    "jwt": ("{}", "eyJcanary0015.eyJcanary0015.canarysignature15"),
    "url password": ("postgresql://me:{}@db/x", "canary-password-16"),
    "bearer": ("Authorization: Bearer {}", "canarybearer0000017"),
    "assigned": ('api_key = "{}"', "canary-assigned-18"),
    "json": ('{{"password": "{}"}}', "canary-json-19"),
    "keyword argument": ("connect(access_token='{}')", "canary-kwarg-20"),
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SERVICE_TOKEN", "canary-env-value-0001")


@pytest.mark.parametrize("name", CANARIES)
def test_canary_is_masked(name: str) -> None:
    template, secret = CANARIES[name]
    masked = mask(f"before {template.format(secret)} after")
    assert secret not in masked
    assert MASK in masked
    assert masked.startswith("before ")


@pytest.mark.parametrize(
    "text",
    ["val_loss 0.3", "lr = 3e-4", "def forward(self, tokens): return self.tokenizer", "batch_size=32",
     "https://example.org/a/b?c=d", "max_tokens = 128", "TokenEmbedding(128)"],
)  # fmt: skip
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert mask(text) == text


@pytest.mark.timeout(60)
@pytest.mark.parametrize("unit", ["x", "a.", "api_key", "eyJ", "a-b.", "://", "sk-", "token=", "Bearer "])
def test_long_text_without_a_space_is_masked_in_linear_time(unit: str) -> None:
    mask(unit * (200_000 // len(unit)))


def test_values_under_secret_names_are_masked_in_trees() -> None:
    tree = {"db": {"password": "hunter2", "host": "db"}, "list": ["glpat-canary00000000000005"], "n": 3}
    assert mask_tree(tree) == {"db": {"password": MASK, "host": "db"}, "list": [MASK], "n": 3}
