"""The same content has the same fingerprint, whatever holds it; other content has another, and streams have none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from jupyter_train.training.data.fingerprint import fingerprint

X = np.arange(12.0).reshape(4, 3)
ROWS = TensorDataset(torch.from_numpy(X))


class Squares(Dataset):
    def __init__(self, factor: int = 1) -> None:
        self.factor = factor

    def __len__(self) -> int:
        return 100

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"x": torch.tensor(index**2 * self.factor)}


class Stream(IterableDataset):
    def __iter__(self):
        return iter(())


@pytest.mark.parametrize(
    ("content", "other", "method"),
    [
        (X, X + 1, "whole"),
        (torch.from_numpy(X), torch.from_numpy(X).float(), "whole"),
        ((X, X[0]), (X, X[1]), "whole"),
        (pd.DataFrame(X), pd.DataFrame(X, columns=[*"abc"]), "whole"),
        (pd.Series([*"ab"]), pd.Series([*"ac"]), "whole"),
        (pd.DataFrame({"tags": [["a"], []]}), pd.DataFrame({"tags": [["b"], []]}), "whole"),
        (sparse.csr_matrix(X), sparse.csr_matrix(X.T), "whole"),
        (np.array(["a", 1], dtype=object), np.array(["a", 2], dtype=object), "whole"),
        (
            Subset(TensorDataset(torch.from_numpy(X)), [0, 1]),
            Subset(TensorDataset(torch.from_numpy(X)), [0, 2]),
            "whole",
        ),
        (Squares(), Squares(2), "sampled"),
        ({"a": Squares(), "b": X}, {"a": Squares(2), "b": X}, "sampled"),
    ],
)
def test_content_decides(content, other, method: str) -> None:
    first = fingerprint(content)
    assert (first["method"], len(first["sha256"]), first["kind"]) == (method, 64, type(content).__name__)
    assert fingerprint(content) == first
    assert fingerprint(other)["sha256"] != first["sha256"]


def test_a_loader_has_that_of_its_dataset() -> None:
    dataset = TensorDataset(torch.from_numpy(X))
    assert fingerprint(DataLoader(dataset))["sha256"] == fingerprint(dataset)["sha256"]


def test_what_cannot_be_read_has_none() -> None:
    assert fingerprint(None) == {"sha256": "", "method": "none", "kind": "none"}
    assert fingerprint(Stream()) == {"sha256": "", "method": "none", "kind": "Stream"}
    assert fingerprint([X, Stream()])["sha256"] == ""
