"""When a panel is drawn again, and how much of it: by who looks, by what is sent, by what drawing takes."""

from __future__ import annotations

import enum
from dataclasses import dataclass

POLL_INTERVAL_S = 0.25
#: A line of text, which costs next to nothing.
LINE_PERIOD_S = 0.45
#: Without a renderer of this package, at first.
FIRST_PERIOD_S = 1.0
FIRST_S = 3.0
#: With a renderer that looks no longer: a page that was closed.
UNWATCHED_PERIOD_S = 30.0
#: Redrawing may take this share of one processor, so that drawing costs training nothing to speak of.
_SHARE = 0.008
#: What panels that no renderer of this package requests may send: so much at once, and 20 MB in every hour with it.
#: The first picture of a panel is never refused.
_MAX_BYTES = 1_500_000
_BYTES_PER_S = (20_000_000 - _MAX_BYTES) / 3600


class PanelPart(enum.Enum):
    """How much of a panel is drawn."""

    NOTHING = "nothing"
    LINE = "progress and newest values"
    SMALL = "line and picture, for front ends without this package's renderer"
    CURVES = "the curves; the picture when it is old"
    WHOLE = "all of it"


class ByteBudget:
    """Bytes that may be sent: they come back with time.

    Args:
        now: Monotonic seconds.
    """

    def __init__(self, now: float) -> None:
        self._left = float(_MAX_BYTES)
        self._at = now

    def allows(self, size: int, now: float) -> bool:
        """Whether so many bytes may be sent now."""
        self._left = min(_MAX_BYTES, self._left + (now - self._at) * _BYTES_PER_S)
        self._at = now
        return self._left >= size

    def spend(self, size: int) -> None:
        """They were."""
        self._left -= size


@dataclass(frozen=True)
class Viewing:
    """Who looks at a panel.

    Attributes:
        is_watched: A renderer of this package has said so lately.
        is_nudged: The user waits for the effect of a request.
        has_renderer: A renderer of this package was ever heard in this kernel.
    """

    is_watched: bool = False
    is_nudged: bool = False
    has_renderer: bool = False


class RedrawSchedule:
    """Says when one panel is drawn again.

    Args:
        is_line: Whether it is a line of text.
        budget: Of this kernel's panels.
        now: Monotonic seconds.
    """

    def __init__(self, is_line: bool, budget: ByteBudget, now: float) -> None:
        self._is_line = is_line
        self._budget = budget
        self._began = now
        self._drawn_at = now
        self._rests_until = 0.0
        self._size = 0
        self._pays = False

    def due(self, now: float, looking: Viewing) -> PanelPart:
        """What is to be drawn now."""
        since = now - self._drawn_at
        self._pays = False
        if self._is_line:
            return PanelPart.LINE if since >= LINE_PERIOD_S else PanelPart.NOTHING
        if now < self._rests_until and not looking.is_nudged:
            return PanelPart.NOTHING
        if looking.is_watched or looking.is_nudged:
            return PanelPart.CURVES
        if looking.has_renderer:
            is_first = now - self._began < FIRST_S  # the user who pressed Enter looks, though no renderer says so yet
            return PanelPart.CURVES if is_first or since >= UNWATCHED_PERIOD_S else PanelPart.NOTHING
        if since < FIRST_PERIOD_S and self._size:
            return PanelPart.NOTHING
        if not self._budget.allows(self._size, now):
            return PanelPart.NOTHING
        self._pays = True
        return PanelPart.WHOLE if now - self._began < FIRST_S else PanelPart.SMALL

    def drawn(self, now: float, size: int, processor_s: float) -> None:
        """Something was: its size in bytes, and the processor's time that it took, in seconds."""
        self._drawn_at, self._size = now, size
        self._rests_until = now + processor_s / _SHARE
        if self._pays:
            self._budget.spend(size)
