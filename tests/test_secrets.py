"""Twenty canaries in environment, source, prints, traceback and config: none in what is stored or shown."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path

import pytest

from jupyter_train import doctor, retrain, runs, train, tune
from jupyter_train.exceptions import CellFailedError, JupyterTrainError
from jupyter_train.mirrors.wandb_file import sent_counts
from jupyter_train.panel.bundle import bundle
from jupyter_train.panel.details import details
from jupyter_train.panel.snapshot import snapshot
from jupyter_train.store.redaction import MASK
from tests.models import LitDigits, digits
from tests.notebook.test_retrain import write
from tests.store.test_redaction import CANARIES
from tests.waiting import until

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
    pytest.mark.timeout(240),
]


def leaks_below(folder: Path, *but: Path) -> dict[str, list[str]]:
    """Canaries by the file that shows them; not what only the run's own process reads."""
    private = ("checkpoints", "payload.pickle")
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and path not in but and not {path.name, path.parent.name} & set(private):
            content = path.read_bytes().lower()
            if b"canary" in content:
                place = content.index(b"canary")
                found[str(path.relative_to(folder))] = [str(content[max(0, place - 80) : place + 40])]
    return found


def test_no_secret_is_found_in_store_folder_or_panel(own_store, shell, monkeypatch) -> None:
    monkeypatch.setenv("MY_SERVICE_TOKEN", CANARIES["environment secret"][1])
    texts = [template.format(secret) for template, secret in CANARIES.values()]
    source = "\n".join(f"# {text}" for text in texts)
    shell.run_cell(source, store_history=True)
    everything = " ; ".join(texts)

    class Leaky(LitDigits):
        def __init__(self):
            super().__init__()
            self.save_hyperparameters({"connection": everything, "api_key": "canary-by-name"})

        def on_train_start(self):
            import warnings

            warnings.warn(everything, UserWarning, stacklevel=1)

        def on_train_epoch_end(self):
            raise RuntimeError(everything)

    with contextlib.suppress(RuntimeError):
        train(Leaky(), digits(), epochs=1, seed=1, quiet=True, note=everything, tag=texts, name="secrets", wandb=True)
    run = runs()[0]
    assert run.status == "failed"
    until(lambda: sent_counts(run.folder)["train_loss"] >= run.metrics["train_loss"].notna().sum())
    shown = [
        bundle(snapshot(run._store, run.key)),
        details(run._store, run.key),
        [one.message for one in doctor.diagnose()],
    ]
    assert leaks_below(own_store) == {}
    assert "canary" not in json.dumps(shown).lower()
    files = [path for path in own_store.rglob("*") if path.is_file()]
    assert b"".join(path.read_bytes() for path in files).count(MASK.encode()) > 40
    assert MASK in json.dumps(shown, ensure_ascii=False)


START = """\
%load_ext jupyter_train
from tests.models import LitDigits, digits
run = %train LitDigits() digits() --epochs 1 --seed 1 --quiet --notify 'sh -c "exit 3; canary-command-21"'
"""
NAMED = """\
password: str = "canary-annotated-22"
secret = '''canary-lines-23
canary-lines-24'''
print(password, secret)
"""
SHOWN = """\
from IPython.display import HTML, display
for text in {texts!r}:
    print(f"\\x1b[33m{{text}}\\x1b[0m")
    display(HTML(f"<b>{{text[:6]}}</b>{{text[6:]}}"))
"""
FAILING = """\
def connect(token: str = "canary-default-25"):
    raise RuntimeError({everything!r})

connect()
"""


def test_no_secret_is_found_in_an_executed_notebook_its_html_or_its_runs(own_store, monkeypatch) -> None:
    """A real kernel: sources, prints, coloured text, markup, and the traceback as this IPython colours it."""
    monkeypatch.setenv("MY_SERVICE_TOKEN", CANARIES["environment secret"][1])
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    texts = [template.format(secret) for template, secret in CANARIES.values()]
    cells = [START, NAMED, SHOWN.format(texts=texts), FAILING.format(everything=" ; ".join(texts))]
    source = write(own_store / "leaky.ipynb", cells)
    with pytest.raises(CellFailedError) as failed:
        retrain(source, {}, own_store / "out.ipynb", html=True)
    run = next(run for run in runs() if run.record.kind == "train")
    assert run.status == "finished"
    assert "canary" not in (str(failed.value) + json.dumps([event.text for event in run.events])).lower()
    assert MASK in run.provenance["cells"][0]["source"]
    assert leaks_below(own_store, source) == {}
    assert b"canary-annotated-22" in source.read_bytes()
    executed = json.loads((own_store / "out.ipynb").read_text())["cells"]
    assert "\x1b[33m" in json.dumps(executed[-2]["outputs"], ensure_ascii=False).replace("\\u001b", "\x1b")
    assert executed[-1]["outputs"][0]["ename"] == "RuntimeError"


class Unpacked(LitDigits):
    """Prints and raises where it is unpacked in another process."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text, self.pid = text, os.getpid()

    def __setstate__(self, state):
        super().__setstate__(state)
        if state["pid"] != os.getpid():
            print(state["text"])
            print(state["text"], file=sys.stderr)
            raise RuntimeError(state["text"])


class Failing(LitDigits):
    """Raises in its first step."""

    def __init__(self, lr: float) -> None:
        super().__init__(lr=lr)

    def on_train_start(self):
        raise RuntimeError(" ; ".join(template.format(secret) for template, secret in CANARIES.values()))


def test_no_secret_is_found_in_what_processes_of_their_own_leave(own_store, monkeypatch) -> None:
    """A detached run that fails before it begins, and a search whose trials fail, print and raise canaries."""
    monkeypatch.setenv("MY_SERVICE_TOKEN", CANARIES["environment secret"][1])
    everything = " ; ".join(template.format(secret) for template, secret in CANARIES.values())
    with contextlib.suppress(JupyterTrainError):
        train(Unpacked(everything), digits(), epochs=1, seed=1, detach=True, quiet=True).wait(120)
    [detached] = runs()
    with contextlib.suppress(JupyterTrainError):
        tune(Failing, digits(), space={"lr": [0.1, 0.2]}, trials=1, epochs=1, maximize="val_acc", quiet=True)
    assert (detached.folder / "crash.txt").read_text().count(MASK) > 20
    assert leaks_below(own_store) == {}
