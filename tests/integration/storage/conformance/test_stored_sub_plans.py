"""Sub-plans in the store: stored with an outcome, counted, taken up many at a time, ended before they began."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text
from stored_plans import NOW, PLAN, a_plan, claim, end, mark, outcome, plan_id

from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.errors import PlanNotFound
from dynflow_mp.model.planned_codec import plan_to_bytes
from dynflow_mp.model.plans import Caller
from dynflow_mp.model.states import PlanState, Result, StepState
from dynflow_mp.model.work import ErrorRecord
from dynflow_mp.model.writes import RequestPlan, StorePlan
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.store import GuardFailed, Store
from dynflow_mp.persistence.turn_commit import TurnCommit

Turn = Callable[..., frozenset[str]]
ACTION = 2
"""The action of step 3 of the parent."""
ERROR = ErrorRecord("X", "cancelled").to_bytes()


def a_child(number: int, **fields: Any) -> Any:
    return a_plan(
        plan_id(number), run_steps=1, **{"caller_plan_id": PLAN, "caller_action_id": ACTION, **fields}
    )


def stored(number: int, requested_at: int | None = NOW, epoch: int = 1, **fields: Any) -> StorePlan:
    return StorePlan(PLAN, epoch, plan_to_bytes(a_child(number, **fields)), requested_at)


@pytest.fixture
def running(store: Store, turn: Turn) -> Turn:
    """A plan of which step 3 runs, at epoch 1."""
    store.save_plan(a_plan(run_steps=3), requested_at=NOW)
    turn(claim(), mark(3))
    return turn


def test_sub_plans_are_stored_with_the_outcome_of_the_step_that_triggered_them(store: Store, running: Turn):
    lost = running(outcome(3), stored(2), stored(3, requested_at=None))

    assert lost == frozenset()
    statuses = store.plan_statuses([plan_id(2), plan_id(3)])
    assert [statuses[plan_id(number)].requested_at for number in (2, 3)] == [NOW, None]
    row = store.load_plan(plan_id(2))
    assert (row.state, row.caller_execution_plan_id, row.caller_action_id) == ("planned", PLAN, ACTION)
    assert store.load_skeleton(plan_id(2)).caller == Caller(PLAN, ACTION, 3)
    assert store.load_skeleton(PLAN).caller is None
    planned = a_child(2)
    assert store.load_skeleton(plan_id(2)).run_flow == planned.run_flow
    assert [action.input for action in store.load_actions(plan_id(2))] == [a.input for a in planned.actions]
    assert store.load_skeleton(plan_id(2)).policies == planned.policies


def test_a_plan_that_is_lost_stores_no_sub_plans(store: Store, running: Turn):
    assert running(outcome(3, epoch=9), stored(2, epoch=9)) == {PLAN}

    with pytest.raises(PlanNotFound):
        store.load_plan(plan_id(2))


def test_a_guard_that_refuses_the_outcome_stores_no_sub_plans(store: Store, running: Turn):
    with pytest.raises(Exception, match="rows have changed"):
        running(outcome(3, attempt=7), stored(2))

    assert store.plan_statuses([plan_id(2)]) == {}


def test_bytes_that_are_no_plan_are_a_loss_of_the_plan_that_sent_them(store: Store, running: Turn):
    with pytest.raises(GuardFailed) as refused:
        running(outcome(3), StorePlan(PLAN, 1, b"no plan", NOW))

    assert refused.value.plan_ids == {PLAN}
    assert store.load_steps(PLAN, [3])[0].state is StepState.RUNNING


def test_a_turn_in_doubt_stores_its_sub_plans_once(
    store: Store, running: Turn, coordinator: Coordinator, database: Database
):
    """Committed, but the answer was lost: the repeat finds that out by the outcome."""
    writes = [outcome(3), *(stored(number) for number in range(2, 30))]
    commit = TurnCommit(store, writes, coordinator.fence, coordinator.follow_turn)

    assert commit.attempt(in_doubt=True) == frozenset()
    assert commit.attempt(in_doubt=True) == frozenset()

    assert store.count_execution_plans({"caller_execution_plan_id": PLAN}) == 28


def test_so_does_one_in_which_the_plan_ends(store: Store, running: Turn, coordinator: Coordinator):
    writes = [outcome(3), stored(2), end()]
    commit = TurnCommit(store, writes, coordinator.fence, coordinator.follow_turn)

    commit.attempt(in_doubt=False)
    commit.attempt(in_doubt=True)

    assert store.count_execution_plans({"caller_execution_plan_id": PLAN}) == 1


def test_what_is_held_back_is_requested_once(store: Store, running: Turn):
    running(outcome(3, state=StepState.SUSPENDED), *(stored(n, requested_at=None) for n in range(2, 8)))

    for later in (5, 9):
        running(*(RequestPlan(PLAN, 1, plan_id(number), NOW + later) for number in range(2, 7)))

    statuses = store.plan_statuses([plan_id(number) for number in range(2, 8)])
    assert [statuses[plan_id(n)].requested_at for n in range(2, 8)] == [NOW + 5] * 5 + [None]


def test_a_briefing_counts_the_sub_plans_of_one_action(store: Store, running: Turn):
    running(
        outcome(3),
        stored(2),
        stored(3),
        stored(4, requested_at=None),
        stored(5, requested_at=None, state=PlanState.STOPPED, result=Result.ERROR),
        stored(6, caller_action_id=3),
    )
    running(claim(plan_id(3)), mark(3, plan_id(3)))

    briefing = store.briefing(PLAN, ACTION)

    assert set(briefing.counts) == {
        (PlanState.PLANNED, Result.PENDING, False, True, 1),
        (PlanState.RUNNING, Result.PENDING, True, True, 1),
        (PlanState.PLANNED, Result.PENDING, False, False, 1),
        (PlanState.STOPPED, Result.ERROR, False, False, 1),
    }
    assert briefing.held_back == (plan_id(4),)
    assert store.briefing(PLAN, 99).counts == ()


def test_a_plan_taken_up_with_others_is_as_by_itself(store: Store, running: Turn):
    running(outcome(3), *(stored(number) for number in range(2, 6)))
    ids = [plan_id(number) for number in (5, 3, 2, 4)]

    found, large = store.take_up_fresh(ids, 2048)

    assert [skeleton.id for skeleton, _ in found] == ids
    assert large == []
    for skeleton, payloads in found:
        alone, own_payloads = store.take_up(skeleton.id, 2048)
        assert skeleton._replace(steps=None) == alone._replace(steps=None)
        assert [
            (alone.steps.state(n), alone.steps.kind(n), alone.steps.action_id(n)) for n in alone.run_flow
        ] == [
            (skeleton.steps.state(n), skeleton.steps.kind(n), skeleton.steps.action_id(n))
            for n in skeleton.run_flow
        ]
        assert sorted(payloads) == sorted(own_payloads)


def test_what_is_not_to_be_run_is_not_taken_up_with_others(store: Store, running: Turn, database: Database):
    running(outcome(3), stored(2), stored(3, requested_at=None), stored(4), stored(5), stored(6))
    running(claim(plan_id(4)))
    with database.write() as connection:
        connection.execute(text("DELETE FROM dynflow_steps WHERE execution_plan_id = :p"), {"p": plan_id(5)})

    found, large = store.take_up_fresh([plan_id(number) for number in range(2, 9)], 2048)

    assert [skeleton.id for skeleton, _ in found] == [plan_id(2), plan_id(6)]
    assert large == []
    assert store.take_up_fresh([plan_id(2)], 1) == ([], [plan_id(2)])


@pytest.mark.parametrize("held_back_only", [True, False])
def test_sub_plans_that_nobody_has_begun_are_ended(store: Store, running: Turn, held_back_only: bool):
    running(outcome(3), stored(2), stored(3), stored(4, requested_at=None), stored(5, caller_action_id=3))
    running(claim(plan_id(3)), mark(3, plan_id(3)))

    ended = store.end_never_begun(PLAN, ACTION, held_back_only, ERROR)

    assert ended == (1 if held_back_only else 2)
    row = store.load_plan(plan_id(4))
    assert (row.state, row.result, row.requested_at) == ("stopped", "error", None)
    assert row.ended_at is not None
    (step,) = store.load_steps(plan_id(4), [3])
    assert (step.state, step.error) == (StepState.ERROR, ERROR)
    assert store.load_plan(plan_id(2)).state == ("planned" if held_back_only else "stopped")
    assert store.load_plan(plan_id(3)).state == "running"
    assert store.load_plan(plan_id(5)).state == "planned"
    assert store.running_sub_plans(PLAN, ACTION) == [plan_id(3)]


def test_who_has_read_a_sub_plan_that_was_ended_cannot_claim_it(store: Store, running: Turn):
    running(outcome(3), stored(2))
    store.end_never_begun(PLAN, ACTION, False, ERROR)

    assert running(claim(plan_id(2))) == {plan_id(2)}


def test_plans_below_that_failed_are_found_the_deepest_first(store: Store, running: Turn):
    failed = {"state": PlanState.PAUSED, "result": Result.ERROR}
    store.save_plan(a_child(2, **failed))
    store.save_plan(a_child(3, caller_plan_id=plan_id(2), **failed))
    store.save_plan(a_child(4))
    store.save_plan(a_child(5, state=PlanState.RUNNING))
    store.save_plan(a_child(6, caller_plan_id=plan_id(5), **failed))
    store.save_plan(a_child(7, caller_plan_id=plan_id(4), **failed))

    found = store.failed_below(PLAN)

    assert sorted(found) == [plan_id(2), plan_id(3), plan_id(6)]
    assert found.index(plan_id(3)) < found.index(plan_id(2))
