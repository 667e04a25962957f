"""Which methods of Lightning are replaced, in which order, and that nothing of it is left afterwards."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, TensorDataset

import jupyter_train.training
from jupyter_train import train
from jupyter_train.training.lightning.patch_list import PATCHES, Moment
from jupyter_train.training.lightning.patches import LoopPatches

TRAINING = Path(jupyter_train.training.__file__).parent
#: Where, which method, and the moments before it, instead of it (in brackets) and after it.
EXPECTED = """\
_callback_connector._attach_model_callbacks | [] CALLBACKS_ATTACHED
strategy.load_checkpoint | [READ_CHECKPOINT]
fit_loop.setup_data | BEFORE_TRAIN_LOADERS []
fit_loop.epoch_loop.val_loop.setup_data | BEFORE_VALIDATION_LOADERS []
strategy.process_dataloader | [MAKE_LOADER]
fit_loop.on_run_start | CHECK_FIRST_BATCH REPORT_SAMPLE_ORDER []
fit_loop.on_advance_start | RESUME_EPOCH []
fit_loop.epoch_loop.run | [RUN_EPOCH]
fit_loop.epoch_loop.reset | [RESUME_PROGRESS]
fit_loop.epoch_loop.on_run_start | RESUME_LOADERS PLACE_TRAIN_LOADERS [] EPOCH_READY BEFORE_FIRST_BATCH RESUME_STATE
_logger_connector.update_train_step_metrics | [STEP_METRICS] STEP_END
fit_loop.epoch_loop.on_advance_end | [END_BATCH] AFTER_BATCH FIRST_BATCH_DONE
fit_loop.epoch_loop._should_check_val_fx | [VALIDATION_DUE]
fit_loop.epoch_loop.val_loop.run | PLACE_VALIDATION_LOADERS BEFORE_VALIDATION [RUN_VALIDATION]
fit_loop.epoch_loop.val_loop._evaluation_step | [EVALUATION_STEP]
fit_loop.on_advance_end | [] EPOCH_END
"""
TEMPORARY = {moment for patch in PATCHES if patch.is_temporary for moment in patch.moments}
#: Private values, not functions, that a resumed fit and the lean loop set as Lightning's own loop does.
STATE = {
    "checkpoints/resume.py": {"_restarting", "_resuming_from_checkpoint"},
    "checkpoints/weights.py": {"_trainer"},
    "data/loader_position.py": {"_combined_loader_states_to_load"},
    "engine/evaluation.py": {"_has_run"},
    "engine/log_cache.py": {"_first_loop_iter", "_current_fx"},
    "engine/loop.py": {"_batches_that_stepped"},
    "state/fit_state.py": {"_last_train_dl_reload_epoch", "_last_val_dl_reload_epoch", "_first_loop_iter"},
}


class Model(pl.LightningModule):
    """One layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        self.log("train_loss", loss := self.layer(batch[0]).square().mean())
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_loss", self.layer(batch[0]).square().mean())

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), 0.01)


def _loader() -> Any:
    return DataLoader(TensorDataset(torch.randn(8, 2)), batch_size=2)


def _trainer(**options: Any) -> pl.Trainer:
    options = {"max_epochs": 2, "logger": False, "enable_progress_bar": False, "accelerator": "cpu"} | options
    return pl.Trainer(enable_checkpointing=False, enable_model_summary=False, **options)


