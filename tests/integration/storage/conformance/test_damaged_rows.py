"""Rows that nobody of ours has written: the plan they are of is invalid and says why, every other goes on (§6.4)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update
from stored_plans import NOW, PLAN, WORLD, a_plan, claim, end, mark, outcome, plan_id

from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.coordinator.records import WorldRecord
from dynflow_mp.errors import DynflowError, InvalidPlan, PlanIdTaken
from dynflow_mp.maintenance.reconciler import Reconciler
from dynflow_mp.maintenance.recovery import Recovery
from dynflow_mp.model.states import PlanState
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.store import Store
from dynflow_mp.persistence.tables import (
    actions,
    coordinator_records,
    delayed_plans,
    events,
    execution_plans,
    steps,
)
from dynflow_mp.reading.library import Library

OTHER, SECOND = "world-2", plan_id(2)
HUGE = 2**63 - 1
Turn = Callable[..., frozenset[str]]


def plan(**values: Any) -> Any:
    return update(execution_plans).where(execution_plans.c.id == PLAN).values(**values)


def step(**values: Any) -> Any:
    return update(steps).where(steps.c.execution_plan_id == PLAN, steps.c.id == 3).values(**values)


def action(**values: Any) -> Any:
    return update(actions).where(actions.c.execution_plan_id == PLAN, actions.c.id == 2).values(**values)


UNREADABLE = {
    "a flow that is empty": (plan(run_flow=b""), "cannot be read"),
    "a flow that is no msgpack": (plan(finalize_flow=b"\xc1"), "cannot be read"),
    "a flow that is cut off": (plan(run_flow=b"\x93\xa1S\x03"), "cannot be read"),
    "a flow of another shape": (plan(run_flow=b"\x81\xa1a\x01"), "a stored flow"),
    "a flow of steps that are not there": (plan(run_flow=b"\x93\xa1Cc\xc0"), "names step 99"),
    "a history of another shape": (plan(history=b"\x91\x01"), "a stored history cannot be read"),
    "policies of another shape": (plan(policies=b"\x93\x01\x02\x03"), "AttributeError"),
    "policies that are cut off": (plan(policies=b"\x82"), "cannot be read"),
    "dependencies of another shape": (plan(dependencies=b"\x01"), "TypeError"),
    "a state that is none": (plan(state="confused"), "its state is 'confused'"),
    "a negative epoch": (plan(lock_epoch=-5), "its epoch is -5"),
    "an epoch that cannot be counted on": (plan(lock_epoch=HUGE), f"its epoch is {HUGE}"),
    "too few steps": (plan(step_count=99), "99 steps were planned, 7 are stored"),
    "a step's state that is none": (step(state="tired"), "the state of step 3 is 'tired'"),
    "negative attempts": (step(attempts=-1), "OverflowError"),
    "a step that is missing": (
        delete(steps).where(steps.c.execution_plan_id == PLAN, steps.c.id == 3),
        "7 steps were planned, 6 are stored",
    ),
}


@pytest.fixture
def two(store: Store) -> None:
    """Two plans that were asked for, of which one will be damaged."""
    for id_ in (PLAN, SECOND):
        store.save_plan(a_plan(id_), requested_at=NOW)


@pytest.fixture
def reconciler(store: Store, database: Database) -> Reconciler:
    """Another executor's, which looks every second and gives others 10 s."""
    other = Coordinator(database, OTHER)
    other.register_world(WorldRecord(OTHER, executor=True))
    recovery = Recovery(store, other, lambda answer: None, lambda request: None)
    return Reconciler(
        store,
        other,
        recovery,
        lambda request: None,
        lambda offer: None,
        lambda error: None,
        interval_s=1.0,
        lease_ttl_s=10.0,
    )


def change(database: Database, *damage: Any) -> None:
    with database.write() as connection:
        for statement in damage:
            connection.execute(statement)


