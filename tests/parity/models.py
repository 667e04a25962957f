"""Small modules, each with something of its own."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR, ReduceLROnPlateau, StepLR
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset
from torchmetrics.classification import MulticlassAccuracy

ROWS, CLASSES = 44, 4


def rows(count: int = ROWS, seed: int = 3) -> TensorDataset:
    """Points in classes that can be separated."""
    dice = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % CLASSES
    return TensorDataset(torch.randn(count, 8, generator=dice) + labels[:, None] / 2, labels)


def loader(batch_size: int = 8, seed: int = 3, shuffle: bool = True, **more: Any) -> DataLoader:
    """Batches of them."""
    return DataLoader(rows(seed=seed), batch_size, shuffle, generator=torch.Generator().manual_seed(5), **more)


class Rows(Dataset):
    """Samples as mappings, one by one."""

    def __init__(self) -> None:
        self.inner = rows()

    def __len__(self) -> int:
        return len(self.inner)

    def __getitem__(self, index: int) -> dict[str, Any]:
        x, y = self.inner[index]
        return {"x": x, "y": y, "name": f"row {index}"}


class Batches:
    """Gives batches, and is no DataLoader."""

    def __len__(self) -> int:
        return 6

    def __iter__(self) -> Any:
        return iter(loader(shuffle=False))


class Stream(IterableDataset):
    """Samples without a length."""

    def __iter__(self) -> Any:
        return iter(rows())


class Plain(pl.LightningModule):
    """Logs its loss."""

    optimizer: Any = torch.optim.Adam
    options: Any = {}

    def __init__(self) -> None:
        super().__init__()
        self.lr, self.batch_size = 1e-2, 8
        self.net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, CLASSES))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)

    def loss(self, batch: Any) -> torch.Tensor:
        x, y = batch
        return cross_entropy(self(x).float(), y)

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        loss = self.loss(batch)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        loss = self.loss(batch)
        self.log("val_loss", loss)
        return loss

    def configure_optimizers(self) -> Any:
        return self.optimizer(self.parameters(), **{**self.options, "lr": self.lr})


class OwnData(Plain):
    """Makes its loaders, of the batch size that was found."""

    def train_dataloader(self) -> Any:
        return loader(self.batch_size)

    def val_dataloader(self) -> Any:
        return loader(self.batch_size, 4, False)


class Normed(Plain):
    """Batch norm and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Dropout(0.3), nn.Linear(16, CLASSES))


class Tied(Plain):
    """One weight in two places."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8), nn.Linear(8, CLASSES))
        self.net[2].weight = self.net[0].weight


class Convolved(Plain):
    """A convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Unflatten(1, (1, 8)), nn.Conv1d(1, 4, 3), nn.Flatten(), nn.Linear(24, CLASSES))


class Recurrent(Plain):
    """A recurrent layer."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.GRU(2, 8, batch_first=True), nn.Linear(8, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.rnn(x.view(-1, 4, 2))[0][:, -1])


class Attentive(Plain):
    """A transformer layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.1, batch_first=True)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer(x.view(-1, 2, 4)).flatten(1))


class Frozen(Plain):
    """A part that is not trained."""

    def __init__(self) -> None:
        super().__init__()
        self.net[0].requires_grad_(False)


class Grouped(Plain):
    """Two groups of parameters."""

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(
            [{"params": self.net[0].parameters(), "lr": 0.1}, {"params": self.net[2].parameters()}],
            lr=0.01,
            momentum=0.9,
            nesterov=True,
            weight_decay=1e-3,
        )


class Momentous(Plain):
    """SGD."""

    optimizer, options = torch.optim.SGD, {"momentum": 0.9}


class Secant(Plain):
    """An optimizer that asks for the loss several times a step."""

    optimizer, options = torch.optim.LBFGS, {"max_iter": 4}


class Decayed(Plain):
    """AdamW, AMSGrad."""

    optimizer, options = torch.optim.AdamW, {"amsgrad": True}


