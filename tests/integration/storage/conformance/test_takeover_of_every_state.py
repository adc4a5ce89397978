"""G2: whatever a dead world left, it is taken over – each state of a plan with each state of a step – and goes on or ends."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import get_args

import databases
import pytest
from sqlalchemy import select, update
from stored_plans import NOW, PLAN, WORLD, a_plan, claim, plan_id, run_step

from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.coordinator.records import WorldRecord
from dynflow_mp.director.director import Director
from dynflow_mp.director.instructions import Answer, ReadyFinalize, ReadySteps
from dynflow_mp.director.protocol import FINALIZE
from dynflow_mp.director.stimuli import (
    FinalizeFinished,
    PlanArrived,
    PlanRequested,
    StepFinished,
    StepsSent,
    Stimulus,
)
from dynflow_mp.errors import IllegalMove
from dynflow_mp.maintenance.recovery import Recovery
from dynflow_mp.model.codec import encode
from dynflow_mp.model.messages import Accepted, Done, Envelope
from dynflow_mp.model.states import PlanState, StepState
from dynflow_mp.model.work import StepOutcome
from dynflow_mp.model.writes import Write
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.store import Store
from dynflow_mp.persistence.tables import execution_plans, steps

OTHER = "world-2"
FINALIZE_STEP = 8
NOWHERE_TO_GO = {
    run_step(0): {StepState.CANCELLED},
    FINALIZE_STEP: {StepState.CANCELLED, StepState.SUSPENDED, StepState.SKIPPING},
}
Turn = Callable[..., frozenset[str]]


@pytest.fixture
def sent() -> list[Envelope]:
    return []


@pytest.fixture
def other(database: Database) -> Coordinator:
    coordinator = Coordinator(database, OTHER)
    coordinator.register_world(WorldRecord(OTHER, executor=True))
    return coordinator


@pytest.fixture
def recovery(store: Store, other: Coordinator, sent: list[Envelope]) -> Recovery:
    return Recovery(store, other, sent.append, sent.append)


@pytest.fixture
def left(store: Store, database: Database, turn: Turn) -> Callable[..., None]:
    """Has WORLD own a plan, and then be in whatever state: who died may have been anywhere."""

    def leave(plan_state: PlanState, step_id: int, step_state: StepState, number: int = 1) -> None:
        id_ = plan_id(number)
        store.save_plan(a_plan(id_, finalize=True), requested_at=NOW)
        assert not turn(claim(id_))
        with database.write() as connection:
            connection.execute(
                update(execution_plans).where(execution_plans.c.id == id_).values(state=plan_state.value)
            )
            connection.execute(
                update(steps)
                .where(steps.c.execution_plan_id == id_, steps.c.id == step_id)
                .values(state=step_state.value, attempts=1, started_at=NOW)
            )

    return leave


def what_may_be_left() -> list[tuple[str, PlanState, int, StepState]]:
    """On SQLite everything; elsewhere what can be written at all, of plans that are run."""
    states = [state for state in StepState if state != "scheduling"]
    left = list(product(list(PlanState), (run_step(0), FINALIZE_STEP), states))
    likely = [
        (plan, step_id, state)
        for plan, step_id, state in left
        if plan is PlanState.RUNNING and state not in NOWHERE_TO_GO[step_id]
    ]
    return [
        *((databases.SQLITE, *each) for each in left),
        *((kind, *each) for kind in (databases.POSTGRESQL, databases.MYSQL) for each in likely),
    ]


@pytest.mark.parametrize(("database_kind", "plan_state", "step_id", "step_state"), what_may_be_left())
def test_g2_what_a_dead_world_left_is_taken_over_and_can_go_on(
    left: Callable[..., None],
    store: Store,
    recovery: Recovery,
    other: Coordinator,
    turn: Turn,
    database_kind: str,
    plan_state: PlanState,
    step_id: int,
    step_state: StepState,
) -> None:
    databases.require(database_kind)
    left(plan_state, step_id, step_state)

    assert recovery.invalidate(WORLD) == 1

    skeleton = store.load_skeleton(PLAN)
    assert (skeleton.owner_id, other.find_locks()) == (None, [])
    assert skeleton.state is (PlanState.PAUSED if plan_state is PlanState.RUNNING else plan_state)
    if plan_state is PlanState.RUNNING:
        (step,) = store.load_steps(PLAN, [step_id])
        assert step.state is (StepState.ERROR if step_state is StepState.RUNNING else step_state)
    if plan_state not in (PlanState.RUNNING, PlanState.PAUSED, PlanState.PLANNED):
        return
    if step_state in NOWHERE_TO_GO[step_id]:
        with pytest.raises(IllegalMove):  # a row that is never written: the executor gives the plan up
            ends(store, turn, other)
    else:
        was_running = step_state is StepState.RUNNING and plan_state is not PlanState.RUNNING
        assert ends(store, turn, other) == ("paused" if was_running else "stopped")


def ends(store: Store, turn: Turn, other: Coordinator) -> str:
    """Somebody asks for the plan, and another world runs it, every step with success: the state it ends in."""
    store.request(PLAN, NOW)
    director = Director(OTHER)
    director.handle(PlanRequested(PLAN, "client", "r1"), NOW)
    stimuli: list[Stimulus] = [PlanArrived(store.load_skeleton(PLAN), None)]
    answers: list[object] = []
    while stimuli:
        orders = director.handle(stimuli.pop(0), NOW)
        assert not turn(*(order for order in orders if isinstance(order, get_args(Write))), coordinator=other)
        for order in orders:
            if isinstance(order, Answer):
                answers.append(order.response)
            elif isinstance(order, ReadySteps):
                for step_id in order.step_ids:
                    (step,) = store.load_steps(PLAN, [step_id])
                    done = success(step_id)
                    if step.state is StepState.SKIPPING:
                        done = done._replace(state=StepState.SKIPPED)
                    stimuli += [StepsSent(PLAN, [step_id]), StepFinished(PLAN, step.attempts + 1, done)]
            elif isinstance(order, ReadyFinalize):
                parts = tuple(success(step_id) for step_id in order.step_ids)
                stimuli += [StepsSent(PLAN, [FINALIZE]), FinalizeFinished(PLAN, parts)]
    assert answers == [Accepted(), Done()]
    plan = store.load_plan(PLAN)
    assert plan.owner_id is None
    return plan.state


def success(step_id: int) -> StepOutcome:
    return StepOutcome(step_id, StepState.SUCCESS, NOW, 0.1, 1.0, None)


def test_one_plan_that_is_bad_in_any_way_keeps_no_other_waiting(
    left: Callable[..., None], store: Store, database: Database, recovery: Recovery, other: Coordinator
) -> None:
    damage = {
        1: {"run_flow": b"\xc1"},
        2: {"history": b"\xff\xff"},
        3: {"finalize_flow": encode([999], "flow")},
        4: {"state": "strange"},
    }
    for number in (*damage, 5):
        left(PlanState.RUNNING, run_step(0), StepState.RUNNING, number)
    with database.write() as connection:
        for number, values in damage.items():
            connection.execute(
                update(execution_plans).where(execution_plans.c.id == plan_id(number)).values(**values)
            )
        # And one of whose steps nothing is left.
        connection.execute(steps.delete().where(steps.c.execution_plan_id == plan_id(3)))

    assert recovery.invalidate(WORLD) == 5

    assert store.load_plan(plan_id(5)).state == "paused"
    with database.read() as connection:
        assert set(connection.execute(select(execution_plans.c.owner_id)).scalars()) == {None}
    assert other.find_locks() == []