@pytest.mark.parametrize(("damage", "reason"), UNREADABLE.values(), ids=list(UNREADABLE))
def test_a_plan_that_cannot_be_read_says_why_is_listed_and_keeps_no_other_from_being_taken_over(
    two: None, store: Store, database: Database, turn: Turn, reconciler: Reconciler, damage: Any, reason: str
):
    turn(claim(), claim(SECOND), mark(3, SECOND))
    change(database, damage, delete(coordinator_records).where(coordinator_records.c.id == WORLD))

    with pytest.raises(InvalidPlan, match=reason) as refused:
        store.load_skeleton(PLAN)
    assert refused.value.plan_id == PLAN
    listed = Library(store).find_execution_plans()
    assert {plan.id for plan in listed} == {PLAN, SECOND}
    assert all(str(plan.state) and repr(plan) for plan in listed)
    reconciler.round(0.0)
    other = store.load_plan(SECOND)
    assert (other.state, other.owner_id) == (PlanState.PAUSED, None)
    row = store.find_execution_plans({"id": PLAN})[0]
    assert row.owner_id is None, "let go of, for people to look at"


@pytest.mark.parametrize(
    "damage",
    [
        action(input=b""),
        action(input=b"\xc1"),
        action(input=b"\x82\xa1a"),
        action(input=b"\x01", references=b"\xc1"),
        action(action_class="os.system"),
        action(action_class="\u202enothing'; --"),
    ],
    ids=["empty", "no msgpack", "cut off", "another shape", "something else to import", "not even a name"],
)
def test_g30_payloads_and_classes_are_only_looked_at_where_they_are_used(
    two: None, store: Store, database: Database, damage: Any
):
    """An executor passes them on as they are; the step fails in its worker, or shows as what cannot be read."""
    change(database, damage)

    store.load_skeleton(PLAN)
    for shown in Library(store).load_execution_plan(PLAN).actions:
        with suppress(DynflowError):
            assert isinstance(shown.input, dict)
    assert Library(store).load_execution_plan(SECOND).actions[0].input == {}


@pytest.mark.parametrize("when", [0, -1, -(2**62), HUGE])
@pytest.mark.parametrize("column", ["started_at", "ended_at", "created_at", "requested_at", "deadline_at"])
def test_times_that_cannot_be_are_shown_as_none_and_decide_nothing(
    two: None, store: Store, database: Database, reconciler: Reconciler, column: str, when: int
):
    change(database, plan(**{column: when}))

    store.load_skeleton(PLAN)
    shown = Library(store).load_execution_plan(PLAN)
    for at in (shown.started_at, shown.ended_at):
        assert at is None or at.tzinfo is not None
    assert len(Library(store).find_execution_plans()) == 2
    reconciler.round(0.0)


def test_a_running_plan_that_nobody_owns_or_whose_owner_nobody_knows_is_found(
    two: None, store: Store, database: Database, reconciler: Reconciler
):
    """As its locks, its world's record: no row needs another one to be taken over."""
    change(
        database,
        plan(state="running", lock_epoch=1),
        update(execution_plans)
        .where(execution_plans.c.id == SECOND)
        .values(state="running", lock_epoch=1, owner_id="never heard of"),
        step(state="running", attempts=1),
    )

    reconciler.round(0.0)

    statuses = store.plan_statuses([PLAN, SECOND])
    assert {(status.state, status.owner_id) for status in statuses.values()} == {("paused", None)}
    assert all(status.requested_at is not None for status in statuses.values())
    waiting = {status.id for status in store.requested_plans(10)}
    assert waiting == {PLAN, SECOND}