def _fit(trainer: pl.Trainer, **options: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(Model(), _loader(), _loader(), **options)


def _objects(trainer: pl.Trainer) -> dict[str, Any]:
    return {"trainer": trainer} | {patch.owner: attrgetter(patch.owner)(trainer) for patch in PATCHES}


def _snapshot(trainer: pl.Trainer) -> dict[tuple[str, str], int]:
    """Identities of everything that a trainer and its parts hold."""
    return {(name, key): id(value) for name, owner in _objects(trainer).items() for key, value in vars(owner).items()}


def _left(trainer: pl.Trainer) -> list[str]:
    """Attributes that stand in the place of a method."""
    return [
        f"{name}.{key}"
        for name, owner in _objects(trainer).items()
        for key in vars(owner)
        if callable(getattr(type(owner), key, None))
    ]


def test_the_list_says_what_is_replaced_and_in_which_order() -> None:
    lines = []
    for patch in PATCHES:
        before, after = ([moment.name for moment in moments] for moments in (patch.before, patch.after))
        instead = f"[{patch.instead.name if patch.instead is not None else ''}]"
        lines.append(f"{patch.owner}.{patch.method} | {' '.join([*before, instead, *after])}\n")
    assert "".join(lines) == EXPECTED
    moments = [moment for patch in PATCHES for moment in patch.moments]
    assert len(moments) == len(set(moments)) == len(Moment)


def _register_all(patches: LoopPatches, seen: list[Moment]) -> None:
    for patch in PATCHES:
        for moment in set(patch.moments) - TEMPORARY:
            patches.register(moment, _work(moment, moment is patch.instead, seen))


def _work(moment: Moment, is_instead: bool, seen: list[Moment]) -> Any:
    def work(*arguments: Any, **options: Any) -> Any:
        seen.append(moment)
        return arguments[0](*arguments[1:], **options) if is_instead else None

    return work


@pytest.fixture
def checkpoint(tmp_path: Path) -> str:
    """Of a fit of one epoch."""
    trainer = _trainer(max_epochs=1)
    _fit(trainer)
    trainer.save_checkpoint(tmp_path / "one.ckpt")
    return str(tmp_path / "one.ckpt")


def test_each_patch_takes_effect_in_its_order(checkpoint: str) -> None:
    trainer, seen = _trainer(), list[Moment]()
    patches = LoopPatches(trainer)
    _register_all(patches, seen)
    patches.install()
    _fit(trainer, ckpt_path=checkpoint)
    assert set(seen) == set(Moment) - TEMPORARY
    for patch in PATCHES:
        own = [moment for moment in seen if moment in patch.moments]
        assert own == [*patch.moments] * (len(own) // len(patch.moments)) or patch.is_temporary, patch.method


def test_a_temporary_patch_ends_after_its_call() -> None:
    trainer, calls = _trainer(), list[str]()
    patches = LoopPatches(trainer)
    before = _snapshot(trainer)
    epoch_loop: Any = trainer.fit_loop.epoch_loop
    patches.replace_once(Moment.VALIDATION_DUE, lambda _fetcher: calls.append("due") or True)
    assert epoch_loop._should_check_val_fx(None) is True
    assert _snapshot(trainer) == before
    with patches.replaced(Moment.EVALUATION_STEP, lambda *_: calls.append("step")):
        epoch_loop.val_loop._evaluation_step(1, 2, 3, 4)
        with patches.suspended(Moment.EVALUATION_STEP):
            assert _snapshot(trainer) == before
        assert "_evaluation_step" in vars(epoch_loop.val_loop)
    assert calls == ["due", "step"]
    assert _snapshot(trainer) == before


def test_nothing_is_left_when_the_patches_are_removed() -> None:
    trainer = _trainer()
    before = _snapshot(trainer)
    patches = LoopPatches(trainer)
    _register_all(patches, [])
    patches.install()
    patches.replace_once(Moment.VALIDATION_DUE, lambda _fetcher: True)
    assert len(_left(trainer)) == len(PATCHES) - 1  # all but the evaluation step
    patches.remove()
    assert _snapshot(trainer) == before
    _fit(trainer)
    assert _left(trainer) == []


def test_work_registered_once_runs_at_the_first_time_alone() -> None:
    trainer, seen = _trainer(), list[str]()
    patches = LoopPatches(trainer)
    patches.register(Moment.PLACE_TRAIN_LOADERS, lambda _fetcher: seen.append("before"), once=True)
    patches.register(Moment.RESUME_PROGRESS, lambda reset: (seen.append("instead"), reset()), once=True)
    patches.install()
    _fit(trainer)
    assert seen == ["instead", "before"]
    assert trainer.global_step == 8


class Watching(Model):
    """Keeps its trainer, and what is patched while it trains."""

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        self.patched = _left(self.trainer)
        self.fitting = self.trainer


def test_a_run_leaves_the_trainer_as_lightning_made_it() -> None:
    log, model = pl.LightningModule.log, Watching()
    train(model, (_loader(), _loader()), epochs=2, seed=1, quiet=True)
    assert "fit_loop.epoch_loop.run" in model.patched
    assert "strategy.process_dataloader" in model.patched
    assert _left(model.fitting) == []
    assert pl.LightningModule.log is log


def _assigned(tree: ast.AST) -> Iterator[ast.Attribute]:
    """Attributes of other objects than `self` that a module assigns or deletes."""
    for node in ast.walk(tree):
        targets = node.targets if isinstance(node, ast.Assign | ast.Delete) else [getattr(node, "target", None)]
        for target in targets:
            for part in ast.walk(target) if isinstance(target, ast.Tuple) else [target]:
                if isinstance(part, ast.Attribute) and ast.unparse(part.value) != "self" and part.attr[:2] != "__":
                    yield part


def test_no_other_file_assigns_to_the_private_parts_of_a_trainer() -> None:
    parts = [*_objects(_trainer()).values(), Model()]
    methods = {name for part in parts for name in dir(type(part)) if callable(getattr(type(part), name))}
    private = {name for part in parts for name in (*vars(part), *dir(part)) if name.startswith("_")}
    values: dict[str, set[str]] = {}
    for file in sorted(TRAINING.rglob("*.py")):
        name = str(file.relative_to(TRAINING))
        if name == "lightning/patches.py":
            continue
        for target in _assigned(ast.parse(file.read_text())):
            # `--lr` wraps `configure_optimizers` of the user's own model
            assert target.attr not in methods or (name, target.attr) == ("model.py", "configure_optimizers"), name
            if target.attr in private:
                values.setdefault(name, set()).add(target.attr)
    assert values == STATE


def test_no_other_file_sets_attributes_of_a_trainer_by_name() -> None:
    owners = set()
    for file in sorted(TRAINING.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("setattr", "delattr"):
                owners.add((file.stem, ast.unparse(node.args[0])))
    others = {(stem, owner) for stem, owner in owners if stem != "patches" and owner != "self"}
    allowed = {"sample_order", "sampler_state", "seeded_dataset", "finders", "learning_rate", "unused_hooks", "model"}
    assert {stem for stem, _ in others} <= {*allowed, "torchmetrics_state"}
    assert not {owner for _, owner in others} & {"trainer", "loop", "fit_loop", "epoch_loop", "val_loop", "strategy"}
