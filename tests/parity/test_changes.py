"""What is changed in the middle of an epoch counts from that moment on, with both loops."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.precision import DoublePrecision, MixedPrecision
from pytorch_lightning.profilers import SimpleProfiler
from torch.optim.lr_scheduler import ExponentialLR

from jupyter_train.training import engine
from tests.parity.both_ways import USUAL, attempt, differences
from tests.parity.cases import Case, both
from tests.parity.models import Plain

pytestmark = [pytest.mark.filterwarnings("ignore")]

Change = Callable[[pl.Trainer, Any], None]
PLACES = ["on_train_batch_start", "on_before_zero_grad", "on_after_backward", "on_before_optimizer_step"]


class Model(Plain):
    """Counts, as a buffer: compared with the weights."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(()))

    def another(self, batch: Any, batch_idx: int) -> Any:
        self.count += 1
        return 2 * self.loss(batch)

    def alone(self, batch: Any) -> Any:
        self.count += 1
        return 3 * self.loss(batch)


class Does(pl.Callback):
    """Changes something once, in a hook of a step."""

    def __init__(self, change: Change, place: str, step: int) -> None:
        def hook(trainer: Any, pl_module: Any, *_: Any) -> None:
            if trainer.fit_loop.epoch_loop.batch_progress.total.ready == step and not self.is_done:
                self.is_done = True
                change(trainer, pl_module)

        self.is_done = False
        setattr(self, place, hook)


class Counts(pl.Callback):
    """Counts its hooks in the module's buffer."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        pl_module.count += 1

    def on_after_backward(self, trainer, pl_module):
        pl_module.count += 100

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        pl_module.count += 1e4
        outputs["loss"].zero_()


def _count(module: Any, *_: Any, **__: Any) -> None:
    module.count += 1


def _sgd(trainer: pl.Trainer, module: Any) -> Any:
    return torch.optim.SGD(module.parameters(), lr=0.3)


def _swap_optimizer(trainer: Any, module: Any) -> None:
    trainer.optimizers = [_sgd(trainer, module)]


def _swap_in_place(trainer: Any, module: Any) -> None:
    trainer.optimizers[0] = _sgd(trainer, module)


def _two_optimizers(trainer: Any, module: Any) -> None:
    trainer.optimizers = [_sgd(trainer, module), _sgd(trainer, module)]


def _set(name: str, owner: str = "module") -> Change:
    """Sets a function on an object that counts, and does what was done before."""

    def change(trainer: Any, module: Any) -> None:
        found: Any = {
            "module": module,
            "optimizer": trainer.optimizers[0],
            "wrapper": trainer.strategy._lightning_optimizers[0],
            "strategy": trainer.strategy,
            "precision": trainer.precision_plugin,
            "callback": trainer.callbacks[-1],
        }[owner]
        before = getattr(found, name)

        @functools.wraps(before)
        def counted(*arguments: Any, **named: Any) -> Any:
            _count(module)
            return before(*arguments, **named)

        setattr(found, name, counted)

    return change


def _set_on_class(name: str) -> Change:
    """Adds a hook to a class, for as long as the fit's module lives."""

    def change(trainer: Any, module: Any) -> None:
        before = getattr(Model, name)

        def counted(self: Any, *arguments: Any, **named: Any) -> Any:
            _count(self)
            return before(self, *arguments, **named)

        setattr(type(module), name, counted)

    return change


def _step_without_index(trainer: Any, module: Any) -> None:
    module.training_step = module.alone


def _step_twice(trainer: Any, module: Any) -> None:
    module.training_step = module.another
    module.training_step = module.alone


def _swap_precision(kind: Callable[[], Any]) -> Change:
    def change(trainer: Any, module: Any) -> None:
        trainer.strategy.precision_plugin = kind()

    return change


def _double(trainer: Any, module: Any) -> None:
    module.double()
    _swap_optimizer(trainer, module)
    trainer.strategy.precision_plugin = DoublePrecision()


def _schedule(owner: str) -> Change:
    def change(trainer: Any, module: Any) -> None:
        optimizer = trainer.optimizers[0] if owner == "optimizer" else module.optimizers()
        module.late = [ExponentialLR(optimizer, 0.5)]
        module.on_train_batch_end = lambda *_: module.late[0].step()

    return change


