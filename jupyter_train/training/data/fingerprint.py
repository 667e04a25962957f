"""A SHA-256 of the data's content, by which two runs are known to have seen the same rows."""

from __future__ import annotations

import hashlib
import pickle
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from jupyter_train.training.data.row_inputs import is_sparse

if TYPE_CHECKING:
    import pandas as pd

_SAMPLES = 64


class _Digest(Protocol):
    """What is used of a hash object of `hashlib`."""

    def update(self, content: bytes | memoryview, /) -> None: ...


def fingerprint(content: object) -> dict[str, Any]:
    """The record's entry for the data: `sha256`, `method` (`whole`, `sampled`, `none`) and `kind`.

    Arrays, tensors, frames and TensorDatasets are hashed whole; of other map-style Datasets the length
    and 64 evenly spaced samples; streams, and datamodules before they are set up, have none.
    """
    digest = hashlib.sha256()
    method = _update(digest, content)
    kind = type(content).__name__ if content is not None else "none"
    return {"sha256": digest.hexdigest() if method != "none" else "", "method": method, "kind": kind}


def _update(digest: _Digest, content: object) -> str:
    if isinstance(content, torch.Tensor):
        return _update_with_array(digest, content.detach().cpu().contiguous().numpy())
    if isinstance(content, np.ndarray):
        return _update_with_array(digest, content)
    if isinstance(content, tuple | list | dict):
        parts = content.values() if isinstance(content, dict) else content
        methods = [_update(digest, part) for part in parts]
        return next((method for method in ("none", "sampled") if method in methods), "whole")
    if isinstance(content, DataLoader):
        return _update(digest, content.dataset)
    if isinstance(content, TensorDataset):
        return _update(digest, content.tensors)
    if isinstance(content, Subset):
        return _update(digest, [np.asarray(content.indices), content.dataset])
    if isinstance(content, Dataset) and not isinstance(content, IterableDataset):
        return _update_with_samples(digest, content)
    return _update_with_table(digest, content)


def _update_with_table(digest: _Digest, content: Any) -> str:
    if is_sparse(content):
        matrix = content.tocsr()
        return _update(digest, [np.asarray(matrix.shape), matrix.indptr, matrix.indices, matrix.data])
    if type(content).__module__.partition(".")[0] != "pandas" or not hasattr(content, "iloc"):
        return "none"
    return _update_with_frame(digest, content if hasattr(content, "columns") else content.to_frame())


def _update_with_array(digest: _Digest, array: np.ndarray[Any, Any]) -> str:
    digest.update(f"{array.dtype}|{array.shape}|".encode())
    if array.dtype == object:
        digest.update(repr(array.tolist()).encode())
    else:
        digest.update(np.ascontiguousarray(array).view(np.uint8).data if array.size else b"")
    return "whole"


def _update_with_frame(digest: _Digest, frame: pd.DataFrame) -> str:
    from pandas.util import hash_pandas_object

    digest.update(repr([str(name) for name in frame.columns]).encode())
    try:
        digest.update(hash_pandas_object(frame, index=False).to_numpy().tobytes())
    except TypeError:  # cells that cannot be hashed, such as lists
        digest.update(pickle.dumps([_to_plain(frame[name].tolist()) for name in frame.columns]))
    return "whole"


def _update_with_samples(digest: _Digest, dataset: Dataset[Any]) -> str:
    if not hasattr(dataset, "__len__"):
        return "none"
    count = len(dataset)
    digest.update(str(count).encode())
    try:
        for index in sorted({int(i) for i in np.linspace(0, count - 1, min(_SAMPLES, count))}):
            digest.update(pickle.dumps(_to_plain(dataset[index])))
    except Exception:  # noqa: BLE001  a Dataset that cannot be read out of order has no fingerprint
        return "none"
    return "sampled"


def _to_plain(sample: object) -> object:
    if isinstance(sample, torch.Tensor):
        return sample.detach().cpu().numpy().tobytes()
    if isinstance(sample, tuple | list):
        return [_to_plain(item) for item in sample]
    if isinstance(sample, dict):
        return {key: _to_plain(item) for key, item in sample.items()}
    return sample
