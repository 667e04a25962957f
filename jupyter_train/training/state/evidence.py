"""Evidence for the replay check: hashes of the weights, and the loss that `training_step` returned."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytorch_lightning as pl
import torch
from torch import nn

from jupyter_train.events import EventKind
from jupyter_train.store.metrics.reader import WEIGHTS
from jupyter_train.store.replay_check import ReplayCheck
from jupyter_train.store.writer import Row, RunWriter
from jupyter_train.training.lightning.safe_points import SafePoint

if TYPE_CHECKING:
    from pytorch_lightning.trainer.connectors.logger_connector.result import _ResultMetric
    from pytorch_lightning.utilities.types import STEP_OUTPUT

#: The share of training time that copying and hashing may take.
MAX_TIME_SHARE = 0.005
#: The shortest time between two hashes inside an epoch, and between one and that at an epoch's end.
PERIOD_S, END_PERIOD_S = 1.0, 0.25
#: Of models with more values, every N-th value is hashed.
MAX_VALUES = 16_000_000
#: Copies that wait to be hashed take at most so many bytes.
_MAX_WAITING_BYTES = 64 * 1024 * 1024
#: What copying and hashing cost, until it has been measured.
_MIN_COST_S, _BYTES_PER_S = 2e-4, 4e8
#: The number of steps that decide which series hold the loss.
_COMPARED_STEPS = 3


class WeightsHash:
    """The current weights as a number: 52 bits of a SHA-256 over names, dtypes, shapes and values.

    Parameters and persistent buffers are copied by the constructor, and hashed by the thread that first calls
    `float`. Of models with more than `MAX_VALUES` values, every N-th value of each tensor is hashed. The number is NaN
    where the values cannot be read; `problem` says why.

    Args:
        module: Whose weights.
    """

    def __init__(self, module: nn.Module) -> None:
        began = time.perf_counter()
        self.problem = ""
        self._copies = _copy_weights(module)
        self.size_bytes = sum(tensor.numel() * tensor.element_size() for _, tensor in self._copies)
        self._number: float | None = None
        self._hashing = threading.Lock()
        self.cost_s = time.perf_counter() - began

    @property
    def is_hashed(self) -> bool:
        """True once the number is known and the copies are gone."""
        return self._number is not None

    def __float__(self) -> float:
        with self._hashing:
            if self._number is None:
                began = time.thread_time()
                number = self._hash()
                self._copies = []
                self.cost_s += time.thread_time() - began
                self._number = number
            return self._number

    def _hash(self) -> float:
        try:
            return _hash_number(self._copies)
        except Exception as err:  # noqa: BLE001  a tensor of an unknown kind must not stop the recording
            self.problem = f"{type(err).__name__}: {err}"
            return float("nan")


def _copy_weights(module: nn.Module) -> list[tuple[str, torch.Tensor]]:
    weights = list(_named_weights(module))
    every = max(1, -(-sum(tensor.numel() for _, tensor in weights) // MAX_VALUES))
    return [
        (f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|", tensor.detach().reshape(-1)[::every].clone())
        for name, tensor in weights
    ]


def _named_weights(module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Parameters and persistent buffers by name, without calling a module's `state_dict` hooks."""
    yield from module.named_parameters()
    for path, submodule in module.named_modules():
        for name, buffer in submodule._buffers.items():
            if buffer is not None and name not in submodule._non_persistent_buffers_set:
                yield f"{path}.{name}", buffer


def _hash_number(copies: list[tuple[str, torch.Tensor]]) -> float:
    digest = hashlib.sha256()
    for header, tensor in copies:
        digest.update(header.encode())
        if tensor.numel():
            digest.update(tensor.cpu().contiguous().view(torch.uint8).numpy().data)
    return float(int(digest.hexdigest()[:13], 16))


