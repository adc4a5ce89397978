"""Looking at plans with all that this world knows of others."""

from __future__ import annotations

from dynflow_mp.maintenance.stuck_plans import why_waiting
from dynflow_mp.reading.waiting import Wait
from dynflow_mp.world.ground import Ground


class Looking(Ground):
    """A world's methods that only read."""

    def why_waiting(self, plan_id: str) -> list[Wait]:
        """What a plan waits for, first, and each of its steps that waits, by id; nothing if it goes on, or is over.

        Raises :class:`PlanNotFound`, or :class:`InvalidPlan` for a plan that cannot be read.
        """
        self._check_process()
        return why_waiting(self.persistence, self.coordinator, plan_id)
