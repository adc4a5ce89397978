"""Telling actions that wait for sub-plans that something has become of them – seldom enough.

    a sub-plan ends ─▶ its caller is told at once ─▶ quiet for a while ─▶ told again if others ended meanwhile

What is told is a hint without a content: the caller then looks at counts from the store. So one hint stands
for any number of ends, and one that is lost only delays: callers look by themselves now and then.
"""

from __future__ import annotations

from dynflow_mp.model.plans import Caller

_LEAST_US, _MOST_US = 60_000, 2_000_000
"""Pauses between two hints to a caller of many sub-plans (microseconds)."""
_EACH_RUNNING_US = 1_000
"""A caller of which few sub-plans run here is told sooner."""
_EACH_ENDED_US = 20
"""A caller that had many is told more seldom: it has them counted each time, some microseconds each."""

HINT = "sub-plans:"
"""Begins the event ids under which a pause ends; what follows is the step's id."""


class _Quiet:
    """A caller that has sub-plans here."""

    __slots__ = ("due", "ended", "running", "until")

    def __init__(self) -> None:
        self.running = self.ended = 0
        self.until = 0
        self.due = False

    @property
    def pause_us(self) -> int:
        long = min(_MOST_US, max(_LEAST_US, _EACH_ENDED_US * self.ended))
        return min(long, _EACH_RUNNING_US * self.running)


class Callers:
    """The callers of sub-plans that run, or have just run, in this executor. Owned by the director."""

    def __init__(self) -> None:
        self._callers: dict[tuple[str, int | None], _Quiet] = {}

    def begun(self, caller: Caller) -> None:
        """A sub-plan of this caller runs here now."""
        self._callers.setdefault((caller.plan_id, caller.step_id), _Quiet()).running += 1

    def ended(self, caller: Caller, now: int) -> tuple[bool, int | None]:
        """One of them does not any more: whether to tell the caller now, or when :meth:`pause_over` is due."""
        key = (caller.plan_id, caller.step_id)
        quiet = self._callers.get(key)
        if quiet is None:
            return True, None
        quiet.running -= 1
        quiet.ended += 1
        if not quiet.running:
            del self._callers[key]  # the last one: nothing is gained by waiting
            return True, None
        if quiet.until - _MOST_US <= now < quiet.until:  # else the clock was set back since
            look_at = None if quiet.due else quiet.until
            quiet.due = True
            return False, look_at
        quiet.until = now + quiet.pause_us
        return True, None

    def pause_over(self, plan_id: str, step_id: int, now: int) -> bool:
        """Whether sub-plans ended while the caller was left alone: then it is to be told."""
        quiet = self._callers.get((plan_id, step_id))
        if quiet is None or not quiet.due:
            return False
        quiet.due = False
        quiet.until = now + quiet.pause_us
        return True
