"""`TrainedRun`: checkpoints, a model with their weights, evaluation and export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from jupyter_train.events import CheckpointKind
from jupyter_train.exceptions import ModelError, RunStateError
from jupyter_train.handle.recorded_run import RecordedRun
from jupyter_train.store import MetricReader, RunFolder, trust

if TYPE_CHECKING:
    import pytorch_lightning as pl
    import torch

    from jupyter_train.store import Store
    from jupyter_train.store.metrics.reader import Checkpoint
    from jupyter_train.training.data.data_source import DataSource
    from jupyter_train.training.evaluate import EvaluationStage

_Module = TypeVar("_Module", bound="torch.nn.Module")


class TrainedRun(RecordedRun):
    """A run with its weights.

    Args:
        store: Where it is recorded.
        key: Its key.
        module: The trained module, in the kernel that trained it.
        source: Its loaders, in the same kernel.
    """

    def __init__(
        self, store: Store, key: str, module: pl.LightningModule | None = None, source: DataSource | None = None
    ) -> None:
        super().__init__(store, key)
        self._module = module
        self._source = source

    @property
    def checkpoint(self) -> Path | None:
        """The best checkpoint, else the last; None while there is none."""
        checkpoint = self._checkpoint(CheckpointKind.BEST) or self._checkpoint(CheckpointKind.LAST)
        return self.folder / checkpoint.path if checkpoint else None

    def _checkpoint(self, kind: str) -> Checkpoint | None:
        with MetricReader(RunFolder(self.record.folder).metrics) as reader:
            checkpoints = [checkpoint for checkpoint in reader.checkpoints() if checkpoint.kind == kind]
        if kind == CheckpointKind.BEST:
            sign = 1 if (self.best or {}).get("mode") == "max" else -1
            checkpoints.sort(key=lambda candidate: sign * (candidate.value if candidate.value is not None else 0.0))
        return checkpoints[-1] if checkpoints else None

    def _found_checkpoint(self, which: str) -> Checkpoint:
        if which not in (CheckpointKind.BEST, CheckpointKind.LAST):
            raise ModelError(f"`{which}`: expected `best` or `last`")
        checkpoint = self._checkpoint(which)
        if checkpoint is None and which == CheckpointKind.BEST:
            checkpoint = self._checkpoint(CheckpointKind.LAST)
        if checkpoint is None:
            raise RunStateError(f"`{self.ref}` has no checkpoint; it is {self.status}")
        return checkpoint

    def _weights(self, which: str) -> dict[str, Any]:
        """Weights of a checkpoint, verified by its hash before anything is read from it.

        Of another user's run, whose folder is not trusted, tensors are read and nothing is unpickled.
        """
        from jupyter_train.training.checkpoints.weights import read_weights

        checkpoint = self._found_checkpoint(which)
        return read_weights(self._file(checkpoint), checkpoint.sha256, trust.is_own(self.record))

    def _file(self, checkpoint: Checkpoint) -> Path:
        record = self.record
        if not trust.is_own(record):
            return RunFolder(record.folder).inside(checkpoint.path)
        return trust.checkpoint(self._store, record, checkpoint)

    def model(self, into: torch.nn.Module | None = None, which: str = "best") -> torch.nn.Module:
        """The trained model: a copy with the best (or last) weights, in eval mode.

        Args:
            into: A model to load the weights into; required in a kernel that did not train the run.
            which: `best` or `last`.

        Raises:
            ModelError: This kernel has no model of the run, or the weights do not fit it.
            RunStateError: The run has no checkpoint.
        """
        from jupyter_train.training.checkpoints.weights import load_weights

        return load_weights(self._module_for(into), self._weights(which), self.ref)

    def _module_for(self, into: torch.nn.Module | None) -> Any:
        from jupyter_train.training.checkpoints.weights import detached_copy, wrap_for_weights

        if into is not None:
            return wrap_for_weights(into, self._weights(CheckpointKind.BEST))
        if self._module is None:
            raise ModelError(
                f"this kernel did not train `{self.ref}`; build the model and give it: `run.model(MyModel(...))`"
            )
        return detached_copy(self._module)

    def test(self, data: object = None, which: str = "best") -> dict[str, float]:
        """Metrics of the module's `test_step` over `data`.

        Args:
            data: Loader, Dataset, datamodule, `(X, y)` or a frame, encoded as for training; if None, the held-out test
                part of `--split`, or the `test_dataloader` of the datamodule or the module.
            which: Weights to use, `best` or `last`.

        Raises:
            DataError: There is no test data.
        """
        from jupyter_train.training.evaluate import TEST

        return self._evaluate(TEST, data, which)

    def validate(self, data: object = None, which: str = "best") -> dict[str, float]:
        """Metrics of the module's `validation_step` over `data`.

        Args:
            data: As for `test`; if None, the data that the run validated with.
            which: Weights to use, `best` or `last`.

        Raises:
            DataError: There is no validation data.
        """
        from jupyter_train.training.evaluate import VALIDATE

        return self._evaluate(VALIDATE, data, which)

    def _evaluate(self, stage: EvaluationStage, data: object, which: str) -> dict[str, float]:
        from jupyter_train.training.evaluate import evaluate

        folder = RunFolder(self.record.folder)
        return evaluate(stage, self._module_with_weights(which), folder, self._source, data, self._batch_size)

    def predict(self, data: object, which: str = "best") -> Any:
        """Predictions over `data`: one tensor, concatenated along the first axis; a list per batch where that fails.

        Args:
            data: Inputs as an array, list or frame (encoded as for training), a Dataset or a loader; a list with the
                predictions of each for several loaders.
            which: Weights to use, `best` or `last`.
        """
        from jupyter_train.training.evaluate import predict

        return predict(self._module_with_weights(which), RunFolder(self.record.folder), data, self._batch_size)

    @property
    def _batch_size(self) -> int:
        return int(self.config.get("batch_size", 32))

    def _module_with_weights(self, which: str) -> pl.LightningModule:
        module: pl.LightningModule = self._module_for(None)
        module.load_state_dict(self._weights(which))
        return module

    def load_into(self, model: _Module, which: str = "last") -> _Module:
        """Loads its weights into a model, in place, and returns the model.

        Args:
            model: The model to load into.
            which: `last` or `best`.

        Raises:
            ModelError: The weights do not fit.
            RunStateError: The run has no checkpoint.
        """
        from jupyter_train.training.checkpoints.weights import load_weights, wrap_for_weights

        weights = self._weights(which)
        was_training = model.training
        load_weights(wrap_for_weights(model, weights), weights, self.ref)
        model.train(was_training)
        return model

    def export(
        self, path: str | Path, format: str = "safetensors", which: str = "best", example: object = None
    ) -> Path:
        """Exports its model.

        Args:
            path: A folder for `safetensors` (weights and `config.json`), a file for the others.
            format: `safetensors`, `lightning` (a stock `.ckpt`) or `onnx`.
            which: Weights to use, `best` or `last`.
            example: For `onnx`: one batch of inputs; taken from the training data if None.

        Raises:
            ModelError: The format is another, or the model cannot be written in it.
            RunStateError: The run has no checkpoint.
        """
        from jupyter_train.training.checkpoints import export

        export.check_format(format)
        if format == "onnx":
            inputs = self._example() if example is None else example
            return export.to_onnx(self.model(which=which), Path(path), inputs)
        checkpoint = self._found_checkpoint(which)
        if format == "lightning":
            return export.to_lightning(trust.checkpoint(self._store, self.record, checkpoint), checkpoint, Path(path))
        config = {"run": self.ref, "key": self.key, "options": self.config, "best": self.best}
        return export.to_safetensors(self._file(checkpoint), checkpoint, Path(path), config)

    def _example(self) -> object:
        """Inputs of the first training batch."""
        loader = self._source.loaders.get("train_dataloaders") if self._source is not None else None
        if loader is None:
            raise ModelError("`onnx` needs one batch of inputs: `run.export(path, 'onnx', example=inputs)`")
        batch = next(iter(loader))
        return batch[0] if isinstance(batch, tuple | list) else batch
