"""`Run`: what people hold. Its numbers, its weights, its panel."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_train.exceptions import ModelError, RunNotFoundError, RunStateError
from jupyter_train.panel.bundle import as_text
from jupyter_train.panel.picture import write_picture
from jupyter_train.panel.places import bundle_for_here
from jupyter_train.panel.snapshot import snapshot
from jupyter_train.panel.svg import svg
from jupyter_train.run import RunRecord, RunStatus
from jupyter_train.store import MetricReader, RunFolder

if TYPE_CHECKING:
    import pandas as pd

    from jupyter_train.store import Store
    from jupyter_train.store.central import Event
    from jupyter_train.store.metrics.reader import Checkpoint

_LOOK_S = 0.2


class Run:
    """One run of the store.

    Everything is read from the store when asked, so a handle is never stale. In the kernel that trained it,
    the handle also knows the model.
    """

    def __init__(
        self,
        store: Store,
        key: str,
        module: Any = None,
        source: Any = None,
        shown_in: Any = None,
        again: Callable[[dict[str, Any]], Run] | None = None,
    ) -> None:
        self._again = again
        self._store = store
        self._key = key
        self._module = module
        self._source = source
        self._shown_in = shown_in

    # -- what it is -------------------------------------------------------------------------------

    @property
    def record(self) -> RunRecord:
        """Its row in the store."""
        return self._store.get(self._key)

    @property
    def key(self) -> str:
        """UUIDv7."""
        return self._key

    @property
    def ref(self) -> str:
        """Its short name, such as `digits-k3f9`."""
        return self.record.ref

    @property
    def status(self) -> RunStatus:
        """Where it stands; LOST when its process is gone."""
        return self._store.status_of(self.record)

    @property
    def config(self) -> dict[str, Any]:
        """Options it was started with; `expressions` keeps what was typed."""
        return self.record.config

    @property
    def folder(self) -> Path:
        """Its folder."""
        return Path(self.record.folder)

    @property
    def events(self) -> list[Event]:
        """What happened, oldest first."""
        return self._store.events_of(self._key)

    @property
    def provenance(self) -> dict[str, Any]:
        """Cells, environment, data fingerprint, initial state."""
        return RunFolder(self.record.folder).read_provenance()

    @property
    def log(self) -> str:
        """What Lightning said while it trained, and what a detached run printed; its newest 8 MB at least."""
        folder = RunFolder(self.record.folder)
        parts = (folder.older_log, folder.log)
        return "".join(path.read_text(encoding="utf-8", errors="replace") for path in parts if path.exists())

    @property
    def notes(self) -> str:
        """Free text kept with the run; assign to change it."""
        return self.record.note

    @notes.setter
    def notes(self, text: str) -> None:
        self._store.check_owner(self.record)
        self._store.update(self._key, note=str(text))

    @property
    def children(self) -> list[Run]:
        """Runs it started, oldest first: those of a repeated notebook."""
        found = self._store.list_runs(limit=10_000, parent=self._key)
        return [Run(self._store, record.key) for record in reversed(found)]

    # -- its numbers ------------------------------------------------------------------------------

    @property
    def metrics(self) -> pd.DataFrame:
        """Every recorded value: one row per step (index `step`), `epoch`, then one column per metric.

        Cells are NaN where a metric was not logged at that step. `run.metrics.to_csv(...)` and
        `.to_parquet(...)` write it.
        """
        import pandas as pd

        with MetricReader(RunFolder(self.record.folder).metrics) as reader:
            series = {name: reader.points(name) for name in reader.counts()}
        columns: dict[str, Any] = {"epoch": {p.step: p.epoch for points in series.values() for p in points}}
        for name, points in series.items():
            columns[name] = {point.step: point.value for point in points}
        return pd.DataFrame(columns).sort_index().rename_axis("step")

    @property
    def best(self) -> dict[str, Any] | None:
        """`metric`, `value`, `epoch` and `step` of the best epoch; None before the first."""
        found = self.record.summary.get("best")
        return dict(found) if isinstance(found, dict) else None

    @property
    def last(self) -> dict[str, float | None]:
        """The newest value of every metric; None for NaN."""
        return dict(self.record.summary.get("last", {}))

    # -- its weights ------------------------------------------------------------------------------

    @property
    def checkpoint(self) -> Path | None:
        """The best checkpoint, else the last; None while there is none."""
        found = self._checkpoint("best") or self._checkpoint("last")
        return self.folder / found.path if found else None

    def _checkpoint(self, kind: str) -> Checkpoint | None:
        with MetricReader(RunFolder(self.record.folder).metrics) as reader:
            found = [checkpoint for checkpoint in reader.checkpoints() if checkpoint.kind == kind]
        if kind == "best":
            sign = 1 if (self.best or {}).get("mode") == "max" else -1
            found.sort(key=lambda one: sign * (one.value if one.value is not None else 0.0))
        return found[-1] if found else None

    def _found_checkpoint(self, which: str) -> Checkpoint:
        if which not in ("best", "last"):
            raise ModelError(f"`{which}`: expected `best` or `last`")
        found = self._checkpoint(which) or (self._checkpoint("last") if which == "best" else None)
        if found is None:
            raise RunStateError(f"`{self.ref}` has no checkpoint; it is {self.status}")
        return found

    def _weights(self, which: str) -> dict[str, Any]:
        """Weights of a checkpoint, verified by its hash before anything is read from it."""
        from jupyter_train.training.weights import read_weights

        found = self._found_checkpoint(which)
        return read_weights(self.folder / found.path, found.sha256)

    def model(self, into: Any = None, which: str = "best") -> Any:
        """The trained model: a copy with the best (or last) weights, in eval mode.

        Args:
            into: A model to load the weights into; needed in a kernel that did not train the run.
            which: `best` or `last`.

        Raises:
            ModelError: No model is known here, or the weights do not fit it.
            RunStateError: The run has no checkpoint.
        """
        from jupyter_train.training.weights import load_weights

        return load_weights(self._module_for(into), self._weights(which), self.ref)

    def _module_for(self, into: Any) -> Any:
        from jupyter_train.training.weights import detached_copy, wrapped_like

        if into is not None:
            return wrapped_like(into, self._weights("best"))
        if self._module is None:
            raise ModelError(
                f"this kernel did not train `{self.ref}`; build the model and give it: `run.model(MyModel(...))`"
            )
        return detached_copy(self._module)

    def test(self, data: Any = None, which: str = "best") -> dict[str, float]:
        """Metrics of the module's `test_step` over `data`.

        Args:
            data: Loader, Dataset, datamodule or arrays; the held-out test part of `--split` if None.
            which: Weights to use, `best` or `last`.

        Raises:
            DataError: There is no test data.
        """
        from jupyter_train.training.evaluate import test

        return test(self._evaluated(which), self._source, data, self._batch_size)

    def predict(self, data: Any, which: str = "best") -> Any:
        """Predictions over `data`, concatenated along the first axis.

        Args:
            data: An array or tensor of inputs, a frame (encoded as for training), a Dataset or a loader.
            which: Weights to use, `best` or `last`.
        """
        from jupyter_train.training.evaluate import predict

        return predict(self._evaluated(which), RunFolder(self.record.folder), data, self._batch_size)

    @property
    def _batch_size(self) -> int:
        return int(self.config.get("batch_size", 32))

    def _evaluated(self, which: str) -> Any:
        module = self._module_for(None)
        module.load_state_dict(self._weights(which))
        return module

    # -- waiting for it -----------------------------------------------------------------------------

    def wait(self, timeout_s: float | None = None) -> Run:
        """Waits until it has ended, and gives itself; an Interrupt ends the waiting, not the run.

        Args:
            timeout_s: How long to wait, in seconds; without an end if None.

        Raises:
            TimeoutError: It has not ended in that time.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while (status := self.status).is_live or status is RunStatus.QUEUED:
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"`{self.ref}` is still {status} after {timeout_s:g} s")
            time.sleep(_LOOK_S)
        return self

    def load_into(self, model: Any, which: str = "last") -> Any:
        """Loads its weights into a model, in place, and gives the model.

        Args:
            model: The model to load into.
            which: `last` or `best`.

        Raises:
            ModelError: The weights do not fit.
            RunStateError: The run has no checkpoint.
        """
        from jupyter_train.training.weights import load_weights, wrapped_like

        weights = self._weights(which)
        was_training = model.training
        load_weights(wrapped_like(model, weights), weights, self.ref)
        model.train(was_training)
        return model

    # -- steering it while it trains --------------------------------------------------------------

    def stop(self, wait_s: float = 10.0) -> str:
        """Ends it well: validates, keeps the best and the last weights. See `tell` for what these give and raise."""
        return self.tell("stop", wait_s=wait_s)

    def pause(self, wait_s: float = 10.0) -> str:
        """Lets it wait at the next batch boundary."""
        return self.tell("pause", wait_s=wait_s)

    def resume(self, wait_s: float = 10.0, **changes: Any) -> Run | str:
        """Goes on with it: after a pause, or, when it has ended or died, as its next attempt.

        The next attempt begins at the newest valid checkpoint and gives what an unbroken run would have given; what
        it records again is compared, bit for bit, with what was recorded before. It trains in a process of its own
        where the run did, here where this kernel trained it.

        Args:
            wait_s: How long to wait for an answer after a pause, in seconds.
            **changes: Options that are others from here on: `epochs=30` makes a finished run longer; `from_` names a
                checkpoint (`"best"`, `"last"` or a step).

        Returns:
            The run, or after a pause the answer.

        Raises:
            RunStateError: Nothing here can begin it; the message says which notebook and cell can.
            ChangedError: Model, data or options are not those it was begun with.
        """
        if self.status.is_live and not changes:
            return str(self.tell("resume", wait_s=wait_s))
        from jupyter_train.execution.going_on import go_on_here

        return go_on_here(self._store, self.record, self._again, changes) or self

    def fork(self, from_step: int | str | None = None, **changes: Any) -> Run:
        """A new run that begins at a checkpoint of this one; this one stays as it is.

        Args:
            from_step: The checkpoint: its step, `"best"` or `"last"`; the newest if None.
            **changes: Options that are others: `lr=1e-4`, `epochs=50`, `name="lower"`.

        Raises:
            RunStateError: There is no such checkpoint, or this kernel knows neither model nor data.
        """
        from jupyter_train.execution.going_on import fork_here

        made: Run = fork_here(self.record, self._again, from_step, changes)
        return made

    @property
    def attempts(self) -> list[dict[str, Any]]:
        """Every attempt: `attempt`, `from_step`, `checkpoint`, `at` (unix seconds) and what verifying it gave."""
        from jupyter_train.execution.going_on import attempts_of

        return attempts_of(self._store, self.record)

    def export(self, path: str | Path, format: str = "safetensors", which: str = "best", example: Any = None) -> Path:
        """Writes its model for use elsewhere.

        Args:
            path: A folder for `safetensors` (weights and `config.json`), a file for the others.
            format: `safetensors`, `lightning` (a stock `.ckpt`) or `onnx`.
            which: Weights to use, `best` or `last`.
            example: For `onnx`: one batch of inputs; taken from the training data if None.

        Raises:
            ModelError: The format is another, or the model cannot be written in it.
            RunStateError: The run has no checkpoint.
        """
        from jupyter_train.training import export

        export.check_format(format)
        if format == "onnx":
            inputs = self._example() if example is None else example
            return export.to_onnx(self.model(which=which), Path(path), inputs)
        found = self._found_checkpoint(which)
        file = self.folder / found.path
        if format == "lightning":
            return export.to_lightning(file, found, Path(path))
        about = {"run": self.ref, "key": self.key, "options": self.config, "best": self.best}
        return export.to_safetensors(file, found, Path(path), about)

    def _example(self) -> Any:
        """Inputs of the first training batch."""
        loader = self._source.loaders.get("train_dataloaders") if self._source is not None else None
        if loader is None:
            raise ModelError("`onnx` needs one batch of inputs: `run.export(path, 'onnx', example=inputs)`")
        batch = next(iter(loader))
        return batch[0] if isinstance(batch, tuple | list) else batch

    def set_lr(
        self, lr: float | None = None, *, factor: float | None = None, group: int | None = None, wait_s: float = 10.0
    ) -> str:
        """Sets its learning rate, or multiplies it.

        With a schedule, what is left of the schedule keeps its shape and is scaled by the same factor.

        Args:
            lr: The new rate.
            factor: What to multiply the rate by instead.
            group: Index of one parameter group, counted over all optimizers; all if None.
            wait_s: See `tell`.
        """
        return self.tell("set_lr", wait_s=wait_s, lr=lr, factor=factor, group=group)

    def tell(self, verb: str, wait_s: float = 10.0, *, source: str = "python", **arguments: Any) -> str:
        """Asks the running fit for something and gives its answer.

        Args:
            verb: `pause`, `resume`, `stop`, `checkpoint`, `validate`, `set_lr` (`lr` or `factor`, `group`),
                `set_max_epochs` (`epochs`) or `set_patience` (`patience`).
            wait_s: How long to wait for the answer, in seconds; a command goes on waiting after that.
            source: Who asks, for the record.
            **arguments: What the verb takes.

        Raises:
            CommandError: There is no such command, or its arguments do not fit.
            RunStateError: The run is not being trained, or belongs to somebody else.
            CommandRefusedError: The fit could not do it; the message says why.
        """
        from jupyter_train.config.commands import command
        from jupyter_train.store import commands

        row = commands.add(self._store, self._key, command(verb, arguments, source))
        return commands.wait_for_answer(self._store, self._key, row, wait_s)

    # -- its panel --------------------------------------------------------------------------------

    def show(self, in_full: bool = False) -> None:
        """Displays its panel.

        Args:
            in_full: A run that another cell already shows is shown here as a reference to it, which keeps the
                notebook small; True shows all of it again.
        """
        from IPython.display import display

        display(bundle_for_here(self._store, self._key, in_full), raw=True)  # type: ignore[no-untyped-call]

    def save_curves(self, path: str | Path) -> Path:
        """Writes its curves as a picture; the ending says how: `.svg` or `.png`.

        Raises:
            StoreError: The ending is another, or there are no curves.
        """
        return write_picture(svg(snapshot(self._store, self._key)), path)

    def _ipython_display_(self) -> None:
        """A cell ending in the run that it trained shows one panel, not two."""
        if self._shown_in is not None and self._shown_in == execution_place():
            return
        self.show()

    def __repr__(self) -> str:
        try:
            record = self.record
        except RunNotFoundError:
            return f"<Run {self._key}: no longer in the store>"
        if record.status is RunStatus.QUEUED:
            return f"{record.ref}  queued"
        return as_text(snapshot(self._store, self._key))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and other._key == self._key

    def __hash__(self) -> int:
        return hash(self._key)


def execution_place() -> Any:
    """The cell execution we are in: differs for every cell run; None outside a kernel."""
    import sys

    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return None if shell is None else (id(shell), shell.execution_count)
