"""Training: bit-equal to stock Lightning, interrupts, loggers, media, what other people's modules do."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
import weakref
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from jupyter_train import TrainingInterrupted, get_run, runs, train
from jupyter_train.store import MetricReader, RunFolder
from tests.models import DigitsData, LitDigits, OrderedDigits, are_equal, digits, weights
from tests.waiting import until

#: What Lightning and torch say of these modules is theirs to say.

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def test_recording_changes_nothing_in_the_weights() -> None:
    """Bit-equal to stock Lightning: same seed, same model, same loader in the same order."""
    pl.seed_everything(9, workers=True, verbose=False)
    stock = LitDigits()
    pl.seed_everything(9, workers=True, verbose=False)
    trainer = pl.Trainer(
        max_epochs=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        devices=1,
    )
    trainer.fit(stock, OrderedDigits(seed=9))
    run = train(lambda: LitDigits(), DigitsData(), epochs=2, seed=9, quiet=True)
    assert are_equal(weights(stock), weights(run._module))


def test_a_factory_is_called_after_the_seed_is_set() -> None:
    first, second = (train(lambda: LitDigits(), digits, epochs=1, seed=4, quiet=True) for _ in range(2))
    assert are_equal(weights(first._module), weights(second._module))
    assert first.provenance["initial_state"]["sha256"] == second.provenance["initial_state"]["sha256"]


def test_every_step_is_recorded_with_the_value_lightning_logged() -> None:
    seen: list[float] = []

    class Watched(LitDigits):
        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)
            seen.append(float(loss))
            return loss

    run = train(Watched(), digits(), epochs=2, seed=1, quiet=True)
    recorded = run.metrics["train_loss"].dropna()
    assert recorded.tolist() == pytest.approx(seen, abs=0)
    assert recorded.index.tolist() == list(range(16))


def test_a_module_that_logs_nothing_still_has_a_loss_curve() -> None:
    class Silent(LitDigits):
        def step(self, batch, stage):
            return torch.nn.functional.cross_entropy(self(batch[0]), batch[1])

    run = train(Silent(), digits(), epochs=1, seed=1, quiet=True)
    assert run.metrics["train_loss"].notna().sum() == 8


def test_a_user_logger_keeps_its_own_pace_and_the_run_has_every_step() -> None:
    from pytorch_lightning.loggers import CSVLogger

    csv = CSVLogger("csv")
    run = train(LitDigits(), digits(), epochs=2, seed=1, quiet=True, logger=[csv], log_every_n_steps=4)
    assert run.metrics["train_loss"].notna().sum() == 16
    text = open(csv.log_dir + "/metrics.csv").read()
    assert (
        sum(1 for line in text.splitlines()[1:] if line.split(",")[text.splitlines()[0].split(",").index("train_loss")])
        == 4
    )


def test_learning_rate_monitor_and_schedulers_work() -> None:
    class Scheduled(LitDigits):
        def configure_optimizers(self):
            optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
            return [optimizer], [{"scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 4), "interval": "step"}]

    run = train(Scheduled(), digits(), epochs=1, seed=1, quiet=True, callback=[pl.callbacks.LearningRateMonitor()])
    assert run.metrics["lr"].dropna().tolist() == pytest.approx([0.1, 0.01])
    assert "lr-SGD" in run.metrics


def test_images_figures_tables_and_histograms_land_in_the_run_folder() -> None:
    import matplotlib.pyplot as plt

    class Drawing(LitDigits):
        def on_train_epoch_end(self):
            experiment = self.logger.experiment
            experiment.add_image("first", np.zeros((1, 8, 8)), self.current_epoch)
            figure, axes = plt.subplots()
            axes.plot([1, 2])
            experiment.add_figure("curve", figure, self.current_epoch)
            plt.close(figure)
            experiment.add_histogram("weights", self.net[0].weight, self.current_epoch)
            experiment.add_scalar("extra", 0.5, self.current_epoch)
            experiment.log({"more": 1.5})
            self.logger.log_image("batch", [torch.rand(3, 8, 8), np.zeros((2000, 10, 3), "uint8")])
            self.logger.log_table("table", columns=["a"], data=[[1], [2]])
            with pytest.warns(UserWarning, match="not kept by the run"):
                experiment.add_embedding(torch.zeros(2, 2))
            experiment.add_embedding(torch.zeros(2, 2))

    run = train(Drawing(), digits(), epochs=1, seed=1, quiet=True)
    with MetricReader(RunFolder(run.folder).metrics) as reader:
        media = reader.media()
    assert [medium.kind for medium in media] == ["image", "figure", "histogram", "image", "image", "table"]
    assert all((run.folder / medium.path).stat().st_size == medium.size for medium in media)
    assert run.metrics["extra"].dropna().tolist() == [0.5]
    from jupyter_train.panel.snapshot import snapshot

    shown = snapshot(run._store, run.key)["media"]
    assert sum(bool(medium.get("thumbnail")) for medium in shown) >= 2


def test_a_compiled_module_is_trained_and_its_copy_has_the_trained_weights() -> None:
    class Silent(LitDigits):  # torch 2.13 cannot trace `self.log`, in stock Lightning either
        def step(self, batch, stage):
            return torch.nn.functional.cross_entropy(self(batch[0]), batch[1])

    compiled = torch.compile(Silent(), backend="eager")
    run = train(compiled, digits(), epochs=1, seed=1, quiet=True)
    assert run.record.name == "silent"
    model = run.model(which="last")
    with torch.no_grad():
        next(model.parameters()).zero_()
        image = torch.from_numpy(digits()[0][:1])
        assert not torch.equal(model(image), compiled._orig_mod.eval()(image))


class Slow(LitDigits):
    """Presses the kernel's Interrupt at step 5, as SIGINT arrives: from outside."""

    pauses_s = 0.0

    def training_step(self, batch, batch_idx):
        if self.global_step == 5:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(self.pauses_s)
        return super().training_step(batch, batch_idx)


