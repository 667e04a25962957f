"""What a process of its own is given: pickled by value, large arrays once, nothing unpickled that was changed."""

from __future__ import annotations

import dataclasses
import sys
import types

import numpy as np
import pandas as pd
import pytest
import torch

from jupyter_train import runs, train
from jupyter_train.exceptions import StoreError, UntrustedError, UsageError
from jupyter_train.execution.workers import payload, pickling
from jupyter_train.execution.workers.payload import Payload
from jupyter_train.execution.workers.pickling import pickled
from jupyter_train.store import RunFolder, shared_arrays
from tests.models import LitDigits, digits
from tests.waiting import until

ROWS = 40_000


def shared(home) -> list[str]:
    return sorted(path.name for path in (home / ".arrays").iterdir())


@pytest.fixture
def record(store):
    """A run that is not carried out."""
    return store.create_run("a")


def through(store, record, content):
    return Payload(store, record, payload.write(RunFolder(record.folder), pickled(content))).content()


@pytest.mark.parametrize(
    ("there", "instead"),
    [
        (b"I1\n.", b"cos\nsystem\n(S'touch hacked'\ntR."),
        (b'"carrier": ""', b'"carrier": "this"'),
        (b'"path": [', b'"path": ["/tmp", '),
    ],
)
def test_a_changed_payload_is_not_used_at_all(store, record, tmp_path, there, instead) -> None:
    file = RunFolder(record.folder).path / "payload.pickle"
    digest = payload.write(RunFolder(record.folder), dataclasses.replace(pickled({}), stream=b"I1\n."))
    assert Payload(store, record, digest).content() == 1
    assert there in file.read_bytes()
    file.write_bytes(file.read_bytes().replace(there, instead))
    with pytest.raises(UntrustedError, match="not what was written"):
        Payload(store, record, digest)
    assert not (tmp_path / "hacked").exists()


def test_only_an_entry_point_can_be_named_in_one(store, record) -> None:
    digest = payload.write(RunFolder(record.folder), pickled({}), "tests.models")
    with pytest.raises(UntrustedError, match=r"names `tests\.models` to be run; expected one of `fits`, `search`"):
        _ = Payload(store, record, digest).module


def test_a_changed_array_is_not_read(store, record) -> None:
    folder = RunFolder(record.folder)
    digest = payload.write(folder, pickled({"data": np.ones((ROWS, 10))}))
    (only,) = (folder.path / "arrays").iterdir()
    only.write_bytes(b"x" + only.read_bytes()[1:])
    with pytest.raises(StoreError, match="not what was written"):
        Payload(store, record, digest).content()


def test_arrays_tensors_and_frames_arrive_whole_and_can_be_written(store, record) -> None:
    generator = np.random.default_rng(1)
    array = generator.normal(size=(ROWS, 8))
    tensor = torch.randn(ROWS, 16, dtype=torch.bfloat16)
    frame = pd.DataFrame(generator.normal(size=(ROWS, 4)), columns=list("abcd")).assign(word="x")
    strange = {"turned": array.T, "every other": tensor[::2], "none": torch.empty(0), "one": torch.tensor(3)}
    found = through(store, record, {"array": array, "tensor": tensor, "frame": frame, **strange})
    assert np.array_equal(found["array"], array)
    assert torch.equal(found["tensor"], tensor)
    pd.testing.assert_frame_equal(found["frame"], frame)
    assert np.array_equal(found["turned"], array.T)
    assert torch.equal(found["every other"], tensor[::2])
    assert found["none"].shape == (0,)
    assert found["one"] == 3
    found["array"][0] = found["tensor"][0] = 7
    found["frame"].loc[0, "a"] = 7
    assert len(shared(RunFolder(record.folder).path.parent)) >= 3


