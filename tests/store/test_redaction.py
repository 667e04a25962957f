"""Secrets are masked by their shape, their name, and the values of this environment."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from pathlib import Path

import pytest

from jupyter_train.store.environment_variables import variables
from jupyter_train.store.redaction import MASK, mask, mask_html, mask_tree

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


PRINTED = {
    "api_key=zz91aabbcc",
    "token=zz91aabbcc",
    "access_token=zz91aabbcc",
    "password: hunter22",
    "api-key: zz91aabbcc",
    "client_secret=zz91aabbcc",
    "PASSWORD : zz91aabbcc!",
    "credentials=zz91aabbcc",
    "passphrase: zz91aabbcc",
}
HARMLESS = {
    "max_tokens=1024",
    "token: 12 of 50",
    "tokens=zz9",
    "tokenizer=bert2",
    "api_key: none",
    "password: forgotten",
    "the token layer1.weight",
    "secret=false",
    "key=zz91aabbcc",
    "password=",
    "api_key: str",
    "val_token_acc=0.91",
}


@pytest.mark.parametrize("text", sorted(PRINTED))
def test_what_a_name_calls_a_secret_is_masked_in_printed_text(text: str) -> None:
    secret = text.replace("=", " ").split()[-1]
    assert secret not in mask(f"ValueError: {text}")
    assert secret not in mask(f"x {text}, y\n{text}\n")


@pytest.mark.parametrize("text", sorted(HARMLESS))
def test_what_is_no_secret_stays_in_printed_text(text: str) -> None:
    assert mask(f"epoch 3 {text} done") == f"epoch 3 {text} done"


#: What may stand before, within and after a secret without being seen, or be taken for a part of its first word.
DISGUISES = {
    "coloured": lambda secret: f"\x1b[33m{secret}\x1b[0m",
    "split by a colour": lambda secret: f"{secret[:7]}\x1b[38;5;124;43m{secret[7:]}",
    "split letter by letter": "\x1b[0m".join,
    "within a link": lambda secret: f"\x1b]8;;https://a.b/?x={secret}\x07here\x1b]8;;\x07",
    "split by a code that is not seen": lambda secret: f"{secret[:7]}\x00\u200b\x9b1m{secret[7:]}",
    "behind letters": lambda secret: rf"\n{secret}",
}


#: Where these come between a secret and its name, the name is none any more.
APART = ("within a link", "behind letters", '<a href="https://a.b/?x={head}{tail}">here</a>', "<!-- {head}{tail} -->")


def canaries_in(disguises):
    return [(n, one) for n in CANARIES for one in disguises if CANARIES[n][0] == "{}" or one not in APART]


@pytest.mark.parametrize(("name", "disguise"), canaries_in(DISGUISES))
def test_canary_is_masked_in_disguise(name: str, disguise: str) -> None:
    template, secret = CANARIES[name]
    masked = mask(f"before \x1b[31m{template.format(DISGUISES[disguise](secret))}\x1b[0m after")
    assert MASK in masked
    assert not leaks(masked, secret)


def leaks(text: str, secret: str) -> bool:
    """Whether a secret, or its end, is found in a text by who drops whatever is not seen."""
    seen = re.sub(r"\x1b\[[0-9;]*m|\x9b1m|[\x00\u200b]|</?[a-z][^<>]*>", "", text)
    return secret[-9:] in seen or secret[-9:] in text


@pytest.mark.parametrize(
    ("name", "markup"),
    canaries_in(["<b>{head}</b>{tail}", "<span>{head}</span><span class='k'>{tail}</span>", *APART[2:]]),
)
def test_canary_is_masked_in_markup(name: str, markup: str) -> None:
    template, secret = CANARIES[name]
    escaped = template.replace('"', "&quot;").replace("'", "&#39;").replace(" = ", "<i> = </i>")
    masked = mask_html(escaped.format(markup.format(head=secret[:8], tail=secret[8:])))
    assert MASK in masked
    assert not leaks(masked, secret)


TRACEBACKS = json.loads(Path(__file__).with_name("tracebacks.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("version", TRACEBACKS)
def test_tracebacks_as_ipython_prints_them_are_masked(version: str) -> None:
    """Recorded from these releases: annotated and default arguments, joined and triple-quoted texts, tokens."""
    for text in (one for recorded in TRACEBACKS[version] for one in recorded):
        masked = mask(text)
        assert re.findall(r"canary[\w-]*|CANARY\w*", re.sub(r"\x1b\[[0-9;]*m", "", masked)) == []
        assert re.findall(r"\x1b\[[0-9;]*m", masked) == re.findall(r"\x1b\[[0-9;]*m", text)


@pytest.mark.parametrize(
    "text", ["\x1b[31mval_loss\x1b[0m 0.3", "\x1b]8;;https://a.b/c\x07run\x1b]8;;\x07", "\x00a \x9b3m val_loss"]
)
def test_colours_stay_where_nothing_is_masked(text: str) -> None:
    assert mask(text) == text


def test_markup_stays_where_nothing_is_masked() -> None:
    picture = "data:image/png;base64," + "b" * 40 + "AIza" + "a" * 40
    text = f"<table><tr><td>1 &lt; 2 &amp; 3</td></tr></table><img src='{picture}'>"
    assert mask_html(text) == text


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("see https://hooks.slack.com/services/T00/B00/canary01", "T00/B00/canary01"),
        ("POST https://discord.com/api/webhooks/123/canary-02", "canary-02"),
        ("https://api.telegram.org/bot123456:canary-0000000000003/send", "canary-0000000000003"),
        ("https://h.org/x?access_token=canary04&b=1", "canary04"),
        ("https://canary0000000000005@sentry.io/1", "canary0000000000005"),
        ("%train net data --notify https://h.org/canary06 --epochs 3", "canary06"),
        ("%train net data --notify='curl -d @- https://h.org/canary07'", "canary07"),
        ("!pip install --api-key canary08 x", "canary08"),
        ("%env API_KEY=canary09", "canary09"),
        ("%env API_KEY canary10", "canary10"),
        ("export DB_PASSWORD=canary11", "canary11"),
        ("host=db password=canary12 user=me", "canary12"),
        ("password: str = 'canary13'", "canary13"),
        ("cfg['api_key'] = (b'canary14'", "canary14"),
        ('token = "canary15"\\\n   "canary16"', "canary16"),
        ("secret = '''one\ntwo canary17'''", "canary17"),
        ('it said \\"password\\": \\"canary18\\"', "canary18"),
    ],
)
def test_what_stands_behind_a_name_or_an_address_is_masked(text: str, secret: str) -> None:
    assert MASK in mask(text)
    assert secret not in mask(text)


def test_what_the_environment_keeps_is_masked_however_it_is_written(monkeypatch) -> None:
    value = 'two words/"and"\n%'
    monkeypatch.setenv("ODD_SECRET", value)
    for text in (value, json.dumps(value), "two%20words%2F%22and%22%0A%25"):
        assert "words" not in mask(f"a {text} b")


@pytest.mark.parametrize(
    "text",
    [
        "val_loss 0.3",
        "lr = 3e-4",
        "def forward(self, tokens): return self.tokenizer",
        "batch_size=32",
        "https://example.org/a/b?c=d",
        "max_tokens = 128",
        "TokenEmbedding(128)",
        "tokenizer='bert-base-uncased'",
        "pad_token = '<pad>'",
        "tokens: ['the', 'quick']",
        "connect(password=password)",
        "task-of-a-very-long-name-2024",
        "task-0123456789abcdef0123456789abcdef",
        "highs_of_all_the_values_there_are",
        "--token {token}",
        "--max-tokens 128",
        "author: 'somebody'",
        "if token == other: pass",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert mask(text) == text


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "unit",
    [
        "x",
        "a.",
        "api_key",
        "eyJ",
        "a-b.",
        "://",
        "sk-",
        "token=",
        "Bearer ",
        "--token ",
        "token='",
        'token="""',
        "<a ",
        "\x1b[3m",
        "\x1b]",
        "http://hook/",
        "A_TOKEN",
        "&amp;",
    ],
)
def test_long_text_without_a_space_is_masked_in_linear_time(unit: str) -> None:
    mask(unit * (60_000 // len(unit)))
    mask_html(unit * (60_000 // len(unit)))


def test_values_under_secret_names_are_masked_in_trees() -> None:
    tree = {"db": {"password": "hunter2", "host": "db"}, "list": ["glpat-canary00000000000005"], "n": 3}
    assert mask_tree(tree) == {"db": {"password": MASK, "host": "db"}, "list": [MASK], "n": 3}


def test_lists_and_names_in_trees_are_masked_too() -> None:
    tree = {"auth": ["me", "hunter2"], "glpat-canary00000000000005": 1, "eos_token": "<eos>", "author": "somebody"}
    assert mask_tree(tree) == {"auth": ["me", MASK], MASK: 1, "eos_token": "<eos>", "author": "somebody"}


def test_variables_that_come_and_go_meanwhile_keep_nothing_from_being_masked() -> None:
    """Lightning sets and unsets one at every seed, while the writer's thread masks a message."""
    is_over = threading.Event()

    def change() -> None:
        while not is_over.is_set():
            os.environ["PL_GLOBAL_SEED_TOKEN"] = "canary-coming-and-going"
            del os.environ["PL_GLOBAL_SEED_TOKEN"]

    changing = threading.Thread(target=change)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    changing.start()
    try:
        for _ in range(3000):
            assert MASK in mask("before canary-env-value-0001 after")
            assert variables()["MY_SERVICE_TOKEN"] == "canary-env-value-0001"
    finally:
        is_over.set()
        changing.join()
        sys.setswitchinterval(interval)


@pytest.mark.parametrize("text", ["to\u212aen=zz91aabbcc", "\u017fecret=zz91aabbcc", "ap\u0131_key=zz91aabbcc"])
def test_letters_that_count_as_others_hide_no_secret(text: str) -> None:
    """`re.IGNORECASE` takes the Kelvin sign for a k, a long s for an s, an i without its dot for an i."""
    assert "zz91aabbcc" not in mask(text)


@pytest.mark.parametrize("filler", ["x" * 400_000, "Epoch 3: train_loss=0.25, 40 steps/s\n" * 10_000])
def test_a_long_text_hides_nothing(filler: str) -> None:
    """Of a long text only what stands around the words that a secret needs is read."""
    for text in [*(template.format(secret) for template, secret in CANARIES.values()), *sorted(PRINTED)]:
        around = f"{filler}\n {text}\n {filler}"
        assert mask(around) == f"{filler}\n {mask(text)}\n {filler}", text
    key = f"-----BEGIN PRIVATE KEY-----\n{filler}\n-----END PRIVATE KEY-----"
    assert mask(f"{filler}\n{key}\n{filler}") == f"{filler}\n{MASK}\n{filler}"


@pytest.mark.timeout(120)
def test_fifty_megabytes_without_a_secret_are_read_once() -> None:
    """Every pattern tried at every letter took minutes; what none of them can begin with is seen at once."""
    text = ("x" * 100 + "\n") * 500_000
    assert mask(text) == text
    assert mask(f"{text}api_key=zz91aabbcc").endswith(f"x\napi_key={MASK}")
