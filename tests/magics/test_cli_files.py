"""LightningCLI files in the shapes the Lightning docs show, unchanged."""

from __future__ import annotations

import pytest
import torch

from tests.magics.test_train_magic import train
from tests.models import DigitsData, LitDigits

FILES = {
    "class paths": (
        "",
        """
seed_everything: 42
model:
  class_path: tests.models.LitDigits
  init_args:
    hidden: 8
    lr: 1e-3
data:
  class_path: tests.models.DigitsData
  init_args:
    batch_size: 64
trainer:
  max_epochs: 1
""",
    ),
    "fit root": (
        "",
        """
fit:
  seed_everything: 1
  model:
    class_path: tests.models.LitDigits
  data:
    class_path: tests.models.DigitsData
  trainer:
    max_epochs: 1
    limit_train_batches: 4
  ckpt_path: null
""",
    ),
    "init arguments of a fixed class": (
        "LitDigits DigitsData",
        """
model:
  hidden: 8
data:
  batch_size: 64
trainer:
  max_epochs: 1
""",
    ),
    "optimizer and scheduler": (
        "LitDigits DigitsData",
        """
trainer:
  max_epochs: 2
optimizer:
  class_path: torch.optim.SGD
  init_args:
    lr: 1e-2
lr_scheduler:
  class_path: torch.optim.lr_scheduler.ExponentialLR
  init_args:
    gamma: 0.5
""",
    ),
    "short class names": (
        "LitDigits DigitsData",
        """
trainer:
  max_epochs: 1
optimizer:
  class_path: Adam
  init_args:
    lr: 1e-3
""",
    ),
    "callbacks by short name": (
        "LitDigits DigitsData",
        """
trainer:
  max_epochs: 3
  callbacks:
    - class_path: EarlyStopping
      init_args:
        monitor: val_loss
        patience: 1
        min_delta: 100.0
    - class_path: LearningRateMonitor
""",
    ),
    "plateau": (
        "LitDigits DigitsData",
        """
trainer:
  max_epochs: 1
optimizer:
  class_path: torch.optim.AdamW
  init_args:
    lr: 1e-3
lr_scheduler:
  class_path: ReduceLROnPlateau
  init_args:
    monitor: val_loss
""",
    ),
    "steps and clipping": (
        "LitDigits DigitsData",
        """
seed_everything: true
trainer:
  accelerator: cpu
  max_steps: 5
  gradient_clip_val: 0.5
  accumulate_grad_batches: 2
  num_sanity_val_steps: 0
""",
    ),
    "full file as the CLI prints it": (
        "LitDigits DigitsData",
        """
seed_everything: 7
trainer:
  accelerator: auto
  strategy: auto
  devices: 1
  num_nodes: 1
  precision: null
  logger: null
  callbacks: null
  fast_dev_run: false
  max_epochs: 1
  min_epochs: null
  max_steps: -1
  limit_train_batches: 3
  enable_progress_bar: true
  enable_model_summary: null
  accumulate_grad_batches: 1
  inference_mode: true
  use_distributed_sampler: true
  detect_anomaly: false
  barebones: false
  sync_batchnorm: false
  default_root_dir: null
model:
  hidden: 16
  lr: 0.003
data:
  rows: 320
  batch_size: 32
ckpt_path: null
""",
    ),
    "our options beside it": (
        "LitDigits DigitsData --early-stop val_loss:2",
        """
name: from a file
tag: [nightly, cli]
trainer:
  max_epochs: 1
model:
  hidden: 8
""",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_cli_file_is_built_and_trained(shell, name: str) -> None:
    shell.user_ns.update(LitDigits=LitDigits, DigitsData=DigitsData, torch=torch)
    line, body = FILES[name]
    run = train(shell, line, body)
    assert run.status == "finished"
    assert run.metrics["train_loss"].notna().any()


def test_1e_2_is_a_number_and_the_scheduler_works(shell) -> None:
    shell.user_ns.update(LitDigits=LitDigits, DigitsData=DigitsData)
    run = train(shell, *FILES["optimizer and scheduler"])
    assert run.metrics["lr"].dropna().tolist() == pytest.approx([1e-2, 5e-3])


def test_early_stopping_from_the_file_stops(shell) -> None:
    shell.user_ns.update(LitDigits=LitDigits, DigitsData=DigitsData)
    run = train(shell, *FILES["callbacks by short name"])
    assert run.record.summary["progress"]["epoch"] == 2
    assert "stopped early: val_loss did not improve for 1 checks" in [event.text for event in run.events]


def test_the_model_has_the_arguments_of_the_file(shell) -> None:
    run = train(shell, *FILES["class paths"])
    assert run._module.hparams.hidden == 8
    assert run._module.hparams.lr == pytest.approx(1e-3)
    assert run.config["seed"] == 42