class WeightsHashRecorder:
    """Records a hash of the weights as often as `MAX_TIME_SHARE` allows, and wherever an earlier attempt did.

    Args:
        writer: Takes them, and hashes on its own thread.
    """

    def __init__(self, writer: RunWriter) -> None:
        verification = writer.verification
        self._writer = writer
        self._awaited = deque(verification.weights_at if verification is not None else ())
        self._waiting: list[WeightsHash] = []
        self._began: float | None = None
        self._spent_s = 0.0
        self._cost_s = 0.0
        self._due = self._end_due = 0.0
        self._is_possible = True

    def at(self, moment: SafePoint, trainer: pl.Trainer) -> None:
        """Takes a hash at a safe point where one is due."""
        if self._awaited:
            self._hash_awaited(moment, trainer)
            return
        now = time.monotonic()
        if now < self._end_due:  # which is never after the other
            return
        is_due = moment is SafePoint.BETWEEN_EPOCHS or (moment is SafePoint.BETWEEN_BATCHES and now >= self._due)
        if is_due and self._is_affordable(now, trainer):
            self._hash_now(trainer, _history_position(moment, trainer))
            self._due, self._end_due = now + PERIOD_S, now + END_PERIOD_S

    def _hash_awaited(self, moment: SafePoint, trainer: pl.Trainer) -> None:
        position, awaited = _history_position(moment, trainer), self._awaited
        while awaited and awaited[0] < position:
            awaited.popleft()
        if awaited and awaited[0] == position and moment is not SafePoint.BEFORE_VALIDATION:
            awaited.popleft()
            self._hash_now(trainer, position)

    def _is_affordable(self, now: float, trainer: pl.Trainer) -> bool:
        """Whether one more hash keeps to `MAX_TIME_SHARE`; else sets when it will."""
        if not self._is_possible:
            self._due = self._end_due = float("inf")
            return False
        if self._began is None:
            self._began = now
            size = sum(tensor.numel() * tensor.element_size() for _, tensor in _named_weights(trainer.lightning_module))
            self._cost_s = self._cost_s or _MIN_COST_S + size / _BYTES_PER_S
        self._count_costs()
        if self._waiting:
            return False
        self._due = self._end_due = self._began + (self._spent_s + self._cost_s) / MAX_TIME_SHARE
        return now >= self._due

    def _count_costs(self) -> None:
        for pending in [pending for pending in self._waiting if pending.is_hashed]:
            self._waiting.remove(pending)
            self._spent_s += pending.cost_s
            self._cost_s = pending.cost_s
            if pending.problem:
                self._give_up(pending.problem)

    def _hash_now(self, trainer: pl.Trainer, place: float) -> None:
        try:
            taken = WeightsHash(trainer.lightning_module)
        except Exception as err:  # noqa: BLE001  parameters of an unknown kind must not stop the training
            self._give_up(f"{type(err).__name__}: {err}")
            return
        self._waiting.append(taken)
        step = trainer.fit_loop.epoch_loop._batches_that_stepped
        self._writer.add(Row(step, place, time.time(), [(WEIGHTS, taken)]))
        if sum(pending.size_bytes for pending in self._waiting) > _MAX_WAITING_BYTES:
            for pending in self._waiting[:-1]:
                float(pending)
        self._count_costs()

    def _give_up(self, reason: str) -> None:
        if self._is_possible:
            self._is_possible = False
            self._awaited.clear()
            text = f"the weights cannot be hashed ({reason}); a resumed run is verified by its values alone"
            self._writer.event(EventKind.WARNING, text)


def _history_position(moment: SafePoint, trainer: pl.Trainer) -> float:
    """Batches so far; plus a half at an epoch's end."""
    done = trainer.fit_loop.epoch_loop.batch_progress.total.completed
    return done + (0.5 if moment is SafePoint.BETWEEN_EPOCHS else 0.0)


class ReturnedLoss:
    """Finds out, in the first steps of an attempt, which series hold the loss that `training_step` returned.

    Args:
        verification: Notified of the series.
    """

    def __init__(self, verification: ReplayCheck) -> None:
        self._verification = verification
        self._steps_left = _COMPARED_STEPS
        self._loss: torch.Tensor | None = None
        self._is_equal: dict[str, bool] = {}
        self._previous: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}

    @property
    def is_known(self) -> bool:
        """True once enough steps were seen."""
        return self._steps_left <= 0

    def returned(self, outputs: STEP_OUTPUT) -> None:
        """Sets the outputs of a training step, as `on_train_batch_end` receives them."""
        loss = loss_of(outputs)
        self._loss = loss.detach() if loss is not None else None
        self._steps_left -= loss is None  # a module that returns none has none to be found

    def set_series(self, name: str) -> None:
        """Sets the one series under which the returned loss is recorded."""
        self._steps_left = 0
        self._verification.say_evidence(frozenset({name}))

    def compare(self, trainer: pl.Trainer) -> None:
        """Compares the loss with what was logged for the same batch."""
        loss, self._loss = self._loss, None
        if loss is None:
            return
        self._steps_left -= 1
        parts = trainer.accumulate_grad_batches
        for item in list(trainer.fit_loop.epoch_loop._results.values()):
            for name, is_equal in self._compare_item(item, loss, parts):
                self._is_equal[name] = self._is_equal.get(name, True) and is_equal
        self._verification.say_evidence(frozenset(name for name, is_equal in self._is_equal.items() if is_equal))

    def _compare_item(self, item: _ResultMetric, loss: torch.Tensor, parts: int) -> Iterator[tuple[str, bool]]:
        """Names that a logged value is recorded under, and whether it is the loss."""
        meta = item.meta
        if meta.on_step and isinstance(item._forward_cache, torch.Tensor):
            is_equal = not item.has_reset and _is_equal(item._forward_cache / parts, loss)
            yield meta.forked_name(on_step=True), is_equal
            if meta.on_epoch:
                yield meta.forked_name(on_step=False), is_equal
        elif meta.on_epoch and meta.is_mean_reduction and item.is_tensor:
            key = f"{meta.fx}.{meta.name}"
            previous = (
                self._previous.get(key) if item._update_count > 1 else (item.value * 0, item.cumulated_batch_size * 0)
            )
            self._previous[key] = item.value, item.cumulated_batch_size
            if previous is not None:
                added = item.cumulated_batch_size - previous[1]
                yield meta.forked_name(on_step=False), _is_equal(previous[0] + loss * parts * added, item.value)


def loss_of(outputs: STEP_OUTPUT) -> torch.Tensor | None:
    """The loss in the outputs that `on_train_batch_end` receives; None where there is none."""
    loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
    return loss if isinstance(loss, torch.Tensor) and loss.numel() == 1 else None


def _is_equal(logged: torch.Tensor, loss: torch.Tensor) -> bool:
    """Whether both are equal in the dtype of the loss: Lightning stores logged values in at least 32 bits."""
    return bool(torch.equal(logged.detach().to(loss.dtype).reshape(()), loss.reshape(()).to(logged.device)))
