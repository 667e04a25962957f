"""`--full` tries every fault as often as the report promises; `--report FILE` keeps what was tried and what passed."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.counts import ENGINE_VARIABLE, make_full

_VARIABLE = "JUPYTER_TRAIN_FAULT_TALLY"


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--full", default=False):
        make_full()
    os.environ.setdefault(ENGINE_VARIABLE, config.getoption("--engine", default="lean"))
    if config.getoption("--report", default="") and _VARIABLE not in os.environ:
        path = Path(config.getoption("--report")).absolute()
        path.with_suffix(".lines").unlink(missing_ok=True)
        os.environ[_VARIABLE] = str(path)


class Tally:
    """Notes what was tried and what passed; of resumes, at which step they began.

    A resume that began at step 0 proves nothing of resuming: it is noted as such, and not as passed.
    """

    def __init__(self) -> None:
        self._began: list[int] = []

    def trials(self, scenario: str, of: Iterable[Any] | int) -> Iterator[Any]:
        """Each trial in turn; one counts as passed when the test continues with the next."""
        for item in range(of) if isinstance(of, int) else of:
            self.note(scenario, tried=1)
            self._began = []
            yield item
            is_passed = all(step > 0 for step in self._began)
            self.note(scenario, passed=int(is_passed), at_step_0=int(not is_passed), began=self._began)

    def began(self, told: dict[str, Any]) -> dict[str, Any]:
        """Notes where the newest attempt of a resumed run began; gives what the run reported."""
        self._began.append(told["attempts"][-1]["from_step"])
        return told

    def note(self, scenario: str, **counts: Any) -> None:
        """Adds to a scenario's numbers."""
        if path := os.environ.get(_VARIABLE):
            with open(Path(path).with_suffix(".lines"), "a", encoding="utf-8") as file:
                file.write(json.dumps({"scenario": scenario.partition(":")[0], **counts}) + "\n")


@pytest.fixture
def tally() -> Tally:
    """Where tests note what they tried."""
    return Tally()


def pytest_sessionfinish(session: pytest.Session) -> None:
    path = os.environ.get(_VARIABLE)
    if not path or hasattr(session.config, "workerinput"):
        return
    lines = Path(path).with_suffix(".lines")
    table: dict[str, dict[str, Any]] = defaultdict(lambda: {"tried": 0, "passed": 0, "at_step_0": 0, "began": []})
    for line in lines.read_text(encoding="utf-8").splitlines() if lines.exists() else []:
        one = json.loads(line)
        for name in ("tried", "passed", "at_step_0"):
            table[one["scenario"]][name] += int(one.get(name, 0))
        table[one["scenario"]]["began"] += one.get("began", [])
    for counts in table.values():
        counts["began"] = _spread(counts["began"])
    about = {
        "commit": subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "at": time.strftime("%Y-%m-%d"),
    }
    scenarios = json.loads(Path(path).read_text(encoding="utf-8")) if Path(path).exists() else {}
    scenarios |= {name: counts | about for name, counts in table.items()}  # those tried again replace what they were
    Path(path).write_text(json.dumps(scenarios, indent=1) + "\n", encoding="utf-8")
    lines.unlink(missing_ok=True)
    width = max((len(name) for name in table), default=8)
    print(f"\n{'scenario'.ljust(width)}  tried  passed  at step 0  resumes began at")
    for name, counts in table.items():
        numbers = f"{counts['tried']:5}  {counts['passed']:6}  {counts['at_step_0']:9}"
        print(f"{name.ljust(width)}  {numbers}  {counts['began']}")


def _spread(steps: list[int]) -> str:
    """The steps at which resumes began: the least, the median, the most."""
    if not steps:
        return ""
    return f"{min(steps)} to {max(steps)}, median {statistics.median_low(steps)}"
