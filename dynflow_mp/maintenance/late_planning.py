"""Scheduled plans whose time has come are planned by workers, each under a lock.

begin: lock, scheduled ─▶ planning │ errand ─▶ worker: plan() ─▶ settle: what came of it, in the place of the plan
                                   │   lost: the executor drains ─▶ scheduled again │ its workers died ─▶ error
"""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, SimpleQueue

from sqlalchemy import Connection

from dynflow_mp.clock import now_us
from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.coordinator.records import PlanningLock
from dynflow_mp.director.instructions import RunErrand
from dynflow_mp.director.stimuli import ErrandFinished
from dynflow_mp.errors import DamagedData, LockLost, LockTaken, PersistenceError, WorkerLost
from dynflow_mp.executor.errand_kinds import PLAN
from dynflow_mp.executor.errands import DRAINED, ErrandNews, Tell
from dynflow_mp.model.codec import encode
from dynflow_mp.model.planned_codec import plan_from_bytes
from dynflow_mp.model.plans import PlannedPlan
from dynflow_mp.model.states import PlanState, Result, StepState
from dynflow_mp.model.work import ErrorRecord
from dynflow_mp.persistence.schedule import End, Schedule
from dynflow_mp.persistence.waiting_plans import DuePlan
from dynflow_mp.telemetry import logger

log = logger("maintenance.late_planning")

_NO_LIMIT = 2**40
_ERRAND_ID = 1
"""A plan is planned once at a time: it needs no other number."""


class LatePlanning:
    """The plans that workers of this world are planning. Used by one thread, but for what the core's tells.

    ``run_errand`` has a worker do an errand, ``wake`` says that something has come of one; ``most`` plans are
    planned at a time, so that a thousand that are due do not keep the workers from all else.
    """

    def __init__(
        self,
        schedule: Schedule,
        coordinator: Coordinator,
        run_errand: Callable[[RunErrand, Tell], None],
        wake: Callable[[], None],
        most: int,
    ) -> None:
        self._schedule, self._coordinator = schedule, coordinator
        self._run_errand, self._wake, self._most = run_errand, wake, most
        self._going_on: set[str] = set()
        self._heard: SimpleQueue[ErrandNews] = SimpleQueue()

    @property
    def room(self) -> bool:
        """Whether another plan may be begun."""
        return len(self._going_on) < self._most

    def __contains__(self, plan_id: str) -> bool:
        """Whether this plan is being planned here."""
        return plan_id in self._going_on

    def begin(self, plan: DuePlan) -> None:
        """Have it planned, unless another world does or it does not wait any more."""
        lock = self._lock(plan.id)

        def take(connection: Connection) -> None:
            if not self._coordinator.acquire_within(connection, lock):
                raise LockTaken(lock)

        try:
            begun = self._schedule.begin_planning(plan.id, self._coordinator.fence, take)
        except LockTaken:
            log.info("plan %s is planned elsewhere", plan.id, extra={"action": "planned_elsewhere"})
            return
        if begun:
            self._going_on.add(plan.id)
            self._run_errand(_errand(plan), self._note)

    def _note(self, news: ErrandNews) -> None:
        """On the core's thread."""
        self._heard.put(news)
        self._wake()

    def settle(self) -> list[PlannedPlan]:
        """Store what has come of those that were begun; returns the plans that may be executed now."""
        planned: list[PlannedPlan] = []
        while True:
            try:
                news = self._heard.get_nowait()
            except Empty:
                return planned
            plan = self._settled(news)
            if plan is not None:
                planned.append(plan)

    def _settled(self, news: ErrandNews) -> PlannedPlan | None:
        try:
            plan = self._stored(news)
        except LockLost:
            log.warning(
                "plan %s was taken from its planner",
                news.plan_id,
                extra={"action": "planning_overtaken", "plan_id": news.plan_id},
            )
            plan = None
        except PersistenceError as error:
            if error.passes:
                self._heard.put(news)
                raise
            log.error(
                "what came of planning could not be stored",
                extra={"action": "planning_not_stored", "plan_id": news.plan_id},
                exc_info=error,
            )
            self._stop(news.plan_id, _failure(error))
            plan = None
        self._going_on.discard(news.plan_id)
        return plan

    def _stored(self, news: ErrandNews) -> PlannedPlan | None:
        if not isinstance(news, ErrandFinished):
            if news.cause == DRAINED:
                self.give_back(news.plan_id)
            else:
                self._stop(news.plan_id, _lost(news.message, news.cause))
            return None
        if news.result is None:
            self._stop(news.plan_id, news.error)
            return None
        try:
            plan = plan_from_bytes(news.result)
        except DamagedData as error:
            self._stop(news.plan_id, _failure(error))
            return None
        ready = plan.state is PlanState.PLANNED
        stored = self._schedule.store_planned(
            plan, now_us() if ready else None, self._coordinator.fence, self._release(plan.id)
        )
        if not stored:
            self._drop_lock(plan.id)
        return plan if stored and ready else None

    def _stop(self, plan_id: str, error: bytes | None) -> None:
        """It cannot be planned: stopped, with the error on its step."""
        end = End(StepState.ERROR, Result.ERROR, None, error)
        fence, release = self._coordinator.fence, self._release(plan_id)
        if not self._schedule.stop(plan_id, end, self._coordinator.world_id, now_us(), fence, release):
            self._drop_lock(plan_id)

    def give_back(self, plan_id: str) -> None:
        """It was not planned: it waits again."""
        if not self._schedule.give_back(plan_id, self._coordinator.fence, self._release(plan_id)):
            self._drop_lock(plan_id)
        self._going_on.discard(plan_id)

    def end(self) -> None:
        """This world ends: whatever is not planned yet waits again."""
        self.settle()
        for plan_id in list(self._going_on):
            self.give_back(plan_id)

    def _lock(self, plan_id: str) -> PlanningLock:
        return PlanningLock(plan_id, self._coordinator.world_id)

    def _release(self, plan_id: str) -> Callable[[Connection], None]:
        lock = self._lock(plan_id)

        def give_up(connection: Connection) -> None:
            if not self._coordinator.release_within(connection, lock):
                raise LockLost(f"{lock} is not held any more")

        return give_up

    def _drop_lock(self, plan_id: str) -> None:
        """The plan was stopped or deleted meanwhile: only our lock is left of the planning."""
        try:
            self._coordinator.release(self._lock(plan_id))
        except LockLost:
            return


def _errand(plan: DuePlan) -> RunErrand:
    data = encode([plan.arguments, plan.input], "errand", _NO_LIMIT)
    return RunErrand(plan.id, _ERRAND_ID, PLAN, plan.action_class, data, plan.queue)


def _lost(message: str, cause: str) -> bytes:
    return ErrorRecord(f"{WorkerLost.__module__}.{WorkerLost.__qualname__}", message, cause=cause).to_bytes()


def _failure(error: Exception) -> bytes:
    return ErrorRecord(f"{type(error).__module__}.{type(error).__qualname__}", str(error)).to_bytes()
