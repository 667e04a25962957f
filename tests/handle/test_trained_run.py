"""A run's weights: which checkpoint they are of, into which model they go, and in which formats they leave."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from jupyter_train import train
from jupyter_train.events import CheckpointKind
from jupyter_train.exceptions import ModelError, RunStateError
from jupyter_train.handle import Run
from jupyter_train.handle.trained_run import TrainedRun
from jupyter_train.store import MetricReader, RunFolder, open_store
from tests.models import LitDigits, are_equal, digits, weights

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture
def run(own_store) -> Run:
    """Trained in this kernel; its first epoch is the best, as a negated loss only falls."""
    return train(LitDigits(), digits(128), epochs=2, monitor="val_loss", mode="max", seed=1, quiet=True)


def elsewhere(run: Run) -> TrainedRun:
    """The same in a kernel that has no model."""
    return TrainedRun(open_store(), run.key)


def test_weights_are_the_best_or_the_last(run: Run) -> None:
    with MetricReader(RunFolder(run.record.folder).metrics) as reader:
        paths = {found.kind: run.folder / found.path for found in reader.checkpoints()}
    assert run.checkpoint == paths[CheckpointKind.BEST]
    saved = {kind: torch.load(path, weights_only=True)["state_dict"] for kind, path in paths.items()}
    for which in ("best", "last"):
        assert are_equal(weights(run.model(which=which)), list(saved[which].values()))
        assert are_equal(weights(elsewhere(run).model(LitDigits(), which)), list(saved[which].values()))
    assert not are_equal(weights(run.model()), weights(run.model(which="last")))
    with pytest.raises(ModelError, match="`first`: expected `best` or `last`"):
        run.model(which="first")


def test_a_model_is_a_copy_in_eval_mode(run: Run) -> None:
    model = run.model()
    with torch.no_grad():
        model.net[0].weight.zero_()
    assert not model.training
    assert float(run.model().net[0].weight.abs().sum()) > 0


def test_a_kernel_that_did_not_train_it_gives_a_model(run: Run) -> None:
    with pytest.raises(ModelError, match=f"this kernel did not train `{run.ref}`; build the model"):
        elsewhere(run).model()
    with pytest.raises(ModelError, match=f"the weights of `{run.ref}` do not fit"):
        elsewhere(run).model(LitDigits(hidden=3))
    with pytest.raises(ModelError, match="takes a model, not a int"):
        elsewhere(run).model(3)


def test_weights_are_loaded_in_place_and_the_mode_stays(run: Run) -> None:
    for mode in (True, False):
        model = LitDigits().train(mode)
        assert run.load_into(model) is model
        assert model.training is mode
        assert are_equal(weights(model), weights(run.model(which="last")))
    run.load_into(model, "best")
    assert are_equal(weights(model), weights(run.model()))


def test_a_plain_module_is_given_back_plain() -> None:
    net = nn.Linear(64, 10)
    run = train(net, digits(64), epochs=1, loss="cross_entropy", seed=1, quiet=True)
    for model in (run.model(), elsewhere(run).model(nn.Linear(64, 10))):
        assert type(model) is nn.Linear
        assert are_equal(weights(model), weights(net))


def test_without_a_checkpoint_there_are_no_weights(store) -> None:
    run = TrainedRun(store, store.create_run("digits").key, LitDigits())
    assert run.checkpoint is None
    with pytest.raises(RunStateError, match="has no checkpoint; it is queued"):
        run.model()


def test_a_model_is_exported_as_other_tools_read_it(run: Run, tmp_path) -> None:
    from safetensors.torch import load_file

    folder = run.export(tmp_path / "out" / "model")
    assert are_equal(list(load_file(folder / "model.safetensors").values()), sorted_weights(run.model()))
    config = json.loads((folder / "config.json").read_text())
    assert (config["run"], config["key"], config["best"], config["hyperparameters"]["hidden"]) == (
        run.ref,
        run.key,
        run.best,
        16,
    )
    stock = LitDigits.load_from_checkpoint(run.export(tmp_path / "stock.ckpt", "lightning", which="last"))
    assert are_equal(weights(stock.cpu()), weights(run.model(which="last")))
    with pytest.raises(ModelError, match="Did you mean `onnx`"):
        run.export(tmp_path / "a", "onx")
    with pytest.raises(ModelError, match="needs one batch of inputs"):
        elsewhere(run).export(tmp_path / "a", "onnx")


def sorted_weights(model: nn.Module) -> list[torch.Tensor]:
    return [tensor for _, tensor in sorted(model.state_dict().items())]
