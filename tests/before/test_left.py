"""What an earlier release left behind opens, resumes and predicts."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest
import torch

from jupyter_train import Run, retrain, runs, train, tune
from jupyter_train.panel.bundle import MIME_TYPE
from jupyter_train.store import open_store
from jupyter_train.store.run_folder import RunFolder
from jupyter_train.training.checkpoints.format import file_hash, read
from jupyter_train.training.data.encoder import Encoder
from tests.before.subjects import Flowers, FlowersData, Stage, flowers
from tests.models import are_equal, weights

pytestmark = [pytest.mark.filterwarnings("ignore::UserWarning"), pytest.mark.timeout(240)]
TABLE = {"target": "species", "encode": "auto", "batch_size": 16, "quiet": True}
STATUS = {
    "whole": "finished",
    "failed": "failed",
    "seeds": "finished",
    "detached": "stopped",
    "folds": "stopped",
    "searched": "finished",
    "away": "stopped",
    "saved": "finished",
}


def test_all_of_it_is_listed_and_shown(left: dict[str, Run]) -> None:
    assert {name: str(run.status) for name, run in left.items()} == STATUS
    assert len(runs()) == len(STATUS)
    for run in left.values():
        assert run.record.ref in repr(run)
        assert all(event.text for event in run.events)
    whole = left["whole"]
    assert whole.metrics["val_acc"].dropna().iloc[-1] == pytest.approx(whole.record.summary["last"]["val_acc"])
    assert whole.config["encode"] == "auto"
    assert whole.attempts[0]["attempt"] == 1


def test_a_model_with_an_object_among_its_hyperparameters_predicts_the_same(left: dict[str, Run]) -> None:
    run = left["whole"]
    model = run.load_into(Flowers(), which="best").eval()
    path = run.folder / "checkpoints" / "last-step24-3.ckpt"
    stage = read(path, file_hash(path))["hyper_parameters"]["stage"]
    assert isinstance(stage, Stage)
    assert stage.name == "last"
    again = train(lambda: Flowers(stage=Stage("last")), flowers(), epochs=3, seed=1, **TABLE)
    rows = Encoder.load(RunFolder(run.folder)).features(flowers())
    torch.testing.assert_close(model(torch.as_tensor(rows)).detach(), again.predict(flowers()))


def test_a_failed_run_resumes_as_an_unbroken_one_would_have_gone(left: dict[str, Run]) -> None:
    resumed = train(lambda: Flowers(stage=Stage("first")), flowers(), resume=left["failed"].ref, quiet=True)
    assert (resumed.status, resumed.record.attempt) == ("finished", 2)
    assert are_equal(weights(resumed.model(which="last")), weights(left["whole"].model(Flowers(), which="last")))
    assert resumed.metrics["train_loss"].tolist() == left["whole"].metrics["train_loss"].tolist()


def test_detached_runs_resume_from_their_payloads(left: dict[str, Run]) -> None:
    run = left["detached"].resume().wait(120)
    assert run.status == "finished", (run.record.message, run.log)
    whole = train(lambda: Flowers(4, stage=Stage("away")), FlowersData(), epochs=8, seed=3, quiet=True)
    assert are_equal(weights(run.model(Flowers(4), which="last")), weights(whole._module))
    folds = left["folds"].resume(epochs=5).wait(120)
    assert folds.status == "finished", (folds.record.message, folds.log)
    assert [str(fold.status) for fold in folds.children] == ["finished", "finished"]


def test_studies_resume_from_their_journals(left: dict[str, Run]) -> None:
    searched = left["searched"]
    before = searched.trials
    assert list(before["state"]) == ["complete"] * 3
    assert isinstance(searched.best.model(Flowers(4)), Flowers)
    usual = {"epochs": 2, "maximize": "val_acc", "seed": 4, "quiet": True, "prune": "none"}
    space = {"lr": "1e-3..1e-1:log", "hidden": [4, 8]}
    longer = tune(
        lambda lr, hidden: Flowers(4, lr, hidden), FlowersData(), space=space, trials=5, resume=searched.ref, **usual
    )
    assert longer.trials["val_acc"].to_dict().items() >= before["val_acc"].to_dict().items()
    assert list(longer.trials["state"]) == ["complete"] * 5
    away = left["away"].resume(trials=4).wait(120)
    assert away.status == "finished", (away.record.message, away.log)
    assert list(away.trials["state"]) == ["complete"] * 4


def test_a_fork_takes_its_weights_and_its_encoder(left: dict[str, Run]) -> None:
    run = train(lambda: Flowers(), flowers(), fork=left["whole"].ref, epochs=4, **TABLE)
    assert run.status == "finished"
    assert run.predict(flowers()).shape == (150, 3)


def test_the_saved_notebook_keeps_its_panel_and_is_repeated(left: dict[str, Run], own_store: Path) -> None:
    notebook = nbformat.read(own_store / "saved.ipynb", 4)
    (panel,) = [out.data for out in notebook.cells[-1].outputs if MIME_TYPE in out.get("data", {})]
    schema = json.loads((Path(__file__).parents[2] / "jupyter_train" / "panel" / "run.schema.json").read_text())
    import jsonschema

    jsonschema.validate(panel[MIME_TYPE], schema)
    assert retrain(own_store / "saved.ipynb", {}, own_store / "out.ipynb").status == "finished"
    assert open_store().get(left["saved"].key).status == "finished"


def test_a_name_that_left_code_may_import_is_there() -> None:
    from jupyter_train.training.data.sample_order import in_order

    loader = FlowersData()
    loader.setup("fit")
    assert len(in_order(loader.train_dataloader(), 1)) == 10
