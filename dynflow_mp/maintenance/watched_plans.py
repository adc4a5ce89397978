"""Where plans stand, for those who wait for them: an owner that is known to be dead is no owner."""

from __future__ import annotations

from collections.abc import Sequence

from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.maintenance.processes_alive import gone
from dynflow_mp.persistence.rows import PlanStatus
from dynflow_mp.persistence.store import Store


class WatchedPlans:
    """The store's statuses, seen through the register of worlds (it satisfies dispatchers' ``PlanWatch``).

    Whoever waits for a plan of an executor that was killed then asks again, and hears from a living one,
    or that there is none. That another host is dead only time tells, and only executors judge by it.
    """

    def __init__(self, store: Store, coordinator: Coordinator) -> None:
        self._store, self._coordinator = store, coordinator

    def plan_statuses(self, plan_ids: Sequence[str]) -> dict[str, PlanStatus]:
        """Where these plans stand; those that are not stored are left out."""
        statuses = self._store.plan_statuses(plan_ids)
        owners = {status.owner_id for status in statuses.values() if status.owner_id is not None}
        if not owners:
            return statuses
        lost = owners - self._living(owners)
        return {
            plan_id: status._replace(owner_id=None) if status.owner_id in lost else status
            for plan_id, status in statuses.items()
        }

    def event_was_taken(self, event_id: str) -> bool:
        """Whether a step has taken the event that was sent under this id."""
        return self._store.event_was_taken(event_id)

    def _living(self, world_ids: set[str]) -> set[str]:
        worlds = self._coordinator.find_worlds(id=world_ids)
        return {world.id for world in worlds if world.state != "dead" and not gone(world)}