def test_interrupt_stops_saves_and_raises_one_line() -> None:
    with pytest.raises(TrainingInterrupted) as caught:
        train(Slow(), digits(), epochs=50, seed=1, quiet=True)
    run = runs()[0]
    assert run.status == "stopped"
    assert run.metrics["train_loss"].notna().sum() == run.record.summary["progress"]["step"] == 6
    assert run.checkpoint is not None
    assert caught.value._render_traceback_() == [f"TrainingInterrupted: {run.record.message}"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_in_the_very_last_step_still_stops_the_cell() -> None:
    with pytest.raises(TrainingInterrupted):
        train(Slow(), digits(), max_steps=6, seed=1, quiet=True)
    run = runs()[0]
    assert run.status == "finished"
    assert run.metrics["train_loss"].notna().sum() == 6


def test_on_interrupt_return_continues() -> None:
    run = train(Slow(), digits(), epochs=50, seed=1, quiet=True, on_interrupt="return")
    assert run.status == "stopped"


def test_the_next_run_works_after_an_interrupt() -> None:
    with pytest.raises(TrainingInterrupted):
        train(Slow(), digits(), epochs=50, seed=1, quiet=True)
    assert train(LitDigits(), digits(), epochs=1, seed=1, quiet=True).status == "finished"


def test_a_second_interrupt_ends_at_once() -> None:
    class Stuck(LitDigits):
        def training_step(self, batch, batch_idx):
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGINT)
            time.sleep(30)
            raise AssertionError("a second Interrupt did not end this step")

    with pytest.raises(TrainingInterrupted):
        train(Stuck(), digits(), epochs=1, seed=1, quiet=True)
    assert runs()[0].status == "stopped"


@pytest.mark.parametrize("presses", [1, 2])
def test_an_interrupt_while_the_record_is_closed_leaves_no_run_that_seems_alive(presses: int, monkeypatch) -> None:
    from jupyter_train.store import RunWriter

    close = RunWriter.close

    def interrupted_close(self, *arguments):
        for _ in range(presses):
            os.kill(os.getpid(), signal.SIGINT)
        return close(self, *arguments)

    monkeypatch.setattr(RunWriter, "close", interrupted_close)
    with pytest.raises(TrainingInterrupted):
        train(LitDigits(), digits(), epochs=1, seed=1, quiet=True)
    run = runs()[0]
    until(lambda run: run.record.ended_at is not None, run)
    assert run.status == ("finished" if presses == 1 else "stopped")
    assert run.metrics["train_loss"].notna().sum() == 8
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_keyboard_interrupt_raised_by_the_users_code_is_an_interrupt() -> None:
    class Raises(LitDigits):
        def training_step(self, batch, batch_idx):
            raise KeyboardInterrupt

    with pytest.raises(TrainingInterrupted):
        train(Raises(), digits(), epochs=1, seed=1, quiet=True)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_after_an_interrupt_nothing_holds_the_batch() -> None:
    held: list[weakref.ref[torch.Tensor]] = []

    class Holding(Slow):
        def training_step(self, batch, batch_idx):
            if self.global_step == 5:
                activation = torch.zeros(1000)
                held.append(weakref.ref(activation))
            return super().training_step(batch, batch_idx)

    try:
        train(Holding(), digits(), epochs=50, seed=1, quiet=True)
    except TrainingInterrupted as err:
        kept = err
    gc.collect()
    assert held[0]() is None
    assert kept.__traceback__ is not None


