"""The fingerprint of a DataFrame is the same with and without pyarrow, and from one pandas to the next."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

import pytest

#: The beginning of each fingerprint, as pandas 2 and 3 give it.
_KNOWN = {
    "text as objects": "af7ad6289a",
    "text": "619cb441fd",
    "text with a gap": "af7ad6289a",
    "text of dtype str": "af7ad6289a",
    "text of dtype string": "af7ad6289a",
    "text of dtype string[python]": "af7ad6289a",
    "Int64": "10f0a419b5",
    "boolean": "d2285e33c6",
    "Float32": "db3b7b3780",
    "category": "e00bc48363",
    "category of string": "e00bc48363",
    "category of numbers": "cd34afdade",
    "a file": "e085cd4741",
    "a file with nullable dtypes": "e085cd4741",
    "a file with a category": "e085cd4741",
    "a Series": "8697dfa1b5",
}

_PROBE = """
import io, json, sys


class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "pyarrow":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


if sys.argv[1] == "without":
    sys.meta_path.insert(0, Without())

import pandas as pd
from jupyter_train.training.data.fingerprint import fingerprint

texts = ["a", "b", None, "dé"]
file = pd.read_csv(io.StringIO("a,b\\n1,x\\n2,\\n3,z"))
frames = {
    "text as objects": pd.Series(texts, dtype=object),
    "text": pd.DataFrame({"x": ["a", "b", "c", "dé"]})["x"],
    "text with a gap": pd.DataFrame({"x": texts})["x"],
    **{f"text of dtype {name}": pd.Series(texts, dtype=name) for name in ("str", "string", "string[python]")},
    "Int64": pd.Series([1, None, 3, 4], dtype="Int64"),
    "boolean": pd.Series([True, None, False, True], dtype="boolean"),
    "Float32": pd.Series([1.5, None, 3, 4], dtype="Float32"),
    "category": pd.Series(["a", "b", None, "a"], dtype="category"),
    "category of string": pd.Series(["a", "b", None, "a"], dtype="string").astype("category"),
    "category of numbers": pd.Series([3, 1, 2, 3], dtype="category"),
}
frames = {name: column.to_frame("x") for name, column in frames.items()}
frames |= {"a file": file, "a file with nullable dtypes": file.convert_dtypes()}
frames |= {"a file with a category": file.astype({"b": "category"}), "a Series": pd.Series(["q", "r"], name="w")}
found = {name: fingerprint(frame)["sha256"][:10] for name, frame in frames.items()}
print(json.dumps({"pyarrow": "pyarrow" in sys.modules, "found": found}))
"""


@pytest.mark.parametrize("pyarrow", ["with", "without"])
def test_a_frame_has_one_fingerprint(pyarrow: str) -> None:
    done = subprocess.run([sys.executable, "-c", _PROBE, pyarrow], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["found"] == _KNOWN
    if pyarrow == "without":
        assert not answer["pyarrow"]
    else:  # as the `test` extra has it; where only the dependencies are installed, there is one way
        assert answer["pyarrow"] == (importlib.util.find_spec("pyarrow") is not None)
