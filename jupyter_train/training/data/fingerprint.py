"""A content fingerprint of the data, so that two runs can be told to have seen the same rows."""

from __future__ import annotations

import hashlib
import pickle
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from jupyter_train.training.data.row_inputs import is_sparse

_SAMPLES = 64


def fingerprint(content: Any) -> dict[str, Any]:
    """What the record says of the data: `sha256`, how it was taken, and its kind.

    Arrays, tensors, frames and TensorDatasets are hashed whole; of other map-style Datasets the length
    and 64 evenly spaced samples; streams, and datamodules before they are set up, have none.
    """
    digest = hashlib.sha256()
    method = _feed(digest, content)
    kind = type(content).__name__ if content is not None else "none"
    return {"sha256": digest.hexdigest() if method != "none" else "", "method": method, "kind": kind}


def _feed(digest: Any, content: Any) -> str:
    if isinstance(content, torch.Tensor):
        return _feed_array(digest, content.detach().cpu().contiguous().numpy())
    if isinstance(content, np.ndarray):
        return _feed_array(digest, content)
    if isinstance(content, tuple | list | dict):
        parts = content.values() if isinstance(content, dict) else content
        methods = [_feed(digest, part) for part in parts]
        return next((method for method in ("none", "sampled") if method in methods), "whole")
    if isinstance(content, DataLoader):
        return _feed(digest, content.dataset)
    if isinstance(content, TensorDataset):
        return _feed(digest, content.tensors)
    if isinstance(content, Subset):
        return _feed(digest, [np.asarray(content.indices), content.dataset])
    if isinstance(content, Dataset) and not isinstance(content, IterableDataset):
        return _feed_samples(digest, content)
    return _feed_table(digest, content)


def _feed_table(digest: Any, content: Any) -> str:
    if is_sparse(content):
        matrix = content.tocsr()
        return _feed(digest, [np.asarray(matrix.shape), matrix.indptr, matrix.indices, matrix.data])
    if type(content).__module__.partition(".")[0] != "pandas" or not hasattr(content, "iloc"):
        return "none"
    return _feed_frame(digest, content if hasattr(content, "columns") else content.to_frame())


def _feed_array(digest: Any, array: np.ndarray[Any, Any]) -> str:
    digest.update(f"{array.dtype}|{array.shape}|".encode())
    if array.dtype == object:
        digest.update(repr(array.tolist()).encode())
    else:
        digest.update(np.ascontiguousarray(array).view(np.uint8).data if array.size else b"")
    return "whole"


def _feed_frame(digest: Any, frame: Any) -> str:
    from pandas.util import hash_pandas_object

    digest.update(repr([str(name) for name in frame.columns]).encode())
    digest.update(hash_pandas_object(frame, index=False).to_numpy().tobytes())
    return "whole"


def _feed_samples(digest: Any, dataset: Any) -> str:
    if not hasattr(dataset, "__len__"):
        return "none"
    count = len(dataset)
    digest.update(str(count).encode())
    try:
        for index in sorted({int(i) for i in np.linspace(0, count - 1, min(_SAMPLES, count))}):
            digest.update(pickle.dumps(_plain(dataset[index])))
    except Exception:  # noqa: BLE001  a Dataset that cannot be sampled out of turn has no fingerprint
        return "none"
    return "sampled"


def _plain(sample: Any) -> Any:
    if isinstance(sample, torch.Tensor):
        return sample.detach().cpu().numpy().tobytes()
    if isinstance(sample, tuple | list):
        return [_plain(item) for item in sample]
    if isinstance(sample, dict):
        return {key: _plain(item) for key, item in sample.items()}
    return sample


def loaders_of(datamodule: pl.LightningDataModule) -> Any:
    """The datasets a set-up datamodule keeps as attributes, for its fingerprint."""
    return [value for value in vars(datamodule).values() if isinstance(value, Dataset | DataLoader)]
