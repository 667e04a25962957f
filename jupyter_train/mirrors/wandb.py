"""Mirrors a run to Weights & Biases, online where a key is found, else to its offline files."""

from __future__ import annotations

import netrc
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jupyter_train.mirrors.base import Mirror, MirroredRow, MirroredRun, main
from jupyter_train.mirrors.wandb_file import sent_counts
from jupyter_train.mirrors.wandb_names import STEP, column_of
from jupyter_train.run import RunStatus


class WandbMirror(Mirror):
    """Sends a run with the wandb client.

    Args:
        project: The W&B project; `jupyter-train` if empty.
    """

    label = "W&B"

    def __init__(self, project: str) -> None:
        self._project = project or "jupyter-train"
        self._client: Any = None

    def count_sent(self, folder: Path) -> Mapping[str, int]:
        """See `Mirror`: counts the rows in the client's own files."""
        return sent_counts(folder)

    def start(self, run: MirroredRun) -> str:
        """See `Mirror`: a URL, or the folder of the offline files."""
        os.environ.pop("WANDB_SERVICE", None)  # names the wandb process of the kernel, from which it is inherited
        import wandb

        mode: Any = os.environ.get("WANDB_MODE", "online" if has_key() else "offline")
        client = self._client = wandb.init(
            project=self._project,
            id=run.id,
            name=run.name,
            resume="allow",
            dir=str(run.folder),
            mode=mode,
            config=run.config,
            tags=run.tags or None,
            notes=run.note or None,
            group=run.group,
            settings=wandb.Settings(
                console="off", save_code=False, disable_git=True, silent=True, x_disable_stats=True, x_disable_meta=True
            ),
        )
        client.define_metric(STEP)
        client.define_metric("*", step_metric=STEP)
        return client.url if mode == "online" and client.url else f"offline, {Path(client.dir).parent}"

    def name_of(self, series: str) -> str:
        """See `Mirror`."""
        return column_of(series)

    def send(self, row: MirroredRow) -> None:
        """See `Mirror`."""
        columns = {column_of(name): value for name, value in row.values.items()}
        self._client.log({STEP: row.step, "epoch": row.epoch} | columns)

    def end(self, status: RunStatus, summary: Mapping[str, float]) -> None:
        """See `Mirror`."""
        for name, value in summary.items():
            self._client.summary[name] = value
        self._client.finish(exit_code=0 if status in (RunStatus.FINISHED, RunStatus.STOPPED) else 1)


def has_key() -> bool:
    """True when wandb has a key to log in with."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai").split("://")[-1].split("/")[0].split(":")[0]
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


if __name__ == "__main__":
    main(WandbMirror)
