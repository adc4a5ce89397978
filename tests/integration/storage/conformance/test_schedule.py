"""Scheduled plans as they are stored: found when they are due, planned once, stopped for a cause (B260-B322)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from stored_plans import NOW, PLAN, WORLD, a_plan, plan_id

from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.coordinator.records import PlanningLock
from dynflow_mp.errors import LockLost, NotScheduled, PlanNotFound, WorldFenced
from dynflow_mp.maintenance.cleaner import Cleaner
from dynflow_mp.model.codec import encode
from dynflow_mp.model.flows import Concurrence
from dynflow_mp.model.flows import Sequence as SequenceFlow
from dynflow_mp.model.plans import DelayRecord, HistoryEntry, PlannedAction, PlannedPlan, PlannedStep
from dynflow_mp.model.states import Phase, PlanState, Result, StepState
from dynflow_mp.persistence.schedule import End, Schedule
from dynflow_mp.persistence.store import Store
from dynflow_mp.persistence.waiting_plans import DuePlan
from dynflow_mp.reading.library import Library

SECOND = 1_000_000
ARGUMENTS = b"\x92\xc4\x01\x90\xc4\x01\x80"
ERROR = End(StepState.ERROR, Result.ERROR, "timeout", b"\x90")


def scheduled(id_: str = PLAN) -> PlannedPlan:
    """A plan as it is stored before it is planned."""
    return a_plan(
        id_,
        run_steps=0,
        state=PlanState.SCHEDULED,
        result=Result.PENDING,
        run_flow=Concurrence(),
        finalize_flow=SequenceFlow(),
        actions=[PlannedAction(1, "shop.Root", 1, None, None, None, None, encode({"a": 1}, "input"), None)],
        steps=[PlannedStep(1, Phase.PLAN, StepState.PENDING, 1, "shop.Root", "slow", 0.0)],
        dependencies=[],
        history=(HistoryEntry(NOW, "delay", WORLD),),
    )


def store_one(schedule: Schedule, id_: str = PLAN, after: Sequence[str] = (), **fields: Any) -> None:
    record = DelayRecord(None, None, False, ARGUMENTS)._replace(**fields)
    schedule.save(scheduled(id_), record, after, NOW)


def due(schedule: Schedule, now: int = NOW) -> list[str]:
    return [plan.id for plan in schedule.due(now, 100)]


def nothing(connection: object) -> None:
    """No lock to take."""


def begin(schedule: Schedule, coordinator: Coordinator, id_: str = PLAN) -> bool:
    return schedule.begin_planning(id_, coordinator.fence, nothing)


def names(store: Store, id_: str = PLAN) -> list[str]:
    return [entry.name for entry in Library(store).load_execution_plan(id_).execution_history]


def stopped(store: Store, id_: str, result: Result) -> str:
    """Another plan that has stopped so."""
    store.save_plan(a_plan(id_, run_steps=1, state=PlanState.STOPPED, result=result, ended_at=NOW))
    return id_


# -- finding ---------------------------------------------------------------------------------------


def test_a_delayed_plan_is_one_step_and_a_record(schedule: Schedule, store: Store):
    """B260."""
    store_one(schedule, start_at=NOW + SECOND)

    plan = Library(store).load_execution_plan(PLAN)
    assert (plan.state, plan.result, plan.progress) == ("scheduled", "pending", 0.0), "B122"
    assert [step.state for step in plan.steps.values()] == ["pending"]
    assert names(store) == ["delay"]
    assert schedule.record(PLAN) == DelayRecord(NOW + SECOND, None, False, ARGUMENTS)


def test_a_plan_is_due_once_its_time_has_come(schedule: Schedule):
    """B263."""
    store_one(schedule, start_at=NOW)

    assert due(schedule, NOW - 1) == []
    assert schedule.due(NOW, 100) == [
        DuePlan(PLAN, "shop.Root", "slow", None, ARGUMENTS, encode({"a": 1}, "input"))
    ]


def test_due_plans_come_in_the_order_of_their_times(schedule: Schedule):
    """B320, B322: without a time first; one whose last moment has passed is due, too."""
    store_one(schedule, plan_id(1), start_at=NOW, start_before=NOW + 9)
    store_one(schedule, plan_id(2), start_at=NOW - 5)
    store_one(schedule, plan_id(3), start_at=NOW + SECOND)
    store_one(schedule, plan_id(4), start_at=NOW - 1, start_before=NOW - 1)
    store_one(schedule, plan_id(5))

    assert due(schedule) == [plan_id(number) for number in (5, 2, 4, 1)]
    assert len(schedule.due(NOW, 2)) == 2
    assert schedule.next_time(NOW) == NOW + 9


def test_a_frozen_plan_is_not_due_before_it_is_let_go(schedule: Schedule):
    """B321."""
    store_one(schedule, start_at=NOW, start_before=NOW, frozen=True)
    assert due(schedule) == []
    assert schedule.next_time(NOW - 1) is None

    schedule.set_frozen(PLAN, False)
    assert due(schedule) == [PLAN]

    schedule.set_frozen(PLAN, True)
    schedule.set_frozen(PLAN, True)  # again: nothing changes, and nothing is wrong
    schedule.set_frozen(PLAN, False, NOW + SECOND)
    assert schedule.record(PLAN).start_at == NOW + SECOND


def test_only_a_plan_that_waits_can_be_frozen(schedule: Schedule, store: Store):
    store.save_plan(a_plan())

    with pytest.raises(NotScheduled):
        schedule.set_frozen(PLAN, True)
    with pytest.raises(NotScheduled):
        schedule.record(plan_id(9))


def test_the_filter_delayed_finds_plans_that_wait(schedule: Schedule, store: Store):
    """B304."""
    store_one(schedule, plan_id(1))
    store.save_plan(a_plan(plan_id(2)))

    assert [row.id for row in store.find_execution_plans({"delayed": True})] == [plan_id(1)]
    assert [row.id for row in store.find_execution_plans({"delayed": False})] == [plan_id(2)]


# -- what comes after others -------------------------------------------------------------------------


def test_a_chained_plan_is_due_when_all_it_comes_after_have_stopped(schedule: Schedule, store: Store):
    """B275, B276, B322: one that is paused keeps it waiting."""
    before = [plan_id(2), plan_id(3)]
    store.save_plan(a_plan(before[0], state=PlanState.PAUSED))
    stopped(store, before[1], Result.SUCCESS)
    store_one(schedule, after=before)
    assert due(schedule) == []
    assert schedule.prerequisites(PLAN) == before
    assert schedule.any_chained()

    store.delete_execution_plans({"id": before[0]})

    assert due(schedule) == [PLAN], "one that is gone keeps nobody waiting"


@pytest.mark.parametrize(
    ("result", "failed"),
    [
        (Result.SUCCESS, False),
        (Result.WARNING, False),
        (Result.PENDING, False),
        (Result.ERROR, True),
        (Result.CANCELLED, True),
    ],
)
def test_what_counts_as_a_failed_prerequisite(schedule: Schedule, store: Store, result: Result, failed: bool):
    """B278, B279: a halted one (stopped, pending) does not."""
    stopped(store, plan_id(2), Result.SUCCESS)
    stopped(store, plan_id(3), result)
    store_one(schedule, after=[plan_id(2), plan_id(3)])

    assert due(schedule) == [PLAN]
    assert schedule.failed_prerequisites([PLAN]) == ({PLAN: [plan_id(3)]} if failed else {})


def test_a_chained_plan_that_is_too_late_waits_no_longer(schedule: Schedule, store: Store):
    store.save_plan(a_plan(plan_id(2)))
    store_one(schedule, after=[plan_id(2)], start_before=NOW)

    assert due(schedule) == [PLAN]


def test_nothing_comes_after_a_plan_that_is_not_there(schedule: Schedule, store: Store):
    with pytest.raises(PlanNotFound, match=plan_id(9)):
        store_one(schedule, after=[plan_id(9)])

    assert store.count_execution_plans() == 0


# -- planning ----------------------------------------------------------------------------------------


def test_what_was_planned_takes_the_place_of_the_scheduled_plan(
    schedule: Schedule, store: Store, coordinator: Coordinator
):
    """B264 in part."""
    store_one(schedule)
    assert begin(schedule, coordinator)
    assert schedule.strays() == {PLAN: "planning"}
    assert due(schedule) == [], "it is in hand"
    assert not begin(schedule, coordinator), "not twice"

    made = a_plan(PLAN, run_steps=2, finalize=True, history=(), started_at=NOW)
    assert schedule.store_planned(made, NOW + 7, coordinator.fence, nothing)

    skeleton = store.load_skeleton(PLAN)
    assert (skeleton.state, skeleton.requested_at, skeleton.owner_id) == ("planned", NOW + 7, None)
    assert skeleton.run_flow == made.run_flow
    plan = Library(store).load_execution_plan(PLAN)
    assert len(plan.steps) == len(made.steps)
    assert plan.action(1).input == {}
    assert names(store) == ["delay"]
    assert schedule.strays() == {}
    with pytest.raises(NotScheduled):
        schedule.record(PLAN)


def test_a_plan_cancelled_while_it_is_planned_stays_so(
    schedule: Schedule, store: Store, coordinator: Coordinator
):
    store_one(schedule)
    begin(schedule, coordinator)
    assert schedule.cancel(PLAN, WORLD, NOW)

    assert not schedule.store_planned(a_plan(PLAN), NOW, coordinator.fence, nothing)
    assert not schedule.give_back(PLAN, coordinator.fence, nothing)
    assert Library(store).load_execution_plan(PLAN).result == "cancelled"


def test_a_plan_that_is_given_back_waits_again(schedule: Schedule, coordinator: Coordinator):
    """W20."""
    store_one(schedule)
    begin(schedule, coordinator)

    assert schedule.give_back(PLAN, coordinator.fence, nothing)

    assert due(schedule) == [PLAN]


def test_only_who_holds_the_planning_lock_stores_what_was_planned(
    schedule: Schedule, store: Store, coordinator: Coordinator
):
    lock = PlanningLock(PLAN, WORLD)
    taken: list[bool] = []
    store_one(schedule)

    def take(connection: Any) -> None:
        taken.append(coordinator.acquire_within(connection, lock))

    def release(connection: Any) -> None:
        if not coordinator.release_within(connection, lock):
            raise LockLost("gone")

    schedule.begin_planning(PLAN, coordinator.fence, take)
    assert taken == [True]
    coordinator.release(lock)

    with pytest.raises(LockLost):
        schedule.store_planned(a_plan(PLAN), NOW, coordinator.fence, release)
    assert store.load_skeleton(PLAN).state == "planning"


def test_a_world_declared_dead_plans_nothing(schedule: Schedule, coordinator: Coordinator):
    store_one(schedule)
    coordinator.set_world_state(coordinator.world_id, "dead")

    with pytest.raises(WorldFenced):
        begin(schedule, coordinator)


# -- stopping ----------------------------------------------------------------------------------------


def test_a_plan_that_cannot_start_stops_with_an_error(schedule: Schedule, store: Store):
    """B265 in part."""
    store_one(schedule)

    assert schedule.stop(PLAN, ERROR, WORLD, NOW + 3)

    plan = Library(store).load_execution_plan(PLAN)
    assert (plan.state, plan.result) == ("stopped", "error")
    assert [step.state for step in plan.steps.values()] == ["error"]
    assert names(store) == ["delay", "timeout"]
    assert plan.ended_at is not None
    assert due(schedule) == []
    assert not schedule.stop(PLAN, ERROR, WORLD, NOW + 4), "once"


def test_a_scheduled_plan_that_is_cancelled(schedule: Schedule, store: Store):
    store_one(schedule)

    assert schedule.cancel(PLAN, WORLD, NOW)

    plan = Library(store).load_execution_plan(PLAN)
    assert (plan.state, plan.result) == ("stopped", "cancelled")
    assert plan.root_plan_step.state == "cancelled"
    assert names(store) == ["delay", "Delayed task cancelled"]
    assert store.count_execution_plans({"delayed": True}) == 0


@pytest.mark.parametrize("state", [PlanState.PLANNED, PlanState.RUNNING, PlanState.PAUSED, PlanState.STOPPED])
def test_a_plan_that_does_not_wait_is_not_touched(schedule: Schedule, store: Store, state: PlanState):
    store.save_plan(a_plan(state=state))

    assert not schedule.cancel(PLAN, WORLD, NOW)
    assert store.load_skeleton(PLAN).state is state


# -- cleaning ----------------------------------------------------------------------------------------


def test_plans_that_ended_long_ago_are_deleted_unless_others_need_them(
    schedule: Schedule, store: Store, coordinator: Coordinator
):
    """B345 in part."""
    for number, ended_at in ((2, NOW - 5), (3, NOW - 9), (4, NOW), (5, NOW - 7)):
        store.save_plan(
            a_plan(plan_id(number), state=PlanState.STOPPED, result=Result.SUCCESS, ended_at=ended_at)
        )
    store.save_plan(a_plan(plan_id(6)))
    child = a_plan(plan_id(7), state=PlanState.STOPPED, ended_at=NOW - 9, caller_plan_id=plan_id(6))
    store.save_plan(child)
    store_one(schedule, plan_id(8), after=[plan_id(5)])

    assert store.find_old_plans(NOW, 10) == [plan_id(3), plan_id(2)]
    assert store.find_old_plans(NOW, 1) == [plan_id(3)]

    cleaner = Cleaner(store, coordinator, lambda error: None, max_age_s=1e-6, interval_s=1.0)
    assert cleaner.round(NOW + 1) == 2

    left = {row.id for row in store.find_execution_plans()}
    assert left == {plan_id(number) for number in (4, 5, 6, 7, 8)}
