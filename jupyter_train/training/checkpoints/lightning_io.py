"""The `CheckpointIO` plugin with which Lightning's own callbacks write and read checkpoints in a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO

from jupyter_train.training.checkpoints.format import read_foreign, save_atomically


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its target, syncs it and renames it into place; unpickles nothing when it reads one.

    Lightning's own goes through `$TMPDIR`, which on another file system is a plain copy: a kill corrupts it.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Writes `checkpoint` to `path`; the old file stays until the new one is complete."""
        if "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        save_atomically(checkpoint, target)

    def load_checkpoint(self, path: str | Path, *arguments: Any, **options: Any) -> dict[str, Any]:
        """The checkpoint at a path.

        Raises:
            StoreError: It holds more than tensors and plain values.
        """
        if "://" in str(path):
            return super().load_checkpoint(path, *arguments, **options)
        return read_foreign(str(path))
