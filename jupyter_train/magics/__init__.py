"""The IPython magics: parse, call, show."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def register(shell: InteractiveShell) -> None:
    """Adds the magics, their completion and the control-channel handler to a shell."""
    from jupyter_train.magics.completion import complete
    from jupyter_train.magics.magics import TrainMagics
    from jupyter_train.service.kernel_channel import listen

    shell.register_magics(TrainMagics(shell))
    matchers = shell.Completer.custom_matchers
    if complete not in matchers:
        matchers.append(complete)
    listen(shell)


def unregister(shell: InteractiveShell) -> None:
    """Removes the completion (IPython cannot unregister magics)."""
    from jupyter_train.magics.completion import complete

    if complete in shell.Completer.custom_matchers:
        shell.Completer.custom_matchers.remove(complete)