def test_locks_without_plans_and_second_locks_of_plans_go_with_their_world(
    two: None, store: Store, database: Database, turn: Turn, reconciler: Reconciler
):
    turn(claim(), claim(SECOND))
    with database.read() as connection:
        row = connection.execute(
            select(coordinator_records).where(coordinator_records.c["class"] == "ExecutionLock").limit(1)
        ).one()
    more = [dict(row._mapping) for _ in range(2)]
    more[0].update(id=f"execution-plan:{plan_id(77)}", owner_id=f"world:{WORLD}")
    more[1].update(id=f"second:{PLAN}", owner_id="world:never heard of")
    change(
        database,
        insert(coordinator_records).values(more[0]),
        insert(coordinator_records).values(more[1]),
        delete(coordinator_records).where(coordinator_records.c.id == WORLD),
    )

    reconciler.round(0.0)
    reconciler.round(1.0)  # of two locks of one plan, one is seen at a time

    with database.read() as connection:
        left = connection.execute(select(coordinator_records.c["class"], coordinator_records.c.id)).all()
    assert [tuple(row) for row in left] == [("ExecutorWorld", OTHER)]


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x01", b"\x81\xa1a"])
def test_records_that_cannot_be_read_stop_nobody(
    two: None, store: Store, database: Database, turn: Turn, reconciler: Reconciler, data: bytes
):
    """A world's, and that of a lock; what they say besides is not needed to take over."""
    turn(claim(), mark(3))
    change(database, update(coordinator_records).values(data=data))

    reconciler.round(0.0)
    change(database, delete(coordinator_records).where(coordinator_records.c.id == WORLD))
    reconciler.round(1.0)

    assert store.load_plan(PLAN).owner_id is None


def test_a_plan_deleted_or_changed_by_hand_while_it_runs_is_lost_to_its_owner_and_nothing_is_written(
    two: None, store: Store, database: Database, turn: Turn
):
    turn(claim(), mark(3), claim(SECOND), mark(3, SECOND))
    change(database, delete(execution_plans).where(execution_plans.c.id == PLAN))

    lost = turn(outcome(3), end(), outcome(3, SECOND))

    assert lost == {PLAN}
    assert store.load_steps(SECOND, [3])[0].state == "success"
    assert store.plan_statuses([PLAN]) == {}


def test_events_and_delays_that_cannot_be_read_are_only_their_plans(
    two: None, store: Store, database: Database
):
    waiting = {"step_id": 99, "data": b"\xc1", "client_id": "c", "recorded_at": HUGE}
    change(
        database,
        insert(events).values(id="e1", execution_plan_id=PLAN, **waiting),
        insert(delayed_plans).values(execution_plan_id=PLAN, start_at=-(2**62), frozen=7, arguments=b"\xc1"),
    )

    assert [event.id for event in store.load_skeleton(PLAN).events] == ["e1"]
    assert Library(store).load_delayed_plan(PLAN).frozen
    store.load_skeleton(SECOND)


@pytest.mark.parametrize("text", ["'; DROP TABLE dynflow_steps; --", "%", "_", "\\", 'a"b', "\u0000x"])
def test_what_is_asked_for_is_data_never_sql(two: None, store: Store, text: str):
    plain = text.replace("\u0000", "")
    store.save_plan(a_plan(plan_id(3), label=f"L{plain}"))

    assert store.find_execution_plans({"label": plain}) == []
    assert [row.id for row in store.find_execution_plans({"label": f"L{plain}"})] == [plan_id(3)]
    for filters in ({"id": text}, {"owner_id": [text]}, {"state": text}):
        with suppress(DynflowError) if "\0" in text else nullcontext():
            assert store.find_execution_plans(filters) == []
    assert store.count_execution_plans() == 3


def test_ids_that_differ_in_case_or_in_spaces_at_their_ends_are_others(
    store: Store, coordinator: Coordinator
):
    """MariaDB's habits are not ours."""
    store.save_plan(a_plan())
    for other in (PLAN.upper(), PLAN[:-1]):
        assert other == PLAN.upper() == PLAN or store.plan_statuses([other]) == {}
    coordinator.register_world(WorldRecord("World-1", executor=True))
    assert {world.id for world in coordinator.find_worlds()} >= {"world-1", "World-1"}
    assert [world.id for world in coordinator.find_worlds(id="World-1")] == ["World-1"]


def test_a_plan_id_that_is_stored_already_is_named(store: Store, two: None):
    with pytest.raises(PlanIdTaken, match=f"there is a plan {PLAN} already") as refused:
        store.save_plan(a_plan(label="another"))

    assert refused.value.plan_id == PLAN
    assert store.load_plan(PLAN).label == "shop.Root"