class OwnOptimizer(torch.optim.SGD):
    """Takes its gradients away in its own way."""

    def zero_grad(self, set_to_none: bool = True) -> None:
        super().zero_grad(set_to_none=False)


class OwnSteps(Plain):
    """An optimizer of the user's."""

    optimizer, options = OwnOptimizer, {}


class Scheduled(Plain):
    """A schedule; which one is said by a subclass."""

    schedule: Any = staticmethod(lambda optimizer, trainer: StepLR(optimizer, 1, 0.5))
    scheduling: Any = {}

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)
        schedule = type(self).schedule(optimizer, self.trainer)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, **self.scheduling}}


class PerStep(Scheduled):
    """A cycle over all steps."""

    schedule = staticmethod(lambda opt, trainer: OneCycleLR(opt, 0.2, trainer.estimated_stepping_batches))
    scheduling = {"interval": "step"}


class EverySecondStep(Scheduled):
    """A frequency."""

    schedule = staticmethod(lambda opt, trainer: CosineAnnealingLR(opt, 20))
    scheduling = {"interval": "step", "frequency": 2}


class EverySecondEpoch(Scheduled):
    """A frequency."""

    scheduling = {"interval": "epoch", "frequency": 2}


class OnPlateau(Scheduled):
    """Looks at validation."""

    schedule = staticmethod(lambda opt, trainer: ReduceLROnPlateau(opt, patience=0, threshold=0.5))
    scheduling = {"monitor": "val_loss"}


class OnPlateauOfSteps(Scheduled):
    """Looks at every step's loss."""

    schedule = staticmethod(lambda opt, trainer: ReduceLROnPlateau(opt, patience=1, threshold=0.3))
    scheduling = {"monitor": "train_loss", "interval": "step"}


class OwnScheduling(Scheduled):
    """Overrides how its schedule steps."""

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        scheduler.step(self.trainer.current_epoch / 2)


class LogsAll(Plain):
    """Everything `self.log` can take."""

    def __init__(self) -> None:
        super().__init__()
        self.accuracy, self.val_accuracy = MulticlassAccuracy(CLASSES), MulticlassAccuracy(CLASSES)

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        x, y = batch
        out = self(x)
        loss = cross_entropy(out, y)
        self.log("both", loss, on_step=True, on_epoch=True, prog_bar=True)
        self.log("step", loss, True)
        self.log("epoch", loss, on_step=False, on_epoch=True, batch_size=len(x))
        self.log("sum", loss, on_step=False, on_epoch=True, reduce_fx="sum")
        self.log("max", loss, on_step=True, on_epoch=True, reduce_fx=torch.max)
        self.log("min", loss, on_epoch=True, on_step=False, reduce_fx="min")
        self.log("double", loss.double(), on_step=False, on_epoch=True)
        self.log("half", loss.bfloat16(), on_step=True, on_epoch=True)
        self.log("number", 1.5 * batch_idx, on_epoch=True)
        self.log("whole", batch_idx)
        self.log("one element", loss[None])
        self.log("hidden", loss, logger=False, prog_bar=True)
        self.log("sized", loss, on_epoch=True, batch_size=batch_idx + 1)
        self.log("synced", loss, sync_dist=True)
        self.log_dict({"a": loss, "b": loss * 2}, on_epoch=True)
        self.accuracy(out, y)
        self.log("acc", self.accuracy, on_step=True, on_epoch=True)
        if batch_idx % 2:
            self.log("sometimes", loss)
        return {"loss": loss, "out": out.detach()}

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        self.log("before", float(batch_idx))

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.log("after", outputs["loss"], on_epoch=True)

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        self.log("norm", torch.stack([p.grad.norm() for p in self.parameters()]).norm())

    def on_train_epoch_start(self) -> None:
        self.log("epoch began", float(self.current_epoch))

    def on_train_epoch_end(self) -> None:
        self.log("epoch ended", float(self.current_epoch))

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        x, y = batch
        out = self(x)
        loss = cross_entropy(out, y)
        self.val_accuracy(out, y)
        self.log("val_acc", self.val_accuracy)
        self.log("val_loss", loss, prog_bar=True)
        self.log("val_both", loss, on_step=True, on_epoch=True)
        self.log("val_max", loss, reduce_fx="max")
        return {"out": out}

    def on_validation_epoch_end(self) -> None:
        self.log("val end", 3.0)


