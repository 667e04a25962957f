"""What a run would be, or how fast its loader is: everything is built as for training, and nothing is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_train.config import TrainConfig
from jupyter_train.execution.preparation import prepare
from jupyter_train.execution.run_spec import Build, RunSpec

if TYPE_CHECKING:
    import pytorch_lightning as pl


def dry_run(config: TrainConfig, build: Build) -> Any:
    """What `--explain` or `--tune-loader` shows; the random state of this process is as before.

    Raises:
        JupyterTrainError: Model, data or options do not fit.
    """
    from jupyter_train.training.inspection.dataloader_benchmark import tune_loader
    from jupyter_train.training.inspection.explain import explain
    from jupyter_train.training.state import seeds

    kernel_state = seeds.KernelRandomState()
    try:
        settled = config.with_finder_defaults()
        prepared = prepare(RunSpec(config=settled), build)
        assert settled.seed is not None
        if config.tune_loader:
            return tune_loader(_training_loader(prepared.module, prepared.source.loaders), settled.seed)
        return explain(prepared.module, prepared.source, settled, prepared.world_size)
    finally:
        kernel_state.restore()


def _training_loader(module: pl.LightningModule, loaders: dict[str, Any]) -> object:
    if "train_dataloaders" in loaders:
        return loaders["train_dataloaders"]
    datamodule = loaders.get("datamodule")
    if datamodule is None:
        return module.train_dataloader()
    datamodule.prepare_data()
    datamodule.setup("fit")
    return datamodule.train_dataloader()
