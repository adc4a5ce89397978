"""Looking at plans with all that this world knows of others."""

from __future__ import annotations

from dynflow_mp.coordinator.records import DelayedExecutorLock, WorldInvalidationLock, plan_lock_id
from dynflow_mp.planning.ids import plan_id_of
from dynflow_mp.reading.waiting import Wait
from dynflow_mp.world.ground import Ground


class Looking(Ground):
    """A world's methods that only read."""

    def why_waiting(self, plan_id: str) -> list[Wait]:
        """What a plan waits for, first, and each of its steps that waits, by id; nothing if it goes on, or is over.

        Raises :class:`PlanNotFound`, or :class:`InvalidPlan` for a plan that cannot be read.
        """
        self._check_process()
        plan_id = plan_id_of(plan_id)
        about = self.coordinator.find_locks(id=[plan_lock_id(plan_id), DelayedExecutorLock.ID])
        takeovers = self.coordinator.find_locks(class_name=WorldInvalidationLock.__name__)
        return self.persistence.why_waiting(plan_id, self.coordinator.find_worlds(), [*about, *takeovers])
