"""The requests of one client that are open, and when to look at each again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush

from dynflow_mp.model.messages import Request


@dataclass(slots=True)
class Tracked:
    """One open request."""

    request_id: str
    message: Request
    receiver_id: str
    times_sent: int = 0
    sent_at: float | None = None
    """When it was last sent, if it is an event."""
    accepted: bool = False
    due: float | None = None
    """When to do something about it by itself: ask again, or give up a ping."""
    silences: int = 0
    """How often it was sent and nothing came back at all."""
    bounced: bool = False
    """Whether what was sent last came back."""
    nobody_since: float | None = None
    """Since when there has been nobody to ask."""
    away_since: float | None = None
    """Since when the store could not say who runs its plan."""
    watching: bool = False
    """Another client asked for it: look into the store, and ask nobody."""


class OpenRequests:
    """Iterating goes over those that were open when it began."""

    def __init__(self) -> None:
        self._by_id: dict[str, Tracked] = {}
        self._by_plan: dict[str, dict[str, Tracked]] = {}
        self._alarms: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Tracked]:
        return iter(list(self._by_id.values()))

    def get(self, request_id: str) -> Tracked | None:
        """The request of this id, if it is open."""
        return self._by_id.get(request_id)

    def about(self, plan_id: str) -> list[Tracked]:
        """Those that are open and concern this plan."""
        return list(self._by_plan.get(plan_id, {}).values())

    def add(self, tracked: Tracked) -> Tracked:
        """It is open from now on."""
        self._by_id[tracked.request_id] = tracked
        plan_id = getattr(tracked.message, "plan_id", None)
        if plan_id is not None:
            self._by_plan.setdefault(plan_id, {})[tracked.request_id] = tracked
        return tracked

    def close(self, tracked: Tracked) -> None:
        """It has ended."""
        del self._by_id[tracked.request_id]
        plan_id = getattr(tracked.message, "plan_id", None)
        if plan_id is not None:
            others = self._by_plan[plan_id]
            del others[tracked.request_id]
            if not others:
                del self._by_plan[plan_id]
        if not self._by_id:
            self._alarms.clear()

    def wake(self, tracked: Tracked, at: float) -> None:
        """Look at it at this time, and not at the time that was set before."""
        tracked.due = at
        heappush(self._alarms, (at, tracked.request_id))

    def next_due(self) -> float | None:
        """When one of them is to be looked at; None if none is."""
        while self._alarms and not self._rings(*self._alarms[0]):
            heappop(self._alarms)
        return self._alarms[0][0] if self._alarms else None

    def _rings(self, at: float, request_id: str) -> bool:
        """Whether this alarm still means something: most requests end before theirs."""
        tracked = self._by_id.get(request_id)
        return tracked is not None and tracked.due == at

    def due(self, now: float) -> Iterator[Tracked]:
        """Those whose time has come; each may be woken or closed before the next is asked for."""
        while self._alarms and self._alarms[0][0] <= now:
            at, request_id = heappop(self._alarms)
            tracked = self._by_id.get(request_id)
            if tracked is not None and tracked.due == at:
                yield tracked
