"""Classes of the package `lightning`, and modules with a `training_step` that would never be called, are refused."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
import torch

from jupyter_train import runs, train, tune
from jupyter_train.config.lightning_packages import import_instead
from jupyter_train.exceptions import DataError, ModelError, OptionError
from tests.models import LitDigits, digits

#: What Lightning and torch say of these modules is theirs to say.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

#: A package laid out like `lightning`; the real one is never installed here.
STAND_IN = {
    "__init__": "from lightning.pytorch.core.module import LightningModule\n"
    "from lightning.pytorch.core.datamodule import LightningDataModule\n",
    "pytorch/__init__": "",
    "pytorch/core/__init__": "",
    "pytorch/callbacks/__init__": "",
    "pytorch/core/module": "import torch\nclass LightningModule(torch.nn.Module): pass\n",
    "pytorch/core/datamodule": "class LightningDataModule: pass\n",
    "pytorch/callbacks/callback": "class Callback: pass\n",
    "pytorch/callbacks/early_stopping": "from lightning.pytorch.callbacks.callback import Callback\n"
    "class EarlyStopping(Callback): pass\n",
    "pytorch/loggers/__init__": "",
    "pytorch/loggers/csv_logs": "class CSVLogger: pass\n",
    "pytorch/profilers/__init__": "",
    "pytorch/profilers/simple": "class SimpleProfiler: pass\n",
    "pytorch/strategies/__init__": "",
    "pytorch/strategies/ddp": "class DDPStrategy: pass\n",
    "fabric/__init__": "",
    "fabric/plugins/__init__": "",
    "fabric/plugins/precision": "class Precision: pass\n",
}
MINE = """
import lightning as L
import torch
from torch.nn.functional import cross_entropy

class Net(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(64, 10)
    def forward(self, images):
        return self.layer(images)
    def training_step(self, batch, batch_idx):
        return cross_entropy(self(batch[0]), batch[1])
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)

class Rows(L.LightningDataModule):
    def train_dataloader(self):
        return []
"""


@pytest.fixture(scope="module")
def made_with_lightning(tmp_path_factory):
    """A module of the user's that is made with the package `lightning`."""
    folder = tmp_path_factory.mktemp("packages")
    for name, source in STAND_IN.items():
        path = folder / "lightning" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    Path(folder / "made_with_lightning.py").write_text(MINE)
    sys.path.insert(0, str(folder))
    yield importlib.import_module("made_with_lightning")
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] in ("lightning", "made_with_lightning")]:
        del sys.modules[name]


def _object(path: str):
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(f"lightning.{module}"), name)()


@pytest.mark.parametrize("options", [{}, {"loss": "cross_entropy"}, {"detach": True}], ids=str)
def test_a_module_of_the_other_package_is_refused_with_the_import_to_write(made_with_lightning, options) -> None:
    with pytest.raises(ModelError, match=r"from pytorch_lightning import LightningModule") as caught:
        train(made_with_lightning.Net(), digits(64), epochs=1, quiet=True, **options)
    assert "\n" not in str(caught.value)
    assert list(runs()) == []


def test_a_compiled_one_is_too(made_with_lightning) -> None:
    with pytest.raises(ModelError, match=r"from pytorch_lightning import LightningModule"):
        train(torch.compile(made_with_lightning.Net()), digits(64), epochs=1, quiet=True, loss="mse")


def test_a_datamodule_of_the_other_package_is_refused(made_with_lightning) -> None:
    for give in (train, lambda *arguments, **options: tune(*arguments, trials=1, minimize="train_loss", **options)):
        with pytest.raises(DataError, match=r"from pytorch_lightning import LightningDataModule"):
            give(
                lambda lr=0.1: LitDigits(lr=lr),
                made_with_lightning.Rows(),
                epochs=1,
                quiet=True,
                **({} if give is train else {"space": {"lr": [0.1, 0.2]}}),
            )


def test_a_search_over_such_a_module_is_refused_before_it_begins(made_with_lightning) -> None:
    with pytest.raises(ModelError, match=r"from pytorch_lightning import LightningModule"):
        tune(made_with_lightning.Net, digits(64), space={"lr": [0.1, 0.2]}, trials=1, minimize="train_loss", epochs=1)
    assert list(runs()) == []


@pytest.mark.parametrize(
    ("option", "path", "instead"),
    [
        ("callback", "pytorch.callbacks.early_stopping.EarlyStopping", "pytorch_lightning.callbacks import Early"),
        ("callbacks", "pytorch.callbacks.early_stopping.EarlyStopping", "pytorch_lightning.callbacks import Early"),
        ("callbacks", "pytorch.callbacks.callback.Callback", "pytorch_lightning import Callback"),
        ("logger", "pytorch.loggers.csv_logs.CSVLogger", "pytorch_lightning.loggers import CSVLogger"),
        ("strategy", "pytorch.strategies.ddp.DDPStrategy", "pytorch_lightning.strategies import DDPStrategy"),
        ("profiler", "pytorch.profilers.simple.SimpleProfiler", "pytorch_lightning.profilers import SimpleProfiler"),
        ("plugins", "fabric.plugins.precision.Precision", "lightning_fabric.plugins import Precision"),
    ],
)
@pytest.mark.parametrize("is_listed", [True, False])
def test_objects_of_the_other_package_are_refused_as_options(
    made_with_lightning, option, path, instead, is_listed
) -> None:
    value = [_object(path)] if is_listed else _object(path)
    with pytest.raises(OptionError, match=f"`--{option}`: .*from {instead}"):
        train(LitDigits(), digits(64), epochs=1, quiet=True, **{option: value})
    with pytest.raises(OptionError, match=f"from {instead}"):
        tune(
            LitDigits, digits(64), space={"lr": [0.1, 0.2]}, trials=1, minimize="val_loss", epochs=1, **{option: value}
        )
    assert list(runs()) == []