def test_training_works_outside_the_main_thread() -> None:
    done = []
    thread = threading.Thread(
        target=lambda: done.append(train(LitDigits(), digits(), epochs=1, seed=1, quiet=True).status)
    )
    thread.start()
    thread.join()
    assert done == ["finished"]


def test_a_failing_step_is_recorded_and_raised_with_the_users_frames() -> None:
    class Broken(LitDigits):
        def training_step(self, batch, batch_idx):
            raise ValueError("a broken step")

    with pytest.raises(ValueError, match="a broken step") as caught:
        train(Broken(), digits(), epochs=1, seed=1, quiet=True)
    run = runs()[0]
    assert (run.status, run.record.message) == ("failed", "ValueError: a broken step")
    assert "in training_step" in run.log
    assert caught.traceback[-1].name == "training_step"


def test_detect_anomaly_stops_at_the_nan() -> None:
    class Nan(LitDigits):
        def training_step(self, batch, batch_idx):
            return (self(batch[0]) * torch.tensor(-1.0)).sqrt().sum()

    with pytest.raises(RuntimeError, match="nan"):
        train(Nan(), digits(), epochs=1, seed=1, quiet=True, detect_anomaly=True)


def test_a_checkpoint_folder_that_cannot_be_written_is_reported_and_training_continues(monkeypatch) -> None:
    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)  # the disk is the one thing faked here
    run = train(LitDigits(), digits(), epochs=1, seed=1, quiet=True, enable_model_summary=False, record="code=none")
    assert run.status == "finished"
    assert "checkpoint not saved: No space left on device; training continues" in [event.text for event in run.events]


def test_a_read_only_home_is_a_clear_error(tmp_path, monkeypatch) -> None:
    from jupyter_train.exceptions import StoreError

    (tmp_path / "file").write_text("")
    monkeypatch.setenv("JUPYTER_TRAIN_HOME", str(tmp_path / "file" / "runs"))
    with pytest.raises(StoreError, match="set `JUPYTER_TRAIN_HOME`"):
        train(LitDigits(), digits(), epochs=1, quiet=True)


