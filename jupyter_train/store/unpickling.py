"""Unpickles payloads and checkpoints of earlier releases, whose modules and classes had other names."""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterable
from typing import Any

_PACKAGE = "jupyter_train."
#: Modules that a payload or a checkpoint of release 0.1 may name, with their present names.
_MOVED = {
    "config.folds": "config.cross_validation",
    "config.space": "config.search_space",
    "execution.pickling": "execution.workers.pickling",
    "training.datasets": "training.data.seeded_dataset",
    "training.encoder": "training.data.encoder",
    "training.finders": "training.inspection.finders",
    "training.indexed": "training.data.in_memory",
    "training.order": "training.data.sample_order",
    "training.sampler_state": "training.data.sampler_state",
    "training.samplers": "training.data.samplers",
    "training.sparse_rows": "training.data.sparse_rows",
    "training.state": "training.state.fit_state",
    "tuning.plan": "tuning.trial_spec",
}
#: Classes in those modules that have another name today.
_RENAMED = {
    ("training.datasets", "StandIn"): "DatasetProxy",
    ("training.finders", "Finding"): "FinderResult",
    ("training.order", "Order"): "SampleOrder",
    ("training.order", "Place"): "PassStart",
    ("tuning.plan", "Copier"): "ModelCopier",
    ("tuning.plan", "Maker"): "ModelFactory",
    ("tuning.plan", "Plan"): "TrialSpec",
    ("tuning.plan", "Takes"): "ModelArguments",
}


def loads(stream: bytes, buffers: Iterable[Any] = ()) -> Any:
    """The pickled object.

    Args:
        stream: A pickle that has been verified: unpickling runs code.
        buffers: The out-of-band buffers of protocol 5.

    Raises:
        Exception: Whatever a class of the user's raises, or that it cannot be imported.
    """
    return _Unpickler(io.BytesIO(stream), buffers=buffers).load()


class _Unpickler(pickle.Unpickler):
    """Finds classes under their present names."""

    def find_class(self, module: str, name: str) -> object:
        """See `pickle.Unpickler`."""
        old = module.removeprefix(_PACKAGE)
        if module.startswith(_PACKAGE) and old in _MOVED:
            module, name = _PACKAGE + _MOVED[old], _RENAMED.get((old, name), name)
        return super().find_class(module, name)