def test_tensors_that_share_memory_share_it_on_the_other_side(store, record) -> None:
    whole = torch.randn(ROWS, 16)
    layer = torch.nn.Linear(1000, 1000)
    tied = torch.nn.Sequential(layer, layer)
    found = through(store, record, {"whole": whole, "part": whole[5:], "model": tied})
    found["whole"][5] = 9
    assert torch.equal(found["part"][0], torch.full((16,), 9.0))
    assert found["model"][0].weight is found["model"][1].weight
    assert torch.equal(found["model"][0].weight, layer.weight)


def test_the_same_data_lies_on_disk_once_and_goes_with_its_last_run(tmp_path) -> None:
    data = np.arange(ROWS * 10, dtype="float64")
    first, second = RunFolder.create(tmp_path, "a"), RunFolder.create(tmp_path, "b")
    for folder in (first, second):
        payload.write(folder, pickled({"data": data}))
    (name,) = shared(tmp_path)
    assert (tmp_path / ".arrays" / name).stat().st_nlink == 3
    payload.discard(first)
    assert shared(tmp_path) == [name]
    assert np.array_equal(np.frombuffer(shared_arrays.mapped(second, name)), data)
    second.delete()
    shared_arrays.sweep(tmp_path)
    assert shared(tmp_path) == []


def test_a_detached_run_takes_large_data_apart_and_gives_it_up_when_finished(own_store) -> None:
    x, y = digits(64)
    wide = np.tile(x, (300, 1)).astype("float32")
    run = train(LitDigits(), (wide, np.tile(y, 300)), max_steps=2, epochs=None, seed=1, quiet=True, detach=True)
    run.wait()
    assert run.status == "finished", run.log
    until(lambda run: not (run.folder / "payload.pickle").exists() and shared(run.folder.parent) == [], run)


@pytest.fixture
def of_the_notebook(monkeypatch):
    """A function defined in a notebook that names globals of it."""
    notebook = types.ModuleType("__main__")
    source = "def look(batch):\n    return sum(large[i] + small[i] + batch.unused for i in range(2))"
    exec(source, notebook.__dict__)
    monkeypatch.setattr(pickling, "_NAMED_BYTES", 1_000_000)
    monkeypatch.setattr(pickling, "_CONFIRMED_BYTES", 3_000_000)
    monkeypatch.setitem(sys.modules, "__main__", notebook)
    notebook.small = np.zeros(1000)
    notebook.unused = np.zeros(1_000_000)
    return notebook


def test_what_the_code_names_is_reported_when_it_is_large(of_the_notebook) -> None:
    of_the_notebook.large = np.zeros(250_000)
    assert pickled({"model": of_the_notebook.look}).remarks == ["copied because the code names it: `large` (2 MB)"]
    passed = {"model": of_the_notebook.look, "data": of_the_notebook.large}
    assert pickled(passed).remarks == []  # it was given; nobody needs to be told


def test_modules_and_objects_that_refer_to_each_other_are_not_walked_for_ever(of_the_notebook) -> None:
    circle = types.SimpleNamespace(torch=torch, items=[types.SimpleNamespace() for _ in range(50)])
    for item in circle.items:
        item.all, item.back = circle.items, circle
    of_the_notebook.large, of_the_notebook.small = torch, circle
    assert pickled({"model": of_the_notebook.look, "data": circle}).remarks == []


def test_what_the_code_names_and_is_huge_needs_a_yes(of_the_notebook) -> None:
    of_the_notebook.large = np.zeros(500_000)
    with pytest.raises(UsageError, match=r"the code names `large` .*say `--yes`"):
        pickled({"model": of_the_notebook.look})
    assert pickled({"model": of_the_notebook.look}, is_large_welcome=True).size > 4_000_000


def test_a_run_that_would_fill_the_disk_is_refused_before_it_is_made(monkeypatch) -> None:
    monkeypatch.setattr(shared_arrays.shutil, "disk_usage", lambda _path: types.SimpleNamespace(free=10_000))
    with pytest.raises(StoreError, match=r"is full: 0\.0 MB are free .* `JUPYTER_TRAIN_HOME`"):
        train(LitDigits(), digits(), epochs=1, quiet=True, detach=True)
    assert len(runs()) == 0