class ManualGan(pl.LightningModule):
    """Two optimizers, stepped manually."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.generator, self.critic = torch.nn.Linear(4, 64), torch.nn.Linear(64, 1)

    def training_step(self, batch, batch_idx):
        first, second = self.optimizers()
        fake = self.generator(torch.randn(len(batch[0]), 4))
        for optimizer, loss in ((first, self.critic(fake).mean()), (second, -self.critic(fake.detach()).mean())):
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()
        self.log("critic_loss", loss, prog_bar=True)

    def configure_optimizers(self):
        return [torch.optim.Adam(part.parameters()) for part in (self.generator, self.critic)]


def test_manual_optimization_with_two_optimizers() -> None:
    run = train(ManualGan(), digits(), epochs=1, seed=1, quiet=True)
    assert run.status == "finished"
    assert run.record.summary["progress"]["step"] == run.record.summary["progress"]["steps"] == 16
    assert {"lr/0", "lr/1"} <= set(run.metrics)


def test_hyperparameters_of_any_kind_are_kept_as_text() -> None:
    class Odd(LitDigits):
        def __init__(self, layer=torch.nn.ReLU(), path=Path("a"), kind=int):
            super().__init__()
            self.odd = (layer, path, kind)
            self.save_hyperparameters()

    run = train(Odd(), digits(), epochs=1, seed=1, quiet=True)
    assert run.record.summary["hyperparameters"]["kind"] == "<class 'int'>"


@pytest.mark.parametrize(
    "options",
    [
        {"accumulate_grad_batches": 3},
        {"val_check_interval": 2},
        {"val_check_interval": 0.5},
        {"check_val_every_n_epoch": 2},
        {"limit_train_batches": 3},
        {"max_time": "00:00:00:20"},
        {"fast_dev_run": True},
        {"overfit_batches": 2},
        {"precision": "bf16-mixed"},
        {"num_sanity_val_steps": 0},
        {"enable_checkpointing": False},
        {"gradient_clip_val": 0.5, "gradient_clip_algorithm": "value"},
        {"callback": [pl.callbacks.StochasticWeightAveraging(1e-2)]},
        {"callbacks": [pl.callbacks.ModelCheckpoint(monitor="val_loss"), pl.callbacks.Timer()]},
        {"profiler": "simple"},
        {"deterministic": "warn"},
    ],
    ids=lambda options: next(iter(options)) + "=" + str(next(iter(options.values())))[:20],
)
def test_trainer_arguments_reach_lightning(options) -> None:
    images, labels = digits()
    run = train(LitDigits(), (images, labels), epochs=3, seed=1, quiet=True, **options)
    assert run.status == "finished"


def test_several_validation_loaders() -> None:
    class Two(LitDigits):
        def validation_step(self, batch, batch_idx, dataloader_idx=0):
            self.log("val_loss", torch.nn.functional.cross_entropy(self(batch[0]), batch[1]))

    class TwoLoaders(DigitsData):
        def val_dataloader(self):
            return [DataLoader(self.dataset, batch_size=64), DataLoader(self.dataset, batch_size=32)]

    run = train(Two(), TwoLoaders(), epochs=1, seed=1, quiet=True)
    assert {"val_loss/dataloader_idx_0", "val_loss/dataloader_idx_1"} <= set(run.metrics)
    assert get_run(run.ref).best["metric"].startswith("val_loss/dataloader_idx_")


def test_lazy_layers_and_workers() -> None:
    class Lazy(LitDigits):
        def __init__(self):
            super().__init__()
            self.net = torch.nn.LazyLinear(10)

        def on_fit_start(self):
            self.net(torch.zeros(1, 64))

        def configure_optimizers(self):
            self.net(torch.zeros(1, 64))
            return torch.optim.SGD(self.parameters(), lr=0.1)

    run = train(Lazy(), digits(), epochs=1, seed=1, quiet=True)
    assert run.provenance["initial_state"] == {"sha256": "", "bytes": 0, "kept": False}


@pytest.mark.parametrize("accumulate", [1, 3])
def test_step_values_equal_those_of_lightnings_own_logger(accumulate: int) -> None:
    """Same names, steps and values as a stock Trainer's CSVLogger that logs at every step."""
    import pandas as pd
    from pytorch_lightning.loggers import CSVLogger

    class Rich(LitDigits):
        def step(self, batch, stage):
            loss = super().step(batch, stage)
            self.log(f"{stage}_both", loss * 2, on_step=True, on_epoch=True)
            self.log(f"{stage}_silent", loss, logger=False)
            return loss

    csv = CSVLogger("csv")
    pl.seed_everything(1, workers=True, verbose=False)
    stock = Rich()
    pl.seed_everything(1, workers=True, verbose=False)
    trainer = pl.Trainer(
        max_epochs=2,
        logger=csv,
        log_every_n_steps=1,
        accumulate_grad_batches=accumulate,
        devices=1,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(stock, OrderedDigits(seed=1))
    run = train(lambda: Rich(), DigitsData(), epochs=2, seed=1, quiet=True, accumulate_grad_batches=accumulate)
    theirs = pd.read_csv(f"{csv.log_dir}/metrics.csv").groupby("step").last()
    ours = run.metrics.drop(columns=["epoch", "lr"])
    assert set(ours.columns) == set(theirs.columns) - {"epoch"}
    for name in ours.columns:
        assert ours[name].dropna().tolist() == pytest.approx(theirs[name].dropna().tolist(), abs=1e-7), name
        assert ours[name].dropna().index.tolist() == theirs[name].dropna().index.tolist(), name


def test_an_untested_lightning_release_is_recorded_through_its_logger(monkeypatch) -> None:
    monkeypatch.setattr(pl, "__version__", "2.99.0")
    run = train(LitDigits(), digits(), epochs=1, seed=1, quiet=True)
    assert run.metrics["train_loss"].notna().sum() == 8


def test_record_every_keeps_each_nth_step_and_every_epoch_value() -> None:
    run = train(LitDigits(), digits(), epochs=2, seed=1, quiet=True, record_every=4)
    assert run.metrics["train_loss"].dropna().index.tolist() == [0, 4, 8, 12]
    assert run.metrics["val_loss"].notna().sum() == 2


def test_above_a_thousand_points_a_second_steps_are_strided_and_it_is_said() -> None:
    from jupyter_train.training.logging.run_logger import _Stride

    said: list[tuple[str, str]] = []

    class Writer:
        def event(self, kind: str, text: str, *_: object, **__: object) -> None:
            said.append((kind, text))

        def thin(self, every: int) -> None:
            """Nothing is compared."""

    stride = _Stride(None, Writer())
    kept = [step for step in range(9000) if stride.keep([("loss", 0.0)], step, 100.0 + step / 2500)]
    assert kept[:2501] == list(range(2501))
    assert all(step % 3 == 0 for step in kept[2600:])
    assert said[0][0] == "strided"
    assert "every 3. step is recorded" in said[0][1]


@pytest.mark.parametrize("words", [RuntimeError("no words"), 5], ids=["raises", "no text"])
def test_an_error_that_cannot_say_what_it_is_stays_that_error(words: object) -> None:
    class Wordless(Exception):
        def __str__(self):
            if isinstance(words, Exception):
                raise words
            return words

    class Fails(LitDigits):
        def training_step(self, batch, batch_idx):
            raise Wordless

    with pytest.raises(Wordless):
        train(Fails(), digits(), epochs=1, quiet=True)
    assert (runs()[0].record.status, "Wordless" in runs()[0].record.message) == ("failed", True)
