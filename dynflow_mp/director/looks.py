"""How often the store has said of a plan that it runs here, which it does not: read too early, or given up?"""

from __future__ import annotations

_MOST = 3
"""One or two may have been on their way as the plan was dropped."""
_MOST_EARLY = 100
"""As many may have been read before its end was stored: one for each time that it was asked for meanwhile."""
_MOST_ENDS = 4096


class Looks:
    """Owned by the core's thread."""

    def __init__(self) -> None:
        self._times: dict[str, int] = {}
        self._ends: dict[str, int] = {}
        """By plan, at which epoch it ran here to its end, of the last that did."""

    def ended(self, plan_id: str, epoch: int) -> None:
        """A plan's end was said. Whatever tells of this epoch and of no end was read before that was stored."""
        self._ends.pop(plan_id, None)
        self._ends[plan_id] = epoch
        if len(self._ends) > _MOST_ENDS:
            del self._ends[next(iter(self._ends))]

    def not_stored(self, plan_id: str) -> None:
        """It was not: what the store says of it is so."""
        self._ends.pop(plan_id, None)

    def but_once(self, plan_id: str) -> None:
        """Nothing of the plan is on its way to the store: the next look tells."""
        self._times[plan_id] = _MOST - 1

    def again(self, plan_id: str, epoch: int) -> bool:
        """The store says that it runs here at ``epoch``. Whether to look again; False: it will not change."""
        times = self._times.pop(plan_id, 0) + 1
        most = _MOST_EARLY if epoch <= self._ends.get(plan_id, -1) else _MOST
        if times < most:
            self._times[plan_id] = times
        return times < most

    def over(self, plan_id: str) -> None:
        """It was something else."""
        self._times.pop(plan_id, None)
