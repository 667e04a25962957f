"""`self.logger.experiment`: takes the usual calls on TensorBoard's `SummaryWriter` and W&B's run."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class MediaLogger(Protocol):
    """What of a `RunLogger` takes numbers, images, figures and histograms."""

    def at(self, step: object) -> int:
        """A step as an integer; the current one if None."""

    def log_values(self, metrics: Mapping[Any, Any], step: int) -> None:
        """Records numbers."""

    def log_image(self, key: str, images: list[Any], step: int | None = None) -> None:
        """Keeps images."""

    def keep_figure(self, key: str, figure: Figure, step: int | None) -> None:
        """Keeps a matplotlib figure."""

    def keep_histogram(self, key: str, values: object, step: int | None) -> None:
        """Keeps a histogram."""


class Experiment:
    """Records what is logged in the run.

    Unknown calls do nothing and warn once.
    """

    def __init__(self, logger: MediaLogger) -> None:
        self._logger = logger
        self._reported: set[str] = set()

    def add_scalar(
        self, tag: str, scalar_value: object, global_step: int | None = None, *_: object, **__: object
    ) -> None:
        """Records a number (TensorBoard's call)."""
        self._logger.log_values({tag: scalar_value}, self._logger.at(global_step))

    def add_scalars(
        self, main_tag: str, tag_scalar_dict: dict[str, Any], global_step: int | None = None, *_: object
    ) -> None:
        """Records several numbers under one tag."""
        self._logger.log_values({main_tag: tag_scalar_dict}, self._logger.at(global_step))

    def add_image(self, tag: str, img_tensor: object, global_step: int | None = None, *_: object, **__: object) -> None:
        """Keeps one image `(C, H, W)`, `(H, W, C)` or `(H, W)`."""
        self._logger.log_image(tag, [img_tensor], step=global_step)

    def add_images(
        self, tag: str, img_tensor: Iterable[Any], global_step: int | None = None, *_: object, **__: object
    ) -> None:
        """Keeps a batch of images `(N, C, H, W)`."""
        self._logger.log_image(tag, list(img_tensor), step=global_step)

    def add_figure(
        self,
        tag: str,
        figure: Figure | list[Figure] | tuple[Figure, ...],
        global_step: int | None = None,
        *_: object,
        **__: object,
    ) -> None:
        """Keeps a matplotlib figure, or several."""
        for item in figure if isinstance(figure, list | tuple) else [figure]:
            self._logger.keep_figure(tag, item, global_step)

    def add_histogram(self, tag: str, values: object, global_step: int | None = None, *_: object, **__: object) -> None:
        """Keeps a histogram of values."""
        self._logger.keep_histogram(tag, values, global_step)

    def log(self, metrics: Mapping[str, Any], step: int | None = None, *_: object, **__: object) -> None:
        """Records numbers (W&B's call); figures and images among them are kept too."""
        at = self._logger.at(step)
        figures = {name: value for name, value in metrics.items() if hasattr(value, "savefig")}
        for name, value in figures.items():
            self._logger.keep_figure(name, value, at)
        self._logger.log_values({name: value for name, value in metrics.items() if name not in figures}, at)

    def __getattr__(self, name: str) -> _IgnoredCall:
        if name.startswith("__"):
            raise AttributeError(name)
        return _IgnoredCall(self, name)

    def _warn_once(self, call: str) -> None:
        if call not in self._reported:
            self._reported.add(call)
            warnings.warn(f"logger.experiment.{call}: not kept by the run", UserWarning, stacklevel=3)


class _IgnoredCall:
    """An unknown attribute of a tracker: calls of it, and of its attributes, do nothing."""

    def __init__(self, experiment: Experiment, name: str) -> None:
        self._experiment = experiment
        self._name = name

    def __call__(self, *_: object, **__: object) -> None:
        self._experiment._warn_once(self._name)

    def __getattr__(self, name: str) -> _IgnoredCall:
        if name.startswith("__"):
            raise AttributeError(name)
        return _IgnoredCall(self._experiment, f"{self._name}.{name}")