def _configured_schedule(trainer: Any, module: Any) -> None:
    from pytorch_lightning.utilities.types import LRSchedulerConfig

    config = LRSchedulerConfig(ExponentialLR(trainer.optimizers[0], 0.5), interval="step")
    trainer.strategy.lr_scheduler_configs = [config]


def _register(name: str) -> Change:
    def change(trainer: Any, module: Any) -> None:
        getattr(trainer.optimizers[0], name)(lambda *_: _count(module))

    return change


def _group(trainer: Any, module: Any) -> None:
    extra = torch.nn.Linear(8, 4)
    module.extra = extra
    module.training_step = lambda batch, batch_idx: module.loss(batch) + extra(batch[0]).square().mean()
    trainer.optimizers[0].add_param_group({"params": list(extra.parameters()), "lr": 0.05})


def _groups(trainer: Any, module: Any) -> None:
    group = trainer.optimizers[0].param_groups[0]
    trainer.optimizers[0].param_groups = [{**group, "lr": 0.1}]


def _freeze(trainer: Any, module: Any) -> None:
    module.net[0].requires_grad_(False)


def _by_hand(trainer: Any, module: Any) -> None:
    module.automatic_optimization = False
    module.training_step = functools.partial(_manual_step, module)


def _manual_step(module: Any, batch: Any, batch_idx: int) -> None:
    _count(module)
    optimizer = module.optimizers()
    optimizer.zero_grad()
    module.manual_backward(module.loss(batch))
    optimizer.step()
    if batch_idx == 4:
        module.automatic_optimization = True
        del module.training_step


def _assign(owner: str, name: str, value: Any) -> Change:
    def change(trainer: Any, module: Any) -> None:
        setattr(trainer if owner == "trainer" else module, name, value)

    return change


def _add_callback(trainer: Any, module: Any) -> None:
    trainer.callbacks.append(Counts())


def _put_callback_first(trainer: Any, module: Any) -> None:
    trainer.callbacks.insert(0, Counts())


def _remove_callback(trainer: Any, module: Any) -> None:
    trainer.callbacks.remove(next(one for one in trainer.callbacks if isinstance(one, Does)))


def _transfer(trainer: Any, module: Any) -> None:
    module.on_after_batch_transfer = lambda batch, dataloader_idx: [batch[0] * 2, batch[1]]


def _forget_zeroing(trainer: Any, module: Any) -> None:
    trainer.optimizers[0].zero_grad = lambda set_to_none=True: _count(module)


def _profile(trainer: Any, module: Any) -> None:
    trainer.profiler = SimpleProfiler()


CHANGES: dict[str, Change] = {
    "optimizers": _swap_optimizer,
    "optimizer in its list": _swap_in_place,
    "two optimizers": _two_optimizers,
    "optimizer.step": _set("step", "optimizer"),
    "optimizer.zero_grad": _set("zero_grad", "optimizer"),
    "optimizer.zero_grad that keeps them": _forget_zeroing,
    "optimizers().step": _set("step", "wrapper"),
    "step pre hook": _register("register_step_pre_hook"),
    "step post hook": _register("register_step_post_hook"),
    "param group": _group,
    "param groups": _groups,
    "requires_grad": _freeze,
    "training_step": _set("training_step"),
    "training_step without index": _step_without_index,
    "training_step, twice": _step_twice,
    "validation_step": _set("validation_step"),
    "backward": _set("backward"),
    "optimizer_step": _set("optimizer_step"),
    "optimizer_zero_grad": _set("optimizer_zero_grad"),
    "configure_gradient_clipping": _set("configure_gradient_clipping"),
    "module's on_after_backward": _set("on_after_backward"),
    "module's on_train_batch_start": _set("on_train_batch_start"),
    "module's on_train_batch_end": _set("on_train_batch_end"),
    "module's on_before_optimizer_step": _set("on_before_optimizer_step"),
    "callback's on_before_backward": _set("on_before_backward", "callback"),
    "callback's on_train_batch_end": _set("on_train_batch_end", "callback"),
    "class's on_after_backward": _set_on_class("on_after_backward"),
    "class's training_step": _set_on_class("training_step"),
    "transfer hook": _transfer,
    "strategy.backward": _set("backward", "strategy"),
    "strategy.on_train_batch_start": _set("on_train_batch_start", "strategy"),
    "precision.clip_gradients": _set("clip_gradients", "precision"),
    "precision, mixed": _swap_precision(lambda: MixedPrecision("bf16-mixed", "cpu")),
    "precision, double": _double,
    "schedule": _schedule("optimizer"),
    "schedule of optimizers()": _schedule("wrapper"),
    "configured schedule": _configured_schedule,
    "accumulate_grad_batches": _assign("trainer", "accumulate_grad_batches", 2),
    "gradient_clip_val": _assign("trainer", "gradient_clip_val", 0.05),
    "automatic_optimization": _by_hand,
    "callback added": _add_callback,
    "callback put first": _put_callback_first,
    "profiler": _profile,
    "should_stop": _assign("trainer", "should_stop", True),
}