class Quiet(Plain):
    """Logs nothing and has no validation."""

    validation_step = pl.LightningModule.validation_step

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        return self.loss(batch)


class WithoutIndex(Plain):
    """Steps that take a batch alone."""

    def training_step(self, batch: Any) -> Any:
        loss = self.loss(batch)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: Any) -> Any:
        self.log("val_loss", self.loss(batch))


class SkipsSteps(Plain):
    """Gives nothing for some batches."""

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        return None if batch_idx == 2 else super().training_step(batch, batch_idx)


class LeavesEarly(Plain):
    """Ends every epoch before its time."""

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> int | None:
        return -1 if batch_idx == 3 else None


class Mapped(Plain):
    """Batches that are mappings with text."""

    def loss(self, batch: Any) -> torch.Tensor:
        return super().loss((batch["x"], batch["y"]))


class TwoLoaders(Plain):
    """Validates on two sets."""

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> Any:
        loss = self.loss(batch)
        self.log("val_loss", loss)
        self.log(f"alone_{dataloader_idx}", loss, add_dataloader_idx=False, on_step=True, on_epoch=True)


class ManyBatches(Plain):
    """Trains on two loaders at once."""

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        loss = self.loss(batch["a"]) + self.loss(batch["b"])
        self.log("train_loss", loss)
        return loss


class OwnTransfer(Plain):
    """Changes its batches on their way."""

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        return [batch[0] + 1, batch[1]]

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        return [batch[0] * 2, batch[1]]


class OwnSteppingHooks(Plain):
    """Overrides how it optimizes."""

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        for group in optimizer.param_groups:
            group["lr"] = 0.01 / (1 + self.trainer.global_step)
        optimizer.step(closure=optimizer_closure)

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: Any) -> None:
        optimizer.zero_grad(set_to_none=False)

    def backward(self, loss: Any) -> None:
        (2 * loss).backward()

    def configure_gradient_clipping(self, optimizer: Any, gradient_clip_val: Any, gradient_clip_algorithm: Any) -> None:
        self.clip_gradients(optimizer, gradient_clip_val or 0.1, gradient_clip_algorithm or "norm")


class CompiledPart(Plain):
    """A network that is compiled."""

    def __init__(self) -> None:
        super().__init__()
        self.net = torch.compile(self.net, backend="eager")


class Adversarial(Plain):
    """Two optimizers, manual optimization."""

    def __init__(self) -> None:
        super().__init__()
        self.other = nn.Linear(8, CLASSES)
        self.automatic_optimization = False

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        one, two = self.optimizers()
        loss = self.loss(batch)
        one.zero_grad()
        self.manual_backward(loss)
        one.step()
        other = cross_entropy(self.other(batch[0]), batch[1])
        two.zero_grad()
        self.manual_backward(other)
        two.step()
        self.log_dict({"one": loss, "two": other})

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.net.parameters()), torch.optim.SGD(self.other.parameters(), lr=0.1)


class Iterated(Plain):
    """Fetches for itself."""

    def training_step(self, dataloader_iter: Any) -> Any:
        batch, _, _ = next(dataloader_iter)
        loss = self.loss(batch)
        self.log("train_loss", loss, batch_size=8)
        return loss


class Stops(Plain):
    """Asks for the end in the middle of an epoch."""

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        if self.trainer.global_step == 8:
            self.trainer.should_stop = True
        return super().training_step(batch, batch_idx)


class NeverLearns(Plain):
    """Has no optimizer."""

    def configure_optimizers(self) -> None:
        return None


class Swaps(Plain):
    """Gets another training step in the middle."""

    def on_train_epoch_start(self) -> None:
        if self.current_epoch == 1:
            self.training_step = self.another

    def another(self, batch: Any, batch_idx: int) -> Any:
        loss = 2 * self.loss(batch)
        self.log("another", loss)
        return loss
