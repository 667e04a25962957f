"""When failed trials end their search, and a search that has come to nothing."""

from __future__ import annotations

from collections.abc import Sequence

from optuna.trial import FrozenTrial, TrialState

from jupyter_train.tuning.trial import TrialEnd

_ALIKE = 3


class Failures:
    """The failed trials of a search.

    Args:
        most: So many end it, whatever they are; None where three in a row do that fail alike.
    """

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._count = 0
        self._newest: list[tuple[str, str]] = []

    def clear(self) -> None:
        """A trial has ended that has not failed."""
        self._newest.clear()

    def add(self, ended: TrialEnd) -> str:
        """Counts a failed trial; returns why the search has failed, empty where it continues."""
        message = ended.result.message
        self._count += 1
        self._newest = [*self._newest, (ended.kind or message, message)][-_ALIKE:]
        if ended.is_fatal:
            return message
        if self._most is not None:
            reason = f"as many trials have failed as `--max-failures {self._most}` allows, the last with: {message}"
            return reason if self._count >= self._most else ""
        if ended.is_late or len(self._newest) < _ALIKE or len({kind for kind, _ in self._newest}) > 1:
            return ""
        how = "" if len({text for _, text in self._newest}) == 1 else " at the same place, the last"
        return f"{_ALIKE} trials in a row failed{how} with: {message}"


def no_trial_message(ended: Sequence[FrozenTrial]) -> str:
    """The message of a search that has ended without a complete trial."""
    names = {TrialState.FAIL: "failed", TrialState.PRUNED: "pruned"}
    counts = [(sum(trial.state is state for trial in ended), name) for state, name in names.items()]
    summary = " and ".join(f"{count} {name}" for count, name in counts if count)
    last = next((trial.user_attrs["message"] for trial in reversed(ended) if "message" in trial.user_attrs), "")
    return f"no trial was completed: {summary or 'none began'}" + (f", the last with: {last}" if last else "")
