"""Stopping plans that nobody runs, on a real database: in one transaction, or not at all."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import func, insert, select, update
from stored_plans import NOW, PLAN, WORLD, a_plan, claim, end, mark, outcome, run_step

from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.errors import EventDropped, PlanNotFound
from dynflow_mp.maintenance.unowned import UnownedPlans
from dynflow_mp.model.codec import decode
from dynflow_mp.model.messages import Envelope, Failed
from dynflow_mp.model.plans import history_from_data
from dynflow_mp.model.states import PlanState, Result, StepState
from dynflow_mp.model.writes import RecordEvent
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.store import Store
from dynflow_mp.persistence.tables import delayed_plans, events, execution_plans, steps

Turn = Callable[..., frozenset[str]]


@pytest.fixture
def answered() -> list[Envelope]:
    return []


@pytest.fixture
def unowned(store: Store, coordinator: Coordinator, answered: list[Envelope]) -> UnownedPlans:
    return UnownedPlans(store, coordinator, answered.append, lambda world_id: None)


def rows_of(database: Database, table: object) -> int:
    with database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())  # type: ignore[arg-type]


@pytest.mark.parametrize("state", ["pending", "planned", "paused"])
def test_b287_b289_a_plan_that_nobody_runs_is_stopped(
    store: Store, coordinator: Coordinator, unowned: UnownedPlans, state: str
) -> None:
    store.save_plan(a_plan(state=PlanState(state)), requested_at=NOW)

    assert unowned.halt(PLAN) is True

    plan = store.load_plan(PLAN)
    assert (plan.state, plan.result, plan.owner_id, plan.requested_at) == ("stopped", "pending", None, None)
    assert (plan.lock_epoch, plan.started_at) == (1, None)
    assert plan.ended_at is not None
    assert history_from_data(decode(plan.history))[-1].name == "halt execution"
    assert {step.state for step in store.load_steps(PLAN) if step.phase == "run"} == {"pending"}
    assert coordinator.find_locks() == []


def test_b288_a_scheduled_plan_is_stopped_and_its_delay_is_gone(
    store: Store, database: Database, unowned: UnownedPlans
) -> None:
    store.save_plan(a_plan(state=PlanState.SCHEDULED))
    with database.write() as connection:
        connection.execute(
            insert(delayed_plans).values(execution_plan_id=PLAN, start_at=NOW, frozen=0, arguments=b"\x80")
        )

    assert unowned.halt(PLAN) is True

    assert store.load_plan(PLAN).state == "stopped"
    assert rows_of(database, delayed_plans) == 0


def test_events_of_a_plan_that_was_left_are_gone_and_their_senders_told(
    store: Store, database: Database, turn: Turn, unowned: UnownedPlans, answered: list[Envelope]
) -> None:
    store.save_plan(a_plan())
    step = run_step(0)
    turn(claim(), mark(step), outcome(step, state=StepState.SUSPENDED))
    turn(
        RecordEvent(PLAN, 1, step, "e1", b"x", "client-7", None, NOW),
        RecordEvent(PLAN, 1, step, "e2", b"x", None, NOW, NOW + 1),
        end(state=PlanState.PAUSED, result=Result.PENDING, ended_at=None),
    )

    unowned.halt(PLAN)

    assert rows_of(database, events) == 0
    (told,) = answered
    assert (told.receiver_id, told.request_id) == ("client-7", "e1")
    assert isinstance(told.message, Failed)
    assert told.message.error_class == EventDropped.__name__
    assert {s.id: s.state for s in store.load_steps(PLAN)}[step] == "suspended"


def test_a_plan_that_somebody_runs_is_not_touched(store: Store, turn: Turn, unowned: UnownedPlans) -> None:
    store.save_plan(a_plan())
    turn(claim())

    assert unowned.halt(PLAN) is False

    plan = store.load_plan(PLAN)
    assert (plan.state, plan.owner_id, plan.lock_epoch) == ("running", WORLD, 1)


def test_a_plan_of_a_world_that_is_dead_is_taken_from_it_first(
    store: Store, turn: Turn, coordinator: Coordinator
) -> None:
    invalidated: list[str] = []
    unowned = UnownedPlans(store, coordinator, lambda answer: None, invalidated.append)
    store.save_plan(a_plan())
    turn(claim(world_id="long-gone"))

    assert unowned.halt(PLAN) is False

    assert invalidated == ["long-gone"]


def test_a_plan_that_was_taken_while_one_looked_is_not_touched(
    store: Store, turn: Turn, unowned: UnownedPlans, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save_plan(a_plan())
    old = store.load_skeleton(PLAN)
    turn(claim())
    monkeypatch.setattr(store, "load_skeleton", lambda plan_id: old)

    assert unowned.halt(PLAN) is False

    assert store.load_plan(PLAN).owner_id == WORLD


def test_a_stopped_plan_stays_as_it_is(store: Store, turn: Turn, unowned: UnownedPlans) -> None:
    store.save_plan(a_plan())
    turn(claim())
    turn(end())

    assert unowned.halt(PLAN) is True

    assert (store.load_plan(PLAN).lock_epoch, store.load_plan(PLAN).result) == (1, "success")


def test_a_plan_that_is_not_stored_cannot_be_halted(unowned: UnownedPlans) -> None:
    with pytest.raises(PlanNotFound):
        unowned.halt(PLAN)


def test_a_plan_that_cannot_be_read_is_stopped_all_the_same(
    store: Store, database: Database, unowned: UnownedPlans
) -> None:
    store.save_plan(a_plan(), requested_at=NOW)
    with database.write() as connection:
        connection.execute(update(execution_plans).values(run_flow=b"\xc1"))
        connection.execute(update(steps).values(state="who knows"))

    assert unowned.halt(PLAN) is True

    status = store.plan_statuses([PLAN])[PLAN]
    assert (status.state, status.owner_id, status.requested_at) == ("stopped", None, None)
