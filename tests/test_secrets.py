"""Twenty canaries in environment, source, prints, traceback and config: none in what is stored or shown."""

from __future__ import annotations

import contextlib
import json
import time

import pytest

from jupyter_train import runs, train
from jupyter_train.mirrors.wandb_file import sent_counts
from jupyter_train.panel.bundle import bundle
from jupyter_train.panel.snapshot import snapshot
from jupyter_train.store.masking import MASK
from tests.models import LitDigits, digits
from tests.store.test_masking import CANARIES

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def test_no_canary_is_found_in_store_folder_or_panel(own_store, shell, monkeypatch) -> None:
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
    deadline = time.monotonic() + 60
    while sent_counts(run.folder)["train_loss"] < run.metrics["train_loss"].notna().sum():
        assert time.monotonic() < deadline
        time.sleep(0.2)
    files = [path for path in own_store.rglob("*") if path.is_file() and path.parent.name != "checkpoints"]
    written = b"".join(path.read_bytes() for path in files)
    shown = json.dumps(bundle(snapshot(run._store, run.key)), ensure_ascii=False)
    canaries = [secret for _, secret in CANARIES.values()] + ["canary-by-name"]
    leaks = {
        str(path.relative_to(own_store)): [s for s in canaries if s.encode() in path.read_bytes()] for path in files
    }
    assert {name: found for name, found in leaks.items() if found} == {}
    assert [secret for secret in canaries if secret in shown] == []
    assert written.count(MASK.encode()) > 40
    assert MASK in shown
