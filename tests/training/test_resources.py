"""What a fit takes of its machine is sampled, bounded, and in the panel."""

from __future__ import annotations

import time

import psutil
import torch

from jupyter_train.panel.snapshot import packed, snapshot
from jupyter_train.training import resources
from jupyter_train.training.resources import Resources


class Said:
    """A writer that keeps what it was told."""

    def summary(self, **values):
        self.values = values


def test_a_busy_fit_shows_its_processor_and_memory(monkeypatch) -> None:
    monkeypatch.setattr(resources, "_PERIOD_S", 0.0)
    said = Said()
    sampler = Resources(said)
    for _ in range(3):
        until = time.process_time() + 0.1
        while time.process_time() < until:
            torch.ones(200, 200) @ torch.ones(200, 200)
        sampler.sample()
    found = said.values["resources"]
    family = [psutil.Process(), *psutil.Process().children(recursive=True)]  # other tests' fork server among them
    own = sum(one.memory_info().rss for one in family) / 2**30
    assert set(found) == {"cpu_percent", "memory_gb"}
    assert max(found["cpu_percent"]) > 10
    assert abs(found["memory_gb"][-1] - own) < 0.2


def test_samples_are_bounded_however_long_it_takes(monkeypatch) -> None:
    monkeypatch.setattr(resources, "_PERIOD_S", 0.0)
    said = Said()
    sampler = Resources(said)
    for _ in range(200):
        sampler.sample()
    assert 20 <= len(said.values["resources"]["memory_gb"]) <= 40


def test_it_is_not_sampled_before_its_time(monkeypatch) -> None:
    said = Said()
    Resources(said).sample()
    assert not hasattr(said, "values")


def test_the_panel_carries_it_in_columns(own_store) -> None:
    from jupyter_train.store import open_store

    store = open_store()
    record = store.create_run("digits", summary={"resources": {"cpu_percent": [50.5, None], "memory_gb": [0.5, 1]}})
    assert packed(snapshot(store, record.key))["resources"] == {"cpu_percent": "50.5,", "memory_gb": "0.5,1"}