#: Hooks that are set where the number of attributes stays the same, and what each does.
LATE: dict[str, Callable[[Any], Any]] = {
    "on_train_batch_start": lambda module: lambda *_: _count(module),
    "on_train_batch_end": lambda module: lambda *_: _count(module),
    "on_before_zero_grad": lambda module: lambda *_: _count(module),
    "on_before_backward": lambda module: lambda *_: _count(module),
    "on_after_backward": lambda module: lambda *_: _count(module),
    "on_before_optimizer_step": lambda module: lambda *_: _count(module),
    "on_validation_batch_start": lambda module: lambda *_: _count(module),
    "on_validation_batch_end": lambda module: lambda *_: _count(module),
}
LATE_OF_MODULE: dict[str, Callable[[Any], Any]] = LATE | {
    "optimizer_step": lambda module: lambda *arguments: (_count(module), Model.optimizer_step(module, *arguments)),
    "optimizer_zero_grad": lambda module: lambda *_: _count(module),
    "backward": lambda module: lambda loss: (2 * loss).backward(),
    "configure_gradient_clipping": lambda module: lambda optimizer, *_, **__: module.clip_gradients(optimizer, 0.01),
    "on_after_batch_transfer": lambda module: lambda batch, _: [batch[0] * 2, batch[1]],
}


