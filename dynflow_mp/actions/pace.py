"""How many sub-plans may run at once, and how they are spread over time: plain data, kept with the action.

limit 4                      never more than 4 at once
over 10 s, 20 of them        one every 0.5 s; with a limit of 4 as well: 4 at first, then one every 0.125 s
"""

from __future__ import annotations

from math import floor, isfinite
from typing import Any, NamedTuple

from dynflow_mp.errors import BadArgument


class Pace(NamedTuple):
    """``limit``: most at once. ``span_s`` and ``number``: so many are spread over so many seconds."""

    limit: int | None = None
    span_s: float | None = None
    number: int | None = None

    @property
    def free(self) -> bool:
        """Whether nothing holds sub-plans back."""
        return self.limit is None and self.span_s is None

    @property
    def interval_s(self) -> float | None:
        """Seconds from one start to the next; None if they are not spread over time."""
        if self.span_s is None or self.number is None:
            return None
        return self.span_s / (self.number * (self.limit or 1))

    def room(self, active: int, started: int, passed_s: float) -> int | None:
        """How many more may start ``passed_s`` after the first could; None: any number."""
        rooms: list[int] = []
        if self.limit is not None:
            rooms.append(self.limit - active)
        interval_s = self.interval_s
        if interval_s is not None:
            rooms.append(self._first + floor(passed_s / interval_s) - started)
        return max(0, min(rooms)) if rooms else None

    def next_start_s(self, started: int) -> float | None:
        """How long after the first start the one behind ``started`` others is due."""
        interval_s = self.interval_s
        return None if interval_s is None else max(0, started - self._first + 1) * interval_s

    def over(self, passed_s: float) -> bool:
        """Whether the time over which they were to be spread has passed."""
        return self.span_s is not None and passed_s > self.span_s

    @property
    def _first(self) -> int:
        return 1 if self.limit is None else self.limit


def checked_level(level: Any) -> int:
    """Raises :class:`BadArgument` for what is no number of plans."""
    if type(level) is not int or level < 0:
        raise BadArgument(f"limit_concurrency_level({level!r}): must be a whole number from 0")
    return level


def checked_span(seconds: Any, number: Any) -> tuple[float, int]:
    """Raises :class:`BadArgument` for what is no time or no number of plans."""
    real = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if not (real and isfinite(seconds) and seconds > 0):
        raise BadArgument(f"distribute_over_time: seconds={seconds!r} must be a number above 0")
    if type(number) is not int or number < 1:
        raise BadArgument(f"distribute_over_time: count={number!r} must be a whole number from 1")
    return float(seconds), number
