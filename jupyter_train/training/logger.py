"""`RunLogger`: a Lightning logger whose other end is the run store."""

from __future__ import annotations

import hashlib
import io
import json
import re
import time
import warnings
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_fabric.loggers.logger import rank_zero_experiment
from lightning_utilities.core.rank_zero import rank_zero_only
from pytorch_lightning.loggers.logger import Logger

from jupyter_train.store.folder import RunFolder, write_atomically
from jupyter_train.store.locations import make_private_folder
from jupyter_train.store.metrics.reader import Medium
from jupyter_train.store.writer import Row, RunWriter

MOST_POINTS_PER_S = 1000.0
_MOST_IMAGE_SIDE = 1024


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
        self._experiment = Experiment(self)

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
        """What modules call `add_image`, `add_scalar`, `log`, ... on."""
        return self._experiment

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Records values under their names; `epoch` among them says where they belong."""
        epoch = metrics.get("epoch")
        if epoch is not None:
            self.epoch = float(epoch)
        skipped = self.handled_elsewhere
        self.record([pair for pair in metrics.items() if pair[0] != "epoch" and pair[0] not in skipped], step or 0)

    def record(self, values: list[tuple[str, Any]], step: int) -> None:
        """Appends values (numbers or detached tensors of one element) at a step."""
        now = time.time()
        kept = self._stride.keep(values, step, now)
        if kept:
            self._writer.add(Row(step, self.epoch, now, kept))

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *_: Any, **__: Any) -> None:
        """Keeps the module's hyperparameters in the run's summary."""
        from jupyter_train.config.train import as_json

        plain = vars(params) if isinstance(params, Namespace) else dict(params)
        self._writer.summary(hyperparameters={str(name): as_json(value) for name, value in plain.items()})

    @rank_zero_only
    def log_image(
        self, key: str, images: list[Any], step: int | None = None, caption: list[str] | None = None, **_: Any
    ) -> None:
        """Keeps images under `key`.

        Args:
            key: Name in the panel.
            images: Arrays or tensors `(H, W)`, `(H, W, C)` or `(C, H, W)` with 1, 3 or 4 channels, floats in
                [0, 1] or bytes; PIL images; or paths.
            step: Where they belong; the current step if None.
            caption: One text per image.
        """
        for index, image in enumerate(images if isinstance(images, list | tuple) else [images]):
            text = caption[index] if caption and index < len(caption) else ""
            self._keep(key, step, "image", "png", _png_of(image), text)

    @rank_zero_only
    def log_table(
        self,
        key: str,
        columns: list[str] | None = None,
        data: list[list[Any]] | None = None,
        dataframe: Any = None,
        step: int | None = None,
    ) -> None:
        """Keeps a table under `key`, as CSV."""
        import pandas as pd

        frame = dataframe if dataframe is not None else pd.DataFrame(data, columns=columns)
        self._keep(key, step, "table", "csv", frame.to_csv(index=False).encode(), f"{len(frame)} rows")

    def keep_figure(self, key: str, figure: Any, step: int | None) -> None:
        """Keeps a matplotlib figure."""
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=90, bbox_inches="tight")
        self._keep(key, step, "figure", "png", buffer.getvalue(), "")

    def keep_histogram(self, key: str, values: Any, step: int | None, bins: int = 64) -> None:
        """Keeps a histogram as JSON: `counts` (bins) and `edges` (bins + 1)."""
        import numpy as np

        array = values.detach().float().cpu().numpy() if hasattr(values, "detach") else np.asarray(values)
        counts, edges = np.histogram(array[np.isfinite(array)], bins=bins)
        content = json.dumps({"counts": counts.tolist(), "edges": edges.tolist()}).encode()
        self._keep(key, step, "histogram", "json", content, "")

    def _keep(self, key: str, step: int | None, kind: str, suffix: str, content: bytes, caption: str) -> None:
        at = self._writer_step() if step is None else int(step)
        digest = hashlib.sha256(content).hexdigest()
        make_private_folder(self._folder.media)
        safe = re.sub(r"[^A-Za-z0-9_.-]+", "_", key)[:60] or "media"
        path = Path(self._folder.media, f"{safe}-{at}-{digest[:8]}.{suffix}")
        write_atomically(path, content)
        relative = str(path.relative_to(self._folder.path))
        self._writer.medium(Medium(0, key, at, kind, relative, len(content), digest, caption))

    def _writer_step(self) -> int:
        return self._stride.last_step


class _Stride:
    """Thins each series to `MOST_POINTS_PER_S`, or to every N-th step, and says so once."""

    def __init__(self, every_n_steps: int | None, writer: RunWriter) -> None:
        self.last_step = 0
        self._every = every_n_steps
        self._writer = writer
        self._window_start = 0.0
        self._rows = 0
        self._stride = every_n_steps or 1
        self._first_seen: dict[str, int] = {}

    def keep(self, values: list[tuple[str, Any]], step: int, now: float) -> list[tuple[str, Any]]:
        self.last_step = step
        if self._every is None:
            self._measure(step, now)
        if self._stride == 1:
            return values
        return [pair for pair in values if self._is_due(pair[0], step)]

    def _is_due(self, name: str, step: int) -> bool:
        """Rare series (once an epoch) are always kept; frequent ones every N-th step."""
        last = self._first_seen.get(name)
        self._first_seen[name] = step
        return last is None or step - last > 1 or step % self._stride == 0

    def _measure(self, step: int, now: float) -> None:
        self._rows += 1
        elapsed = now - self._window_start
        if elapsed < 1.0:
            return
        rate = self._rows / elapsed if self._window_start else 0.0
        self._window_start, self._rows = now, 0
        stride = max(self._stride, -(-int(rate) // int(MOST_POINTS_PER_S)))
        if stride > self._stride:
            self._stride = stride
            text = f"{rate:,.0f} steps/s: from step {step} on every {stride}. step is recorded"
            self._writer.event("strided", text, step, stride=stride)


class Experiment:
    """The calls modules make on a logger's `experiment`, kept in the run.

    Unknown calls do nothing and are said once.
    """

    def __init__(self, logger: RunLogger) -> None:
        self._logger = logger
        self._told: set[str] = set()

    def add_scalar(self, tag: str, scalar_value: Any, global_step: int | None = None, *_: Any, **__: Any) -> None:
        """Records a number (TensorBoard's call)."""
        step = self._logger._writer_step() if global_step is None else int(global_step)
        self._logger.record([(tag, scalar_value)], step)

    def add_scalars(
        self, main_tag: str, tag_scalar_dict: dict[str, Any], global_step: int | None = None, *_: Any
    ) -> None:
        """Records several numbers under one tag."""
        for tag, value in tag_scalar_dict.items():
            self.add_scalar(f"{main_tag}/{tag}", value, global_step)

    def add_image(self, tag: str, img_tensor: Any, global_step: int | None = None, *_: Any, **__: Any) -> None:
        """Keeps one image `(C, H, W)`, `(H, W, C)` or `(H, W)`."""
        self._logger.log_image(tag, [img_tensor], step=global_step)

    def add_images(self, tag: str, img_tensor: Any, global_step: int | None = None, *_: Any, **__: Any) -> None:
        """Keeps a batch of images `(N, C, H, W)`."""
        self._logger.log_image(tag, list(img_tensor), step=global_step)

    def add_figure(self, tag: str, figure: Any, global_step: int | None = None, *_: Any, **__: Any) -> None:
        """Keeps a matplotlib figure, or several."""
        for one in figure if isinstance(figure, list | tuple) else [figure]:
            self._logger.keep_figure(tag, one, global_step)

    def add_histogram(self, tag: str, values: Any, global_step: int | None = None, *_: Any, **__: Any) -> None:
        """Keeps a histogram of values."""
        self._logger.keep_histogram(tag, values, global_step)

    def log(self, metrics: Mapping[str, Any], step: int | None = None, *_: Any, **__: Any) -> None:
        """Records numbers (W&B's call); figures and images among them are kept too."""
        at = self._logger._writer_step() if step is None else int(step)
        for name, value in metrics.items():
            if hasattr(value, "savefig"):
                self._logger.keep_figure(name, value, at)
            elif hasattr(value, "item") or isinstance(value, int | float):
                self._logger.record([(name, value)], at)
            else:
                self._tell_once(f"log({name}: {type(value).__name__})")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Ignored(self, name)

    def _tell_once(self, call: str) -> None:
        if call not in self._told:
            self._told.add(call)
            warnings.warn(f"logger.experiment.{call}: not kept by the run", UserWarning, stacklevel=3)


class _Ignored:
    """An attribute of a tracker we do not know: may be called or looked into, does nothing."""

    def __init__(self, experiment: Experiment, name: str) -> None:
        self._experiment = experiment
        self._name = name

    def __call__(self, *_: Any, **__: Any) -> None:
        self._experiment._tell_once(self._name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Ignored(self._experiment, f"{self._name}.{name}")


def _png_of(image: Any) -> bytes:
    """An image in any of the usual forms as PNG, at most 1,024 pixels a side."""
    from PIL import Image

    picture: Image.Image
    if isinstance(image, str | Path):
        picture = Image.open(image)
    elif isinstance(image, Image.Image):
        picture = image
    else:
        picture = Image.fromarray(_bytes_of(image))
    picture.thumbnail((_MOST_IMAGE_SIDE, _MOST_IMAGE_SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


def _bytes_of(image: Any) -> Any:
    """An array `(H, W)` or `(H, W, C)` of bytes."""
    import numpy as np

    array = image.detach().float().cpu().numpy() if hasattr(image, "detach") else np.asarray(image)
    if array.ndim == 3 and array.shape[0] in (1, 3, 4) and array.shape[2] not in (1, 3, 4):
        array = array.transpose(1, 2, 0)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3):
        raise ValueError(f"an image has shape (H, W), (H, W, C) or (C, H, W), not {array.shape}")
    if array.dtype != np.uint8:
        high = float(np.nanmax(array)) if array.size else 1.0
        scale = 255.0 if high <= 1.0 + 1e-6 else 1.0
        array = np.clip(np.nan_to_num(array) * scale, 0, 255).astype(np.uint8)
    return array
