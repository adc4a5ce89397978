"""One executor of all has scheduled plans planned when their time comes; the others see that there is one.

every poll, at the next plan's time, when told ─▶ leads? ─▶ due plans ─┬─ too late, or what they wait for failed ─▶ stopped
                                                                       └─ planned by a worker ─▶ requested
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from threading import Event
from time import monotonic

from dynflow_mp.clock import now_us
from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.coordinator.records import DelayedExecutorLock, PlanningLock, owner_of_world, plan_lock_id
from dynflow_mp.director.protocol import UNATTENDED
from dynflow_mp.errors import DynflowError, InactiveWorld, PrerequisiteFailed, StartedTooLate, WorldFenced
from dynflow_mp.maintenance.background import Background
from dynflow_mp.maintenance.late_planning import LatePlanning
from dynflow_mp.maintenance.leadership import Leadership
from dynflow_mp.model.messages import ANY_EXECUTOR, Envelope, Execution
from dynflow_mp.model.plans import PlannedPlan
from dynflow_mp.model.states import PlanState, Result, StepState
from dynflow_mp.model.work import ErrorRecord
from dynflow_mp.persistence.schedule import End, Schedule
from dynflow_mp.persistence.waiting_plans import DuePlan
from dynflow_mp.telemetry import logger

log = logger("maintenance.delayed_executor")

_AT_ONCE = 100
"""Most plans looked at in one round."""
_LEAST_GAP_S = 0.01
"""Between two rounds: whoever tells of a thousand plans is heard once."""
_GAP_BY_EFFORT = 3
"""How much longer than looking took: where very many plans wait, looking is not all that is done."""
_RETRY_S = 1.0
_FOLLOW_S = 5.0
"""How often a world that does not lead looks whether another does."""


class DelayedExecutor(Background):
    """Owns the thread ``dynflow delayed executor``. Every executor world has one; it acts while it leads.

    ``ask`` has any executor run a plan; ``fenced`` is called once when another world has declared this one dead.
    """

    def __init__(
        self,
        schedule: Schedule,
        coordinator: Coordinator,
        planning: Callable[[Callable[[], None]], LatePlanning],
        ask: Callable[[Envelope], None],
        fenced: Callable[[WorldFenced], None],
        may_lead: Callable[[], bool],
        *,
        poll_s: float,
    ) -> None:
        super().__init__("delayed executor")
        self._schedule, self._coordinator = schedule, coordinator
        self._ask, self._fenced, self._poll_s = ask, fenced, poll_s
        self._leadership = Leadership(coordinator, DelayedExecutorLock(coordinator.world_id), may_lead)
        self._planning = planning(self.look)
        self._numbers = count(1)
        self._chained = False
        self._gap_s = _LEAST_GAP_S
        self._wake = Event()

    @property
    def leads(self) -> bool:
        """Whether scheduled plans are planned here, as of the last round."""
        return self._leadership.held

    def stop(self, timeout_s: float = 10.0) -> None:
        """Let another world lead. Twice is fine, before start too."""
        super().stop(timeout_s)

    def look(self) -> None:
        """Any thread: something may be due now. Costs nothing here."""
        self._wake.set()

    def plan_stopped(self) -> None:
        """The core's thread: a plan has stopped, for which others may have waited."""
        if self._chained:
            self._wake.set()

    def _interrupt(self) -> None:
        self._wake.set()

    # -- the thread --------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                wait_s = self.round(now_us())
            except WorldFenced as error:
                self._fenced(error)
                return
            except InactiveWorld:
                # This world is ending; what comes of plannings that go on is still heard.
                wait_s = self._poll_s
                self._safely(self._leadership.let_go)
            except Exception:
                # Whatever it was, the next round may go better; without any, scheduled plans would wait for ever.
                log.exception("a round was given up", extra={"action": "delayed_round_failed"})
                wait_s = min(self._poll_s, _RETRY_S)
            self._stopping.wait(self._gap_s)
            self._wake.wait(wait_s)
        self._safely(self._planning.end)
        self._safely(self._leadership.let_go)

    def _safely(self, what: Callable[[], None]) -> None:
        """When this world ends: what cannot be put in order is, by those who stay."""
        try:
            what()
        except DynflowError as error:
            log.info("left to others: %s", error, extra={"action": "delayed_left"})

    def round(self, now: int) -> float:
        """Look once; returns after how many seconds to look again. Done by the thread, and by tests without one."""
        for planned in self._planning.settle():
            self._have_it_run(planned)
        if not self._leadership.look():
            return min(self._poll_s, _FOLLOW_S)
        begun = monotonic()
        others_plan = self._put_in_order()
        self._chained = self._schedule.any_chained()
        due = self._schedule.due(now, _AT_ONCE)
        self._gap_s = min(max(_LEAST_GAP_S, _GAP_BY_EFFORT * (monotonic() - begun)), _RETRY_S)
        stopped = self._stop_those_that_cannot(due, now)
        for plan in due:
            if plan.id not in stopped and self._planning.room:
                self._planning.begin(plan)
        if stopped or (len(due) == _AT_ONCE and self._planning.room):
            return 0.0  # others may have waited for them
        wait_s = self._until_next(now)
        return min(wait_s, _RETRY_S) if others_plan else wait_s

    def _until_next(self, now: int) -> float:
        time = self._schedule.next_time(now)
        return self._poll_s if time is None else min(self._poll_s, (time - now) / 1e6)

    def _have_it_run(self, plan: PlannedPlan) -> None:
        own_id = self._coordinator.world_id
        request_id = f"{UNATTENDED}{own_id}-delayed-{next(self._numbers)}"
        self._ask(Envelope(own_id, ANY_EXECUTOR, request_id, Execution(plan.id, plan.first_queue)))

    # -- plans that will not be planned ------------------------------------------------------------

    def _stop_those_that_cannot(self, due: list[DuePlan], now: int) -> set[str]:
        failed = self._schedule.failed_prerequisites([plan.id for plan in due])
        stopped: set[str] = set()
        for plan in due:
            if plan.id in failed:
                self._stop(plan, PrerequisiteFailed(failed[plan.id]), "failed-dependency", now)
            elif plan.start_before is not None and plan.start_before <= now:
                self._stop(plan, StartedTooLate(_text_of(plan.start_before)), "timeout", now)
            else:
                continue
            stopped.add(plan.id)
        return stopped

    def _stop(self, plan: DuePlan, error: DynflowError, note: str, now: int) -> None:
        record = ErrorRecord(f"{type(error).__module__}.{type(error).__qualname__}", str(error), cause=note)
        end = End(StepState.ERROR, Result.ERROR, note, record.to_bytes())
        if self._schedule.stop(plan.id, end, self._coordinator.world_id, now, self._coordinator.fence):
            log.info("%s", error, extra={"action": "delayed_stopped", "plan_id": plan.id})

    def _put_in_order(self) -> bool:
        """Plans with a delay record that are not scheduled: their planner died, or somebody else has moved them.

        Returns whether another world is planning one: it may be a dead one whose locks are about to go.
        """
        strays = self._schedule.strays()
        if not strays:
            return False
        others_plan = False
        locks = self._coordinator.find_locks(class_name=PlanningLock.__name__)
        owners = {lock.id: lock.owner_id for lock in locks}
        own = owner_of_world(self._coordinator.world_id)
        for plan_id, state in strays.items():
            owner = owners.get(plan_lock_id(plan_id))
            if state != PlanState.PLANNING:
                self._schedule.forget(plan_id, self._coordinator.fence)
            elif owner is None:
                self._schedule.give_back(plan_id, self._coordinator.fence, lambda connection: None)
            elif owner != own:
                others_plan = True
            elif plan_id not in self._planning:
                self._planning.give_back(plan_id)  # what came of it could not be stored
        return others_plan


def _text_of(time: int) -> str:
    return f"{datetime.fromtimestamp(time / 1e6, UTC):%Y-%m-%d %H:%M:%S} UTC"
