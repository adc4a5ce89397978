"""How often to look into a mailbox that does not ring: quickly while something goes on, slowly else."""

from __future__ import annotations

QUICK_S = 0.005
_SHARE = 8
"""What has been quiet for a time is looked at again after an eighth of it: an answer is never late by more."""


class Rhythm:
    """Time is given, in seconds of a steady clock. ``slow_s`` is the longest interval."""

    def __init__(self, slow_s: float, now: float) -> None:
        self._slow_s = slow_s
        self._stirred_at = now

    def stirred(self, now: float) -> None:
        """Something came or went: more may follow."""
        self._stirred_at = now

    def interval_s(self, now: float) -> float:
        """How long to wait from one look to the next."""
        return min(self._slow_s, max(QUICK_S, (now - self._stirred_at) / _SHARE))
