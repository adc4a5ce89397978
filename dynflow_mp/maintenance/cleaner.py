"""Plans that ended long ago are deleted by one executor of all, a few at a time."""

from __future__ import annotations

from collections.abc import Callable

from dynflow_mp.clock import now_us
from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.coordinator.records import ExecutionPlanCleanerLock
from dynflow_mp.errors import InactiveWorld, WorldFenced
from dynflow_mp.maintenance.background import Background
from dynflow_mp.maintenance.leadership import Leadership
from dynflow_mp.model.states import PlanState
from dynflow_mp.persistence.store import Store
from dynflow_mp.telemetry import logger

log = logger("maintenance.cleaner")

_FOUND_AT_ONCE = 5_000
_BATCH = 50
_PAUSE_S = 0.1
"""Between two batches: others write meanwhile."""


class Cleaner(Background):
    """Owns the thread ``dynflow cleaner``, which looks at once, then every ``interval_s`` seconds, while this world leads.

    ``max_age_s``: how long a stopped plan is kept. ``fenced`` is called once when another world has declared this one dead.
    """

    def __init__(
        self,
        store: Store,
        coordinator: Coordinator,
        fenced: Callable[[WorldFenced], None],
        *,
        max_age_s: float,
        interval_s: float,
    ) -> None:
        super().__init__("cleaner")
        self._store, self._coordinator, self._fenced = store, coordinator, fenced
        self._max_age_us, self._interval_s = int(max_age_s * 1e6), interval_s
        self._leadership = Leadership(coordinator, ExecutionPlanCleanerLock(coordinator.world_id))

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.round(now_us())
            except WorldFenced as error:
                self._fenced(error)
                return
            except InactiveWorld:
                return
            except Exception:
                log.exception("cleaning was given up", extra={"action": "cleaning_failed"})
            self._stopping.wait(self._interval_s)

    def round(self, now: int) -> int:
        """Delete what is too old at ``now`` (microseconds UTC), if this world leads; how many plans that were."""
        deleted = 0
        while self._leadership.look() and not self._stopping.is_set():
            found = self._store.find_old_plans(now - self._max_age_us, _FOUND_AT_ONCE)
            deleted += self._delete(found)
            if len(found) < _FOUND_AT_ONCE:
                break
        if deleted:
            log.info("%d plans were deleted", deleted, extra={"action": "plans_cleaned", "count": deleted})
        return deleted

    def _delete(self, plan_ids: list[str]) -> int:
        deleted = 0
        for start in range(0, len(plan_ids), _BATCH):
            if start and self._stopping.wait(_PAUSE_S):
                break
            which = {"id": plan_ids[start : start + _BATCH], "state": PlanState.STOPPED}
            deleted += self._store.delete_execution_plans(which, fence=self._coordinator.fence)
        return deleted
