"""`RunLogger`: a Lightning logger that writes into the run store."""

from __future__ import annotations

import hashlib
import io
import json
import re
import time
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning_fabric.loggers.logger import rank_zero_experiment
from lightning_utilities.core.rank_zero import rank_zero_only
from pytorch_lightning.loggers.logger import Logger

from jupyter_train.config.train import as_json
from jupyter_train.events import EventKind
from jupyter_train.exceptions import StoreError
from jupyter_train.store.metrics.reader import Medium
from jupyter_train.store.paths import make_private_folder
from jupyter_train.store.redaction import mask
from jupyter_train.store.run_folder import RunFolder, write_atomically
from jupyter_train.store.text_columns import storable_tree
from jupyter_train.store.writer import Row, RunWriter
from jupyter_train.training.logging.experiment import Experiment
from jupyter_train.training.logging.images import to_png
from jupyter_train.training.logging.logged_values import describe_value, flatten, to_number, to_step

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

MAX_POINTS_PER_S = 1000.0


class RunLogger(Logger):
    """Logs metrics, images, figures and tables into a run.

    Modules see it as `self.logger`; `self.logger.experiment` takes TensorBoard's and W&B's usual calls.

    Args:
        writer: The run's writer thread.
        folder: The run's folder.
        name: The run's short name.
        every_n_steps: Record each N-th step of a series; None for all, up to 1,000 points/s each.
    """

    def __init__(self, writer: RunWriter, folder: RunFolder, name: str, every_n_steps: int | None = None) -> None:
        super().__init__()
        self.epoch = 0.0
        self.handled_elsewhere: frozenset[str] | set[str] = frozenset()
        self._writer = writer
        self._folder = folder
        self._name = name
        self._stride = _Stride(every_n_steps, writer)
        self._reported: set[str] = set()
        self._experiment = Experiment(self)

    @property
    def stride(self) -> dict[str, Any]:
        """State of the thinning, for a checkpoint."""
        return {"every": self._stride.every, "seen": self._stride.first_seen.copy()}

    @stride.setter
    def stride(self, state: dict[str, Any]) -> None:
        self._stride.resume(state["every"], state["seen"])

    @property
    def name(self) -> str:
        """The run's short name."""
        return self._name

    @property
    def version(self) -> str:
        """Always empty: a run is one version of itself."""
        return ""

    @property
    def save_dir(self) -> str:
        """The run's folder."""
        return str(self._folder.path)

    @property
    def log_dir(self) -> str:
        """The run's folder, where modules may write files of their own."""
        return str(self._folder.path)

    @property
    @rank_zero_experiment
    def experiment(self) -> Experiment:
        """Takes modules' calls of `add_image`, `add_scalar`, `log`, ..."""
        return self._experiment

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Records values by name; a value `epoch` sets their epoch.

        Values that are not numbers are left out, with one warning.

        Args:
            metrics: Numbers, or tensors and arrays of one element, by name; dicts of such.
            step: Their step; the current step if None.

        Raises:
            ValueError: The step is not an integer.
        """
        at = self.at(step)
        epoch = to_number(metrics.get("epoch"))
        if epoch is not None:
            self.epoch = float(epoch)
        skipped = self.handled_elsewhere if epoch is None else {*self.handled_elsewhere, "epoch"}
        self.log_values({name: value for name, value in metrics.items() if name not in skipped}, at)

    def log_values(self, metrics: Mapping[Any, Any], step: int) -> None:
        """Records what modules log themselves; values that are not numbers are left out, with one warning."""
        taken = [(name, value, to_number(value)) for name, value in flatten(metrics)]
        for name, value, number in taken:
            if number is None:
                self._warn_once(name, f"`{name}` is not recorded: at step {step:,} it is {describe_value(value)}", step)
        self.record([(name, number) for name, _, number in taken if number is not None], step)

    def _warn_once(self, name: str, text: str, step: int) -> None:
        if name not in self._reported:
            self._reported.add(name)
            self._writer.event(EventKind.WARNING, text, step)

    def record(self, values: list[tuple[str, Any]], step: int) -> None:
        """Appends values (numbers or detached tensors of one element) at a step."""
        now = time.time()
        kept = self._stride.keep(values, step, now)
        if kept:
            self._writer.add(Row(step, self.epoch, now, kept))

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *_: object, **__: object) -> None:
        """Keeps the module's hyperparameters in the run's summary."""
        plain = vars(params) if isinstance(params, Namespace) else dict(params)
        self._writer.summary(hyperparameters={str(name): as_json(value) for name, value in plain.items()})

    @rank_zero_only
    def log_image(
        self, key: str, images: list[Any], step: int | None = None, caption: list[str] | None = None, **_: object
    ) -> None:
        """Keeps images under `key`.

        Args:
            key: Name in the panel.
            images: Arrays or tensors `(H, W)`, `(H, W, C)` or `(C, H, W)` with 1, 3 or 4 channels, floats in
                [0, 1] or bytes; PIL images; or paths.
            step: Their step; the current step if None.
            caption: One text per image.
        """
        for index, image in enumerate(images if isinstance(images, list | tuple) else [images]):
            text = caption[index] if caption and index < len(caption) else ""
            self._keep(key, step, "image", "png", to_png(image), text)

    @rank_zero_only
    def log_table(
        self,
        key: str,
        columns: list[str] | None = None,
        data: list[list[Any]] | None = None,
        dataframe: pd.DataFrame | None = None,
        step: int | None = None,
    ) -> None:
        """Keeps a table under `key`, as CSV."""
        import pandas as pd

        if dataframe is None:  # pandas refuses text that cannot be stored
            dataframe = pd.DataFrame(storable_tree(data), columns=storable_tree(columns))
        content = dataframe.to_csv(index=False).encode(errors="backslashreplace")
        self._keep(key, step, "table", "csv", content, f"{len(dataframe)} rows")

    def keep_figure(self, key: str, figure: Figure, step: int | None) -> None:
        """Keeps a matplotlib figure."""
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=90, bbox_inches="tight")
        self._keep(key, step, "figure", "png", buffer.getvalue(), "")

    def keep_picture(self, key: str, content: bytes, step: int) -> None:
        """Keeps a plot that is a PNG already."""
        self._keep(key, step, "figure", "png", content, "")

    def keep_histogram(self, key: str, values: object, step: int | None, bins: int = 64) -> None:
        """Keeps a histogram as JSON: `counts` (bins) and `edges` (bins + 1)."""
        import numpy as np

        array = values.detach().float().cpu().numpy() if hasattr(values, "detach") else np.asarray(values)
        counts, edges = np.histogram(array[np.isfinite(array)], bins=bins)
        content = json.dumps({"counts": counts.tolist(), "edges": edges.tolist()}).encode()
        self._keep(key, step, "histogram", "json", content, "")

    def _keep(self, key: str, step: int | None, kind: str, suffix: str, content: bytes, caption: str) -> None:
        key, caption = mask(key), mask(caption)
        at = self.at(step)
        digest = hashlib.sha256(content).hexdigest()
        safe = re.sub(r"[^A-Za-z0-9_.-]+", "_", key)[:60] or "media"
        path = Path(self._folder.media, f"{safe}-{at}-{digest[:8]}.{suffix}")
        try:
            make_private_folder(self._folder.media)
            write_atomically(path, content)
        except (OSError, StoreError) as err:  # a full disk never ends a training
            reason = getattr(err, "strerror", None) or err
            self._warn_once(key, f"`{key}` of step {at:,} is not kept: {reason}", at)
            return
        relative = str(path.relative_to(self._folder.path))
        self._writer.medium(Medium(0, key, at, kind, relative, len(content), digest, caption))

    def at(self, step: object) -> int:
        """A step as an integer; the current one if None.

        Raises:
            ValueError: It is not an integer.
        """
        return self._stride.last_step if step is None else to_step(step)


class _Stride:
    """Thins each series to `MAX_POINTS_PER_S`, or to every N-th step, and records that in an event."""

    def __init__(self, every_n_steps: int | None, writer: RunWriter) -> None:
        self.last_step = 0
        self._every = every_n_steps
        self._writer = writer
        self._window_start = 0.0
        self._rows = 0
        self.first_seen: dict[str, int] = {}
        self._thin(every_n_steps or 1)

    def _thin(self, every: int) -> None:
        self.every = every
        self._writer.thin(every)

    def resume(self, every: int, seen: Mapping[str, int]) -> None:
        """Restores a checkpoint's thinning, unless `--record-every` is set."""
        self.first_seen = dict(seen)
        self._thin(self._every or every)

    def keep(self, values: list[tuple[str, Any]], step: int, now: float) -> list[tuple[str, Any]]:
        if self._every is None and step != self.last_step:  # several calls of one step are one point of each series
            self._measure(step, now)
        self.last_step = step
        if self.every == 1:
            return values
        return [pair for pair in values if self._is_due(pair[0], step)]

    def _is_due(self, name: str, step: int) -> bool:
        """Rare series (once an epoch) are always kept; frequent ones every N-th step."""
        last = self.first_seen.get(name)
        self.first_seen[name] = step
        return last is None or step - last > 1 or step % self.every == 0

    def _measure(self, step: int, now: float) -> None:
        self._rows += 1
        elapsed = now - self._window_start
        if elapsed < 1.0:
            return
        rate = self._rows / elapsed if self._window_start else 0.0
        self._window_start, self._rows = now, 0
        stride = max(self.every, -(-int(rate) // int(MAX_POINTS_PER_S)))
        if stride > self.every:
            self._thin(stride)
            text = f"{rate:,.0f} steps/s: from step {step} on every {stride}. step is recorded"
            self._writer.event(EventKind.STRIDED, text, step, stride=stride)