class Configures(LitDigits):
    """Its callbacks are those it was made with, and it counts how often they are requested."""

    asked = 0
    configured: object = None

    def configure_callbacks(self):
        type(self).asked += 1
        return self.configured


@pytest.mark.parametrize(("is_listed", "engine"), [(True, "lean"), (False, "lightning")])
def test_callbacks_that_the_module_configures_are_refused(made_with_lightning, monkeypatch, is_listed, engine) -> None:
    callback = _object("pytorch.callbacks.early_stopping.EarlyStopping")
    monkeypatch.setattr(Configures, "configured", [callback] if is_listed else callback)
    monkeypatch.setattr(Configures, "asked", 0)
    words = "`configure_callbacks`: `EarlyStopping` .* `from pytorch_lightning.callbacks import EarlyStopping`"
    with pytest.raises(OptionError, match=words) as caught:
        train(Configures(), digits(64), epochs=1, quiet=True, engine=engine)
    assert "\n" not in str(caught.value)
    assert Configures.asked == 1
    [run] = runs()
    assert (run.status, run.record.message) == ("failed", str(caught.value))


@pytest.mark.parametrize("options", [{"explain": True}, {"lr": "auto"}], ids=str)
def test_they_are_where_it_is_tried_only(made_with_lightning, monkeypatch, options) -> None:
    monkeypatch.setattr(Configures, "configured", [_object("pytorch.callbacks.callback.Callback")])
    with pytest.raises(OptionError, match=r"`configure_callbacks`: .*from pytorch_lightning import Callback"):
        train(Configures(), digits(64), epochs=1, quiet=True, **options)


def test_a_line_with_such_a_callback_is_refused(made_with_lightning, shell, capsys) -> None:
    shell.user_ns.update(model=LitDigits(), data=digits(64))
    importlib.import_module("lightning.pytorch.callbacks.early_stopping")
    with pytest.raises(OptionError, match=r"from pytorch_lightning\.callbacks import EarlyStopping"):
        shell.run_line_magic(
            "train",
            "model data --epochs 1 --callback lightning.pytorch.callbacks.early_stopping.EarlyStopping()",
        )


@pytest.mark.parametrize(
    ("line", "body", "words"),
    [
        ("", "model:\n  class_path: made_with_lightning.Net\n", "from pytorch_lightning import LightningModule"),
        ("made_with_lightning.Net", "", "from pytorch_lightning import LightningModule"),
        (
            "tests.models.LitDigits tests.models.DigitsData",
            "  callbacks:\n    - class_path: lightning.pytorch.callbacks.early_stopping.EarlyStopping\n",
            "`class_path: pytorch_lightning.callbacks.EarlyStopping`",
        ),
    ],
)
def test_a_file_that_names_such_a_class_is_refused(made_with_lightning, shell, line, body, words) -> None:
    with pytest.raises((OptionError, ModelError)) as caught:
        shell.run_cell_magic("train", line, f"trainer:\n  max_epochs: 1\n{body}")
    assert words in str(caught.value)


def test_a_plain_module_with_its_own_training_step_is_refused() -> None:
    class Own(torch.nn.Linear):
        def training_step(self, batch, batch_idx):
            raise NotImplementedError

    with pytest.raises(ModelError, match="has a `training_step`, which would never be called"):
        train(Own(64, 10), digits(64), epochs=1, quiet=True, loss="cross_entropy")


def test_a_module_of_an_import_before_the_last_is_refused(monkeypatch) -> None:
    base = type("LightningModule", (torch.nn.Module,), {"__module__": "pytorch_lightning.core.module"})
    old = type("Old", (base,), {"training_step": lambda self, batch, batch_idx: None})
    with pytest.raises(ModelError, match="made before `pytorch_lightning` was imported again"):
        train(old(), digits(64), epochs=1, quiet=True, loss="mse")


@pytest.mark.parametrize(
    ("path", "instead"),
    [
        ("lightning.pytorch.core.module.LightningModule", "from pytorch_lightning import LightningModule"),
        ("lightning.pytorch.LightningModule", "from pytorch_lightning import LightningModule"),
        (
            "lightning.pytorch.loggers.tensorboard.TensorBoardLogger",
            "from pytorch_lightning.loggers import TensorBoardLogger",
        ),
        ("lightning.fabric.fabric.Fabric", "from lightning_fabric.fabric import Fabric"),
        ("lightning.models.Mine", None),
        ("pytorch_lightning.core.module.LightningModule", None),
        ("Net", None),
        ("lightning_utilities.core.enums.StrEnum", None),
    ],
)
def test_the_import_to_write_follows_from_the_class(path, instead) -> None:
    assert import_instead(path) == instead