class Trades(pl.Callback):
    """Has an attribute less for the hook that it sets: on the module, on its class or on itself.

    Args:
        name: Of the hook.
        owner: On what.
        is_idle: Whether None stood for the hook before; else another attribute goes.
        is_hidden: Whether the attribute that was set last goes, and comes again after the hook.
        step: At whose start, end or (`place`) other hook.
    """

    def __init__(self, name: str, owner: str, is_idle: bool = False, is_hidden: bool = False, place: str = "") -> None:
        self.name, self.owner, self.is_idle, self.is_hidden = name, owner, is_idle, is_hidden
        self.is_done = False
        setattr(self, place or "on_train_batch_end", self.trade)
        if owner == "callback":
            self.prepare(self)

    def prepare(self, owner: Any) -> None:
        owner.spare = owner.other = 1
        if self.is_idle:
            setattr(owner, self.name, None)
        owner.newest = 1

    def owned(self, module: Any) -> Any:
        return {"module": module, "class": type(module), "callback": self}[self.owner]

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        if self.owner != "callback":
            self.prepare(self.owned(pl_module))

    def trade(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        if self.is_done or trainer.fit_loop.epoch_loop.batch_progress.total.ready != 8:
            return
        self.is_done = True
        owner, hook = self.owned(pl_module), LATE_OF_MODULE[self.name](pl_module)
        if not self.is_idle:
            del owner.spare
        if self.is_hidden:
            del owner.newest
        setattr(owner, self.name, staticmethod(hook) if self.owner == "class" else hook)
        if self.is_hidden:
            owner.newest = 1


class TradesPart(Trades):
    """Sets a function on a part of the trainer as another attribute goes."""

    def owned(self, module: Any) -> Any:
        trainer = module.trainer
        return {
            "strategy": trainer.strategy,
            "precision": trainer.precision_plugin,
            "optimization": trainer.fit_loop.epoch_loop.automatic_optimization,
        }[self.owner]

    def trade(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        if self.is_done or trainer.fit_loop.epoch_loop.batch_progress.total.ready != 8:
            return
        self.is_done = True
        owner = self.owned(pl_module)
        before = getattr(owner, self.name)
        del owner.spare
        setattr(owner, self.name, lambda *some, **named: (_count(pl_module), before(*some, **named))[1])


def _traded(*arguments: Any, kind: type[Trades] = Trades, **named: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A fit by Lightning's loop and one by the lean one, each with a class of its own to change."""

    def case() -> Case:
        options = {"max_epochs": 2, "val_check_interval": 5}
        return Case(type("Changed", (Model,), {}), both, options, lambda: [kind(*arguments, **named), pl.Callback()])

    return attempt(case(), False), attempt(case(), True)


def _case(change: Change, place: str = "on_train_batch_end", step: int = 8, **options: Any) -> Case:
    kind = type("Changed", (Model,), {})
    return Case(kind, both, {"max_epochs": 2, **options}, lambda: [Does(change, place, step), pl.Callback()])


@pytest.fixture(scope="module")
def unchanged() -> dict[str, Any]:
    """A fit in which nothing changes: a change that makes no difference would prove nothing."""
    return attempt(_case(lambda trainer, module: None), True)


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_changed_after_a_batch(name: str, unchanged: dict[str, Any]) -> None:
    stock, lean = attempt(_case(CHANGES[name]), False), attempt(_case(CHANGES[name]), True)
    assert differences(stock, lean) == []
    assert lean["why"][0] is None
    assert differences(unchanged, lean) != [] or len(lean["why"]) == 2


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "name",
    [
        "optimizers",
        "optimizer.zero_grad that keeps them",
        "optimizer.step",
        "training_step",
        "optimizer_step",
        "backward",
        "module's on_train_batch_end",
        "callback put first",
        "schedule",
        "accumulate_grad_batches",
    ],
)
def test_what_is_changed_in_any_hook_of_a_batch(name: str, place: str) -> None:
    stock, lean = attempt(_case(CHANGES[name], place, 9), False), attempt(_case(CHANGES[name], place, 9), True)
    assert differences(stock, lean) == []


def test_a_callback_that_takes_itself_away_makes_lightning_pass_over_the_next() -> None:
    def case(place: str) -> Case:
        return Case(Model, both, {"max_epochs": 2}, lambda: [Does(_remove_callback, place, 8), Counts(), Counts()])

    for place in ("on_train_batch_start", "on_after_backward", "on_train_batch_end"):
        assert differences(attempt(case(place), False), attempt(case(place), True)) == [], place


def test_a_change_in_validation_counts_from_its_next_batch() -> None:
    for name in ("callback added", "transfer hook", "precision, mixed", "validation_step"):
        case = _case(CHANGES[name], "on_validation_batch_end", 6, val_check_interval=3)
        assert differences(attempt(case, False), attempt(case, True)) == [], name


def _assert_seen(unchanged: dict[str, Any], stock: dict[str, Any], lean: dict[str, Any]) -> None:
    assert differences(stock, lean) == []
    assert lean["why"][0] is None
    assert differences(unchanged, lean) != []


@pytest.fixture(scope="module")
def untraded() -> dict[str, Any]:
    """A fit like the next ones, in which no hook is set."""
    return attempt(Case(Model, both, {"max_epochs": 2, "val_check_interval": 5}), True)


#: Lightning calls the others of a module whatever they are.
_MAY_BE_NONE = [name for name in LATE if not name.startswith("on_validation")]


@pytest.mark.parametrize("name", LATE_OF_MODULE)
def test_a_late_hook_of_the_module_as_another_attribute_goes(name: str, untraded: dict[str, Any]) -> None:
    _assert_seen(untraded, *_traded(name, "module"))


@pytest.mark.parametrize("name", _MAY_BE_NONE)
def test_a_late_hook_of_the_module_over_none(name: str, untraded: dict[str, Any]) -> None:
    _assert_seen(untraded, *_traded(name, "module", True))


@pytest.mark.parametrize("is_idle", [True, False], ids=["over None", "as another goes"])
@pytest.mark.parametrize("name", LATE)
def test_a_late_hook_that_leaves_a_callback_no_larger(name: str, is_idle: bool, untraded: dict[str, Any]) -> None:
    if name == "on_train_batch_end":
        _assert_seen(untraded, *_traded(name, "callback", is_idle, place="on_after_backward"))
    else:
        _assert_seen(untraded, *_traded(name, "callback", is_idle))


@pytest.mark.parametrize("owner", ["module", "callback"])
def test_a_late_hook_is_seen_whatever_is_set_after_it(owner: str, untraded: dict[str, Any]) -> None:
    _assert_seen(untraded, *_traded("on_after_backward", owner, is_hidden=True))


def test_a_late_hook_over_none_in_a_class(untraded: dict[str, Any]) -> None:
    _assert_seen(untraded, *_traded("on_after_backward", "class", True))


@pytest.mark.parametrize("place", PLACES)
def test_a_late_hook_that_leaves_the_module_no_larger_in_any_hook(place: str, untraded: dict[str, Any]) -> None:
    _assert_seen(untraded, *_traded("on_train_batch_end", "module", place=place))


@pytest.mark.parametrize(
    ("owner", "name"),
    [("strategy", "backward"), ("precision", "clip_gradients"), ("optimization", "_optimizer_step")],
)
def test_a_late_function_that_leaves_a_part_no_larger(owner: str, name: str, untraded: dict[str, Any]) -> None:
    stock, lean = _traded(name, owner, kind=TradesPart)
    _assert_seen(untraded, stock, lean)
    assert len(lean["why"]) == 2


class Schedules(pl.Callback):
    """Makes a schedule of its own before the third batch, and steps it after every batch from then on."""

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.schedule: Any = None

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if batch_idx == 3:
            of_trainer, wrapper = trainer.optimizers[0], pl_module.optimizers()
            self.schedule = ExponentialLR(of_trainer if self.owner == "optimizer" else wrapper, 0.5)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if self.schedule is not None:
            self.schedule.step()


@pytest.mark.parametrize("owner", ["optimizer", "wrapper"])
def test_a_schedule_made_late_is_not_said_to_step_before_its_optimizer(owner: str) -> None:
    trainer = pl.Trainer(**USUAL, logger=False, callbacks=[Schedules(owner)])
    engine.install(trainer, lambda reason: None)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trainer.fit(Model(), **both())
    assert not [one for one in caught if "lr_scheduler.step()" in str(one.message)]


def test_why_the_lean_loop_ends_is_said() -> None:
    assert attempt(_case(_profile), True)["why"] == [None, "SimpleProfiler watches Lightning's own loop"]
    assert attempt(_case(_by_hand), True)["why"] == [None, "the model optimizes manually"]
    assert attempt(_case(_two_optimizers), True)["why"] == [None, "the model has several optimizers"]


@pytest.mark.parametrize("name", ["zero_grad", "step"])
def test_what_was_set_on_the_optimizer_before_the_fit_is_called(name: str) -> None:
    class Sets(Plain):
        def configure_optimizers(self):
            optimizer = super().configure_optimizers()
            before = getattr(optimizer, name)
            self.register_buffer("count", torch.zeros(()))

            def counted(*arguments, **named):
                self.count += 1
                return before(*arguments, **named)

            setattr(optimizer, name, counted)
            return optimizer

    assert differences(attempt(Case(Sets), False), attempt(Case(Sets), True)) == []


def test_a_step_that_was_wrapped_in_its_class_is_called() -> None:
    class Own(torch.optim.SGD):
        """A class whose step is decorated as `functools.wraps` does."""

    class Module(Plain):
        optimizer = Own

        def configure_optimizers(self):
            optimizer = super().configure_optimizers()
            before = Own.step

            @functools.wraps(before)
            def halved(self, closure=None):
                for group in self.param_groups:
                    group["lr"] *= 0.5
                return before(self, closure)

            Own.step = halved
            return optimizer

    stock = attempt(Case(Module), False)
    del Own.step
    assert differences(stock, attempt(Case(Module), True)) == []
