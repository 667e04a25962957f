"""Secrets in source that is recorded: whatever way of writing names them."""

from __future__ import annotations

import ast

import pytest

from jupyter_train.store.redacted_source import mask_source, mask_sources, secrets_in, secrets_of_target
from jupyter_train.store.redaction import MASK

PYTHON = [
    "password: str = 'c4nary'",
    "password = 'c4nary'",
    "login(user='me', password='c4nary')",
    "token = f'abc-{x}-c4nary'",
    "d = {'api_key': 'c4nary', 'user': 'me'}",
    "self.password = 'c4nary'",
    "cfg['db_password'] = 'c4nary'",
    'secret = """one\nline-c4nary"""',
    "token = b'c4nary'",
    "token = ('one-c4nary'\n         'two-c4nary')",
    "token = 'one-c4nary' + x + 'two-c4nary'",
    "a, password = 1, 'c4nary'",
    "if password == 'c4nary': pass",
    "def f(x, api_token='c4nary', *, passwd='c4nary'): return x",
    "os.environ.setdefault('API_TOKEN', 'c4nary')",
    "os.environ['API_TOKEN'] = 'c4nary'",
    "token = os.getenv('API_TOKEN', 'c4nary')",
    "class A:\n    password: str = 'c4nary'",
    "key = SecretStr('c4nary')",
    "connect(headers=[('x-api-key', 'c4nary')])",
    "(token := 'c4nary')",
    "def get_password(): return 'c4nary'",
    "wandb.login(key='c4nary00000000000000000000000000')",
    "token = 'c4nary' if a else b",
    "password = base64.b64decode('c4nary')",
    "url = f'postgresql://me:c4nary@{host}/db'",
    "train(net, data, notify='https://a.org/c4nary')",
    "train(net, data, notify='curl https://a.org/c4nary')",
    "hook = 'https://a.org/c4nary'\ntrain(net, data, notify=hook)",
    "def hook(): return 'https://a.org/c4nary'\ntrain(net, data, notify=hook())",
    "wandb.login('c4nary0000000000000000000000000000000000')",
    "class A:\n    password: str = Field(default='c4nary')",
    "class A:\n    password: str = Field(default_factory=lambda: 'c4nary')",
    "token = os.getenv('API_TOKEN', default='c4nary')",
    "os.getenv('API_TOKEN', default='c4nary')",
    "parser.add_argument('-p', '--password', default='c4nary')",
    "@click.option('--token', default='c4nary')\ndef f(token): return token",
]
OTHER = [
    "%train net data --notify https://a.org/c4nary",
    "run = %train net data --epochs 5 \\\n  --notify 'https://a.org/c4nary'\npassword: str = 'c4nary'",
    "%%train\nmodel: net\nnotify: https://a.org/c4nary\nlogger_api_key: c4nary\n",
    "%%time\ntoken = b'c4nary'",
    "%train net data --epochs 5 --notify \\\n  https://a.org/c4nary",
    "%%train\nmodel: net\nnotify: >\n  curl https://a.org/c4nary\n  -d c4nary\nepochs: 3\n",
    "%%train\nmodel: net\n'notify': 'https://a.org/c4nary'\n",
    "%%train\n{model: net, notify: 'https://a.org/c4nary', epochs: 3}\n",
    "%%train\nlogger:\n  - init_args: {api_key: c4nary9}\n    password: |\n      c4nary9\n",
    "%%train\nlogger: {password: 12c4nary, token: -c4nary9}\nepochs: 3\n",
    "!wandb login c4nary0000000000000000000000000000000000",
    "!curl -s -u me:c4nary https://a.org",
    "!curl -H 'X-Api-Key: c4nary99' https://a.org",
    "!sshpass -p c4nary ssh host",
    "%%bash\nexport TOKEN=c4nary",
    "if True:\n    %matplotlib inline\n    cfg['password'] = 'c4nary'",
    "hook = 'https://a.org/c4nary'\n%train net data --notify {hook}",
    "help?\n!curl -H 'Authorization: Bearer c4nary000000' x",
    "this is ( broken\npassword: str = 'c4nary'\ntoken = b'c4nary'",
]


@pytest.mark.parametrize("source", [*PYTHON, *OTHER])
def test_secret_is_masked(source: str) -> None:
    masked = mask_source(source)
    assert "c4nary" not in masked
    assert MASK in masked
    assert mask_source(masked) == masked


@pytest.mark.parametrize("source", PYTHON)
def test_masked_python_is_python(source: str) -> None:
    ast.parse(mask_source(source))


@pytest.mark.parametrize(
    "source",
    [
        "token = os.environ['MY_TOKEN']",
        "token = os.getenv('MY_TOKEN')",
        "password = getpass('Your password: ')",
        "tokenizer = AutoTokenizer.from_pretrained('bert-base')",
        "pad_token = '<pad>'",
        "tokens = ['the', 'quick']",
        "sort_key = 'epoch'",
        "max_tokens = '128'",
        "self.log(key='val_loss_2', value=1)",
        "df[['token', 'label']]",
        "%train net data --epochs 5 --monitor val_loss",
        "größe = 'ä'; lr = 3e-4",
        "%train net data --notify notify-send",
        "train(net, data, notify=None)",
    ],
)
def test_ordinary_source_is_left_alone(source: str) -> None:
    assert mask_source(source) == source


def test_what_one_cell_names_is_masked_in_all() -> None:
    cells = ["größe = 'ä'; password = 'c4nary-ö1'", "connect('me', 'c4nary-ö1')", "# c4nary-ö1"]
    assert not any("c4nary" in cell for cell in mask_sources(cells))


def test_secrets_are_found_line_by_line() -> None:
    cells = ["token = '''c4nary-1\n  c4nary-2\n'''", "password = 'localhost'"]
    assert secrets_in(cells) == {"c4nary-1", "c4nary-2"}


def test_a_target_of_notices_hides_its_address() -> None:
    found = secrets_of_target("https://me:pw-c4nary@a.org/path/c4nary?x=1")
    assert {"path/c4nary?x=1", "me:pw-c4nary"} <= found
    assert "https://a.org/c4nary" in secrets_of_target("curl -d @- 'https://a.org/c4nary'")
