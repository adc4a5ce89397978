"""Who has scheduled plans planned, round by round: on every kind of database, with a stand-in for the workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from stored_plans import NOW, PLAN, WORLD, a_plan, plan_id
from test_schedule import SECOND, due, names, stopped, store_one

from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.coordinator.records import PlanningLock, WorldRecord
from dynflow_mp.director.instructions import RunErrand
from dynflow_mp.director.stimuli import ErrandFinished, ErrandLost
from dynflow_mp.errors import WorldFenced
from dynflow_mp.executor.errands import DRAINED, Tell
from dynflow_mp.maintenance.delayed_executor import DelayedExecutor
from dynflow_mp.maintenance.late_planning import LatePlanning
from dynflow_mp.maintenance.recovery import Recovery
from dynflow_mp.model.codec import decode
from dynflow_mp.model.messages import Execution
from dynflow_mp.model.planned_codec import plan_to_bytes
from dynflow_mp.model.states import PlanState, Result
from dynflow_mp.model.work import ErrorRecord
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.schedule import Schedule
from dynflow_mp.persistence.store import Store
from dynflow_mp.persistence.tables import delayed_plans
from dynflow_mp.reading.library import Library

POLL_S = 15.0


class AWorld:
    """An executor world as far as scheduled plans go."""

    def __init__(self, database: Database, world_id: str, most: int = 2) -> None:
        self.coordinator = Coordinator(database, world_id)
        if not self.coordinator.find_worlds(id=world_id):
            self.coordinator.register_world(WorldRecord(world_id, executor=True))
        schedule = Schedule(database)
        self.out: dict[str, tuple[RunErrand, Tell]] = {}
        """The errands that its workers have."""
        self.asked: list[Any] = []
        self.may_lead = True
        self.planning: LatePlanning

        def planning(wake: Callable[[], None]) -> LatePlanning:
            self.planning = LatePlanning(schedule, self.coordinator, self._take, wake, most)
            return self.planning

        self.delayed = DelayedExecutor(
            schedule,
            self.coordinator,
            planning,
            lambda envelope: self.asked.append(envelope.message),
            lambda error: None,
            lambda: self.may_lead,
            poll_s=POLL_S,
        )

    def _take(self, order: RunErrand, tell: Tell) -> None:
        self.out[order.plan_id] = (order, tell)

    def round(self, now: int = NOW) -> float:
        return self.delayed.round(now)

    def done(self, id_: str = PLAN, **fields: Any) -> None:
        """A worker has planned it."""
        order, tell = self.out.pop(id_)
        plan = a_plan(id_, history=(), **fields)
        tell(ErrandFinished(id_, order.errand_id, order.kind, plan_to_bytes(plan), None))

    def lost(self, cause: str, id_: str = PLAN) -> None:
        order, tell = self.out.pop(id_)
        tell(ErrandLost(id_, order.errand_id, order.kind, cause, "worker 1 was killed"))

    def planning_locks(self) -> int:
        return len(self.coordinator.find_locks(class_name="PlanningLock"))


@pytest.fixture
def world(database: Database) -> AWorld:
    return AWorld(database, WORLD)


@pytest.fixture
def other(open_database: Callable[[], Database], world: AWorld) -> AWorld:
    return AWorld(open_database(), "world-2")


def error_of(store: Store, id_: str = PLAN) -> str:
    (error,) = Library(store).load_execution_plan(id_).errors
    return error.message


def test_a_due_plan_is_planned_by_a_worker_and_then_asked_for(
    world: AWorld, schedule: Schedule, store: Store
):
    """B264: planned, pending, its history kept."""
    store_one(schedule, start_at=NOW)
    world.round()
    order, _ = world.out[PLAN]
    assert (order.action_class, order.queue) == ("shop.Root", "slow")
    assert decode(order.data)[0] == schedule.record(PLAN).arguments
    assert store.load_skeleton(PLAN).state == "planning"
    assert world.planning_locks() == 1

    world.done()
    world.round()

    skeleton = store.load_skeleton(PLAN)
    assert skeleton.state == "planned"
    assert skeleton.requested_at is not None
    assert names(store) == ["delay"]
    assert world.asked == [Execution(PLAN, "default")]
    assert world.planning_locks() == 0


def test_it_sleeps_until_the_next_plan_or_the_next_poll(world: AWorld, schedule: Schedule):
    """B268."""
    assert world.round() == POLL_S

    store_one(schedule, start_at=NOW + 3 * SECOND)

    assert world.round() == 3.0
    assert world.round(NOW + SECOND) == 2.0


def test_a_plan_that_could_not_start_in_time_stops(world: AWorld, schedule: Schedule, store: Store):
    """B265."""
    store_one(schedule, start_at=NOW - 2, start_before=NOW - 1)

    world.round()

    plan = Library(store).load_execution_plan(PLAN)
    assert (plan.state, plan.result) == ("stopped", "error")
    assert "could not be started before set time" in error_of(store)
    assert names(store) == ["delay", "timeout"]
    assert not world.out


def test_a_record_whose_plan_runs_is_forgotten(world: AWorld, schedule: Schedule, store: Store):
    """B267."""
    store_one(schedule)
    schedule.begin_planning(PLAN, world.coordinator.fence, lambda connection: None)
    schedule.store_planned(a_plan(state=PlanState.RUNNING), NOW, world.coordinator.fence, lambda _: None)
    with store.database.write() as connection:
        connection.execute(
            delayed_plans.insert().values(execution_plan_id=PLAN, frozen=0, arguments=b"\x92\x90\x80")
        )

    world.round()

    assert store.load_skeleton(PLAN).state == "running"
    assert store.count_execution_plans({"delayed": True}) == 0


def test_a_failed_prerequisite_stops_what_comes_after_and_what_comes_after_that(
    world: AWorld, schedule: Schedule, store: Store
):
    """W15: also with a time by which it had to start, and along a chain; the error names the plan that failed."""
    failed = stopped(store, plan_id(2), Result.ERROR)
    store_one(schedule, plan_id(3), after=[failed], start_before=NOW + SECOND)
    store_one(schedule, plan_id(4), after=[plan_id(3)])

    assert world.round() == 0.0
    world.round()

    assert failed in error_of(store, plan_id(3))
    assert plan_id(3) in error_of(store, plan_id(4))
    assert names(store, plan_id(4)) == ["delay", "failed-dependency"]
    assert not world.out


def test_only_so_many_are_planned_at_a_time(world: AWorld, schedule: Schedule):
    for number in range(1, 5):
        store_one(schedule, plan_id(number), start_at=NOW - 10 + number)

    world.round()
    assert list(world.out) == [plan_id(1), plan_id(2)]

    world.done(plan_id(1))
    world.round()
    assert list(world.out) == [plan_id(2), plan_id(3)]


def test_a_plan_that_fails_in_planning_is_stopped_and_not_asked_for(
    world: AWorld, schedule: Schedule, store: Store
):
    store_one(schedule)
    world.round()

    world.done(state=PlanState.STOPPED, result=Result.ERROR)
    world.round()

    assert store.load_skeleton(PLAN).state == "stopped"
    assert world.asked == []
    assert schedule.strays() == {}


def test_what_a_worker_cannot_plan_stops_with_its_error(world: AWorld, schedule: Schedule, store: Store):
    store_one(schedule)
    world.round()
    order, tell = world.out.pop(PLAN)

    unknown = ErrorRecord("dynflow_mp.errors.UnknownAction", "no action class 'shop.Root'").to_bytes()
    tell(ErrandFinished(PLAN, order.errand_id, order.kind, None, unknown))
    world.round()

    assert "shop.Root" in error_of(store)
    assert world.planning_locks() == 0


def test_a_plan_that_kills_each_worker_stops_with_an_error(world: AWorld, schedule: Schedule, store: Store):
    store_one(schedule)
    world.round()

    world.lost("signal(9)")
    world.round()

    assert error_of(store) == "worker 1 was killed"
    assert world.planning_locks() == 0


def test_a_plan_whose_planner_drains_waits_again(world: AWorld, schedule: Schedule):
    """W20."""
    store_one(schedule)
    world.round()

    world.lost(DRAINED)
    world.delayed.stop()
    world.planning.settle()

    assert due(schedule) == [PLAN]
    assert world.planning_locks() == 0


def test_a_result_that_is_no_plan_is_an_error(world: AWorld, schedule: Schedule, store: Store):
    store_one(schedule)
    world.round()
    order, tell = world.out.pop(PLAN)

    tell(ErrandFinished(PLAN, order.errand_id, order.kind, b"\x90", None))
    world.round()

    assert "no plan" in error_of(store)


def test_what_comes_of_planning_a_cancelled_plan_is_dropped(world: AWorld, schedule: Schedule, store: Store):
    store_one(schedule)
    world.round()
    schedule.cancel(PLAN, WORLD, NOW)

    world.done()
    world.round()

    assert Library(store).load_execution_plan(PLAN).result == "cancelled"
    assert world.asked == []
    assert world.planning_locks() == 0


# -- one of all --------------------------------------------------------------------------------------


def test_one_world_leads_and_another_does_when_it_ends(world: AWorld, other: AWorld, schedule: Schedule):
    world.round()
    store_one(schedule)

    other.round()
    assert not other.delayed.leads
    assert not other.out

    world.coordinator.delete_world(WORLD)  # it has ended
    other.round()
    assert other.delayed.leads
    assert list(other.out) == [PLAN]


def test_a_world_that_others_are_fitter_than_lets_them_lead(world: AWorld, other: AWorld):
    world.round()
    world.may_lead = False

    world.round()
    other.round()

    assert not world.delayed.leads
    assert other.delayed.leads


def test_who_takes_over_from_a_dead_leader_plans_what_that_was_planning(
    world: AWorld, other: AWorld, schedule: Schedule, store: Store
):
    """W20: nothing is left in planning."""
    store_one(schedule)
    world.round()
    assert store.load_skeleton(PLAN).state == "planning"

    heard: list[str] = []
    Recovery(store, other.coordinator, print, print, lambda: heard.append("free")).invalidate(WORLD)
    assert heard == ["free"]
    other.round()

    assert list(other.out) == [PLAN]
    world.done()
    with pytest.raises(WorldFenced):
        world.round()
    other.done()
    other.round()
    assert store.load_skeleton(PLAN).state == "planned"


def test_a_plan_that_somebody_else_plans_is_looked_at_again_soon(
    world: AWorld, other: AWorld, schedule: Schedule
):
    store_one(schedule)
    other.coordinator.acquire(PlanningLock(PLAN, "world-2"))
    schedule.begin_planning(PLAN, other.coordinator.fence, lambda connection: None)

    assert world.round() == 1.0
    assert not world.out

    other.coordinator.release(PlanningLock(PLAN, "world-2"))
    world.round()
    assert list(world.out) == [PLAN]
