"""What a fit takes of its machine is sampled, bounded, and in the panel."""

from __future__ import annotations

import json
import subprocess
import sys

from jupyter_train.panel.snapshot import packed, snapshot
from jupyter_train.training.logging import resources
from jupyter_train.training.logging.resources import Resources


class Said:
    """A writer that keeps what it was given."""

    def summary(self, **values):
        self.values = values


# in a process of its own, which has no children but these: a big one of its own, and a detached one
BUSY = """
import json, subprocess, sys, time
import psutil, torch
from jupyter_train.training.logging import resources

class Said:
    def summary(self, **values):
        self.values = values

holds = "held = bytearray(b'x') * 300_000_000; print('ready', flush=True); input()"
children = [
    subprocess.Popen([sys.executable, "-c", holds], stdin=-1, stdout=-1, start_new_session=detached)
    for detached in (False, True)
]
for child in children:
    child.stdout.readline()
resources._PERIOD_S = resources._FIRST_S = 0.0
said = Said()
sampler = resources.Resources(said)
for _ in range(3):
    until = time.process_time() + 0.1
    while time.process_time() < until:
        torch.ones(200, 200) @ torch.ones(200, 200)
    sampler.sample()
own = sum(psutil.Process(pid).memory_info().rss for pid in (psutil.Process().pid, children[0].pid)) / 2**30
for child in children:
    child.communicate()
print(json.dumps({"sampled": said.values["resources"], "own": own}))
"""


def test_a_busy_fit_shows_its_processor_and_the_memory_of_its_own_processes() -> None:
    answer = subprocess.run([sys.executable, "-c", BUSY], capture_output=True, text=True, check=True, timeout=120)
    found = json.loads(answer.stdout)
    assert set(found["sampled"]) == {"cpu_percent", "memory_gb"}
    assert max(found["sampled"]["cpu_percent"]) > 10
    assert abs(found["sampled"]["memory_gb"][-1] - found["own"]) < 0.1


def test_samples_are_bounded_however_long_it_takes(monkeypatch) -> None:
    monkeypatch.setattr(resources, "_PERIOD_S", 0.0)
    monkeypatch.setattr(resources, "_FIRST_S", 0.0)
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
