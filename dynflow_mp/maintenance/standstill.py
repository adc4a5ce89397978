"""Whether a process that is in everybody's way stands still: it was seen stopped, the same way, at every look."""

from __future__ import annotations

from typing import NamedTuple


class Stopped(NamedTuple):
    """What a look found: a stopped process that holds what others wait for."""

    pid: int
    began: float
    """With the pid, which process it is: pids are used again."""
    ran_ticks: int
    """How long it has run: it must not have run between two looks."""
    stay: int
    """Which time it is that it holds it: it must not have let go between two looks."""


class Standstill:
    """For how long one thing has been held by a process that stands still.

    Looks that are more than ``longest_gap_s`` apart tell nothing about the time between them: who looks
    was stopped itself, perhaps together with the one it looks at.
    """

    def __init__(self, frozen_s: float, longest_gap_s: float) -> None:
        self._frozen_s, self._longest_gap_s = frozen_s, longest_gap_s
        self._seen: Stopped | None = None
        self._since = self._looked_at = 0.0

    def look(self, seen: Stopped | None, now: float) -> bool:
        """Whether this has been all there was to see for ``frozen_s``; once said, it is counted anew."""
        if seen != self._seen or now - self._looked_at > self._longest_gap_s:
            self._seen, self._since = seen, now
        self._looked_at = now
        if seen is None or now - self._since < self._frozen_s:
            return False
        self._seen = None
        return True
