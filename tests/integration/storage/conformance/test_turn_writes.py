"""One turn in one transaction: guards, lost plans, waves, and what lands in which row."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import event, text
from stored_plans import NOW, PLAN, WORLD, a_plan, claim, end, mark, outcome, plan_id

from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.coordinator.records import WorldRecord
from dynflow_mp.errors import WorldFenced
from dynflow_mp.model.codec import decode, encode
from dynflow_mp.model.plans import Setback
from dynflow_mp.model.states import PlanState, Result, StepState
from dynflow_mp.model.writes import ForgetEvents, MoveStep, RecordEvent, ResetStep, UnmarkRunning
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.store import GuardFailed, StepRow, Store

Turn = Callable[..., frozenset[str]]
OTHER = plan_id(2)


@pytest.fixture
def step(store: Store) -> Callable[[int], StepRow]:
    return lambda step_id: store.load_steps(PLAN, [step_id])[0]


@pytest.fixture
def claimed(store: Store, turn: Turn) -> Turn:
    """A plan of three run steps and a finalize step, claimed at epoch 1."""
    store.save_plan(a_plan(run_steps=3, finalize=True), requested_at=NOW)
    assert turn(claim()) == frozenset()
    return turn


# -- claims ------------------------------------------------------------------------------------------


def test_a_claim_makes_the_plan_running_and_its_own(store: Store, turn: Turn, coordinator: Coordinator):
    store.save_plan(a_plan(), requested_at=NOW)

    lost = turn(claim(), mark(3))

    status = store.plan_statuses([PLAN])[PLAN]
    lock = coordinator.execution_lock(PLAN)
    assert lost == frozenset()
    assert status == (PLAN, PlanState.RUNNING, Result.PENDING, WORLD, NOW, 1)
    assert lock is not None
    assert (lock.world_id, lock.client_id, lock.request_id, lock.epoch) == (
        WORLD,
        "client-1",
        "client-1-7",
        1,
    )


def test_a_plan_is_claimed_by_one_world_only(store: Store, turn: Turn, database: Database):
    store.save_plan(a_plan())
    other = Coordinator(database, "world-2")
    other.register_world(WorldRecord("world-2", executor=True))
    turn(claim())

    lost = turn(claim(world_id="world-2"), mark(3), coordinator=other)

    lock = other.execution_lock(PLAN)
    assert lost == {PLAN}
    assert store.plan_statuses([PLAN])[PLAN].owner_id == WORLD
    assert lock is not None
    assert lock.world_id == WORLD
    assert store.load_steps(PLAN, [3])[0].state is StepState.PENDING


def test_of_many_claims_only_the_refused_are_lost(store: Store, turn: Turn):
    for number in (1, 2, 3):
        store.save_plan(a_plan(plan_id(number)))
    turn(claim(OTHER, world_id="world-2"))

    lost = turn(*(claim(plan_id(number)) for number in (1, 2, 3, 4)))

    statuses = store.plan_statuses([plan_id(number) for number in (1, 2, 3)])
    assert lost == {OTHER, plan_id(4)}
    assert [status.lock_epoch for status in statuses.values()] == [1, 1, 1]


def test_the_same_claim_again_is_no_loss(store: Store, turn: Turn):
    """As when the answer to its commit was lost."""
    store.save_plan(a_plan())
    turn(claim())

    assert turn(claim()) == frozenset()
    assert store.plan_statuses([PLAN])[PLAN].lock_epoch == 1


def test_g4_an_outcome_is_stored_once_and_not_over_that_of_another_attempt(store: Store, turn: Turn):
    store.save_plan(a_plan())
    turn(claim(), mark(3))
    turn(outcome(3, state=StepState.SUSPENDED))

    for late in (outcome(3), outcome(3, attempt=2), outcome(3, state=StepState.ERROR)):
        with pytest.raises(GuardFailed, match=PLAN):
            turn(late)

    step = store.load_steps(PLAN, [3])[0]
    assert (step.state, step.attempts) == (StepState.SUSPENDED, 1)
    assert store.load_attempts(PLAN) == []


def test_a_claim_at_an_old_epoch_is_refused(store: Store, turn: Turn):
    store.save_plan(a_plan())
    turn(claim())
    turn(end(state=PlanState.PAUSED))

    assert turn(claim()) == {PLAN}
    assert turn(claim(epoch_read=1)) == frozenset()
    assert store.plan_statuses([PLAN])[PLAN].lock_epoch == 2


# -- the plan's end ----------------------------------------------------------------------------------


def test_the_end_releases_plan_and_lock_in_one(claimed: Turn, store: Store, coordinator: Coordinator):
    claimed(end())

    plan = store.load_plan(PLAN)
    assert (plan.state, plan.result, plan.owner_id, plan.requested_at) == ("stopped", "success", None, None)
    assert (plan.ended_at, plan.execution_time, plan.real_time) == (NOW + 5_000_000, 1.5, 5.0)
    assert plan.lock_epoch == 1
    assert coordinator.execution_lock(PLAN) is None


def test_a_plan_given_up_unfinished_stays_requested(claimed: Turn, store: Store, coordinator: Coordinator):
    claimed(end(state=PlanState.PLANNED, keep_requested=True))

    assert [status.id for status in store.requested_plans(5)] == [PLAN]
    assert coordinator.execution_lock(PLAN) is None


def test_a_plan_saved_without_release_stays_owned(claimed: Turn, store: Store, coordinator: Coordinator):
    claimed(end(state=PlanState.RUNNING, release=False))

    status = store.plan_statuses([PLAN])[PLAN]
    assert (status.owner_id, status.requested_at) == (WORLD, NOW)
    assert coordinator.execution_lock(PLAN) is not None


def test_claimed_failed_and_ended_in_one_turn(store: Store, turn: Turn, step: Callable[[int], StepRow]):
    store.save_plan(a_plan())
    turn(claim(), mark(3))
    turn(end(state=PlanState.PLANNED, keep_requested=True))

    lost = turn(
        claim(epoch_read=1),
        outcome(3, epoch=2, state=StepState.ERROR, error=b"\x90"),
        end(epoch=2, state=PlanState.PAUSED, result=Result.ERROR),
    )

    assert lost == frozenset()
    assert step(3).state is StepState.ERROR
    assert store.load_plan(PLAN).state is PlanState.PAUSED


# -- steps -------------------------------------------------------------------------------------------


def test_a_mark_counts_the_attempt_and_keeps_the_first_start(claimed: Turn, step: Callable[[int], StepRow]):
    claimed(mark(3))
    claimed(outcome(3, state=StepState.ERROR, error=b"\x90"))

    claimed(mark(3, attempt=2, from_state=StepState.ERROR, started_at=NOW + 99))

    assert (step(3).state, step(3).attempts, step(3).started_at) == (StepState.RUNNING, 2, NOW)


def test_an_outcome_lands_in_step_and_action(claimed: Turn, store: Store, step: Callable[[int], StepRow]):
    claimed(mark(3), mark(5), mark(7))

    claimed(
        outcome(3, output=b"\x81", input=b"\x82"),
        outcome(5, input=b"\x83"),
        outcome(7, output=b"\x84"),
    )

    rows = store.load_actions(PLAN, [2, 3, 4])
    assert [(row.input[:1], row.output) for row in rows] == [
        (b"\x82", b"\x81"),
        (b"\x83", None),
        (encode({"n": 2}, "input")[:1], b"\x84"),
    ]
    row = step(3)
    assert (row.state, row.ended_at, row.execution_time, row.real_time) == (
        StepState.SUCCESS,
        NOW + 2_000_000,
        0.5,
        2.0,
    )
    assert (row.progress_done, row.progress_weight, row.error) == (1.0, 2.0, None)


def test_a_resolved_input_has_no_references_any_more(store: Store, turn: Turn):
    plan = a_plan()
    store.save_plan(plan._replace(actions=[action._replace(references=b"\x90") for action in plan.actions]))
    turn(claim(), mark(3), mark(5))

    turn(outcome(3, input=b"\x81"), outcome(5, output=b"\x81"))

    assert [row.references for row in store.load_actions(PLAN, [2, 3])] == [None, b"\x90"]


def test_an_error_is_kept_in_the_journal_and_cleared_by_success(
    claimed: Turn, database: Database, step: Callable[[int], StepRow]
):
    claimed(mark(3))
    claimed(outcome(3, state=StepState.ERROR, error=b"\x90"))
    claimed(mark(3, attempt=2, from_state=StepState.ERROR))
    claimed(outcome(3, attempt=2))

    assert step(3).error is None
    assert _rows(database, "SELECT step_id, attempt, state, error FROM dynflow_step_attempts") == [
        (3, 1, "error", b"\x90")
    ]


def test_an_unmarked_step_was_never_begun(claimed: Turn, step: Callable[[int], StepRow]):
    claimed(mark(3))

    claimed(UnmarkRunning(PLAN, 1, 3, StepState.PENDING, 1))

    assert (step(3).state, step(3).attempts, step(3).started_at) == (StepState.PENDING, 0, None)


def test_an_unmarked_second_attempt_keeps_the_first_start(claimed: Turn, step: Callable[[int], StepRow]):
    claimed(mark(3))
    claimed(outcome(3, state=StepState.SUSPENDED))
    claimed(mark(3, attempt=2, from_state=StepState.SUSPENDED))

    claimed(UnmarkRunning(PLAN, 1, 3, StepState.SUSPENDED, 2))

    assert (step(3).state, step(3).attempts, step(3).started_at) == (StepState.SUSPENDED, 1, NOW)


def test_a_finalize_step_is_reset_keeping_its_error_until_it_ran_again(
    claimed: Turn, step: Callable[[int], StepRow]
):
    claimed(mark(8))
    claimed(outcome(8, action_id=2, state=StepState.ERROR, error=b"\x90"))

    claimed(ResetStep(PLAN, 1, 8))

    assert (step(8).state, step(8).attempts, step(8).error) == (StepState.PENDING, 1, b"\x90")


def test_a_step_written_several_times_in_one_turn_has_all_its_writes_in_order(
    claimed: Turn, step: Callable[[int], StepRow]
):
    """Suspended and woken, finalize part begun and ended, sent back and sent again: each within a turn."""
    claimed(mark(3), mark(5))

    claimed(
        outcome(3, state=StepState.SUSPENDED),
        mark(3, attempt=2, from_state=StepState.SUSPENDED),
        UnmarkRunning(PLAN, 1, 5, StepState.PENDING, 1),
        mark(5, started_at=NOW + 3),
        UnmarkRunning(PLAN, 1, 5, StepState.PENDING, 1),
        mark(8),
        outcome(8, action_id=2),
        ResetStep(PLAN, 1, 8),
        mark(8, attempt=2),
    )

    assert (step(3).state, step(3).attempts) == (StepState.RUNNING, 2)
    assert (step(5).state, step(5).attempts, step(5).started_at) == (StepState.PENDING, 0, None)
    assert (step(8).state, step(8).attempts) == (StepState.RUNNING, 2)


# -- guards and lost plans ---------------------------------------------------------------------------


def test_a_plan_of_another_epoch_is_lost_and_nothing_of_it_written(claimed: Turn, store: Store):
    store.save_plan(a_plan(OTHER))
    claimed(claim(OTHER))

    lost = claimed(mark(3, OTHER, epoch=7), end(OTHER, epoch=7), mark(3))

    assert lost == {OTHER}
    assert store.load_plan(OTHER).state is PlanState.RUNNING
    assert store.load_steps(OTHER, [3])[0].state is StepState.PENDING
    assert store.load_steps(PLAN, [3])[0].state is StepState.RUNNING


def test_a_released_plan_is_lost_to_who_had_it(claimed: Turn, coordinator: Coordinator):
    claimed(end(state=PlanState.PAUSED))

    assert claimed(mark(3)) == {PLAN}


def test_a_deleted_plan_is_lost(claimed: Turn, store: Store):
    store.delete_execution_plans({"uuid": PLAN})

    assert claimed(mark(3), mark(3, OTHER)) == {PLAN, OTHER}


def test_a_lost_plans_lock_is_left_to_whoever_has_it(claimed: Turn, coordinator: Coordinator):
    assert claimed(end(epoch=7)) == {PLAN}

    assert coordinator.execution_lock(PLAN) is not None


@pytest.mark.parametrize(
    "wrong",
    [
        mark(3, attempt=3),
        mark(3, from_state=StepState.ERROR),
        mark(99),
        outcome(3),
        outcome(5, attempt=2),
        UnmarkRunning(PLAN, 1, 3, StepState.PENDING, 1),
        ResetStep(PLAN, 1, 3),
    ],
)
def test_a_guard_that_touches_no_row_names_the_plan_and_nothing_is_stored(claimed: Turn, store: Store, wrong):
    store.save_plan(a_plan(OTHER))
    claimed(claim(OTHER), mark(5))

    with pytest.raises(GuardFailed) as failed:
        claimed(mark(3, OTHER), wrong, mark(5, OTHER))

    assert failed.value.plan_ids == {PLAN}
    assert store.load_steps(OTHER, [3])[0].state is StepState.PENDING


def test_a_guard_that_fails_in_a_later_wave_names_the_plan(claimed: Turn, store: Store):
    store.save_plan(a_plan(OTHER))
    claimed(claim(OTHER), mark(3), mark(3, OTHER))

    with pytest.raises(GuardFailed) as failed:
        claimed(
            outcome(3, state=StepState.SUSPENDED),
            mark(3, attempt=2, from_state=StepState.SUSPENDED),
            outcome(3, OTHER, state=StepState.SUSPENDED),
            mark(3, OTHER, attempt=2, from_state=StepState.ERROR),
        )

    assert failed.value.plan_ids == {OTHER}


def test_a_mark_of_a_step_that_runs_already_is_found_out(claimed: Turn):
    """The row looks as if the mark had been written: only what was there before tells."""
    claimed(mark(3))

    with pytest.raises(GuardFailed) as failed:
        claimed(mark(5), mark(3))

    assert failed.value.plan_ids == {PLAN}


def test_an_input_without_its_action_names_the_plan(claimed: Turn, database: Database):
    claimed(mark(3))
    with database.write() as connection:
        connection.execute(text("DELETE FROM dynflow_actions WHERE id = 2"))

    with pytest.raises(GuardFailed) as failed:
        claimed(outcome(3, input=b"\x80"))

    assert failed.value.plan_ids == {PLAN}


def test_a_turn_of_many_plans_is_held_and_compared_whole(store: Store, turn: Turn):
    ids = [plan_id(number) for number in range(1, 701)]
    for id_ in ids:
        store.save_plan(a_plan(id_, run_steps=1))
    turn(*(claim(id_) for id_ in ids))

    lost = turn(*(mark(3, id_, epoch=2 if id_ == ids[555] else 1) for id_ in ids))

    assert lost == {ids[555]}
    counts = store.find_statuses({"state": "running"})
    assert len(counts) == 700


# -- events ------------------------------------------------------------------------------------------


def test_an_event_is_recorded_once_and_forgotten(claimed: Turn, database: Database):
    recorded = RecordEvent(PLAN, 1, 3, "c-9", encode("wake", "event"), "client-1", None, NOW)
    claimed(recorded)
    claimed(recorded, recorded._replace(id="c-10"))

    claimed(ForgetEvents(PLAN, 1, ("c-9",)))

    ((event_id, data),) = _rows(database, "SELECT id, data FROM dynflow_events")
    assert (event_id, decode(data)) == ("c-10", "wake")


def test_an_event_recorded_and_taken_in_one_turn_is_gone(claimed: Turn, database: Database):
    claimed(RecordEvent(PLAN, 1, 3, "c-9", b"\xc0", None, None, NOW), ForgetEvents(PLAN, 1, ("c-9",)))

    assert _rows(database, "SELECT id FROM dynflow_events") == []


# -- the fence ---------------------------------------------------------------------------------------


def test_a_world_declared_dead_writes_nothing(claimed: Turn, coordinator: Coordinator, store: Store):
    claimed(mark(3))
    coordinator.set_world_state(WORLD, "dead")

    with pytest.raises(WorldFenced):
        claimed(outcome(3))

    assert store.load_steps(PLAN, [3])[0].state is StepState.RUNNING


def test_a_plan_taken_over_through_another_database_object_is_lost_to_the_old_owner(
    claimed: Turn, store: Store, open_database: Callable[[], Database]
):
    """Two worlds on one file: the old owner's epoch is behind, its outcome is not recorded."""
    theirs = open_database()
    other = Coordinator(theirs, "world-2")
    other.register_world(WorldRecord("world-2", executor=True))
    claimed(mark(3))
    claimed(end(state=PlanState.PAUSED, keep_requested=True))
    claimed(
        claim(epoch_read=1, world_id="world-2"),
        store=Store(theirs),
        coordinator=other,
    )

    lost = claimed(outcome(3))

    assert lost == {PLAN}
    assert store.plan_statuses([PLAN])[PLAN].owner_id == "world-2"
    assert store.load_steps(PLAN, [3])[0].state is StepState.RUNNING


def test_who_listens_to_statements_hears_all_of_a_turn(store: Store, turn: Turn, database: Database):
    store.save_plan(a_plan())
    heard: list[str] = []

    def hear(connection, cursor, statement, *_) -> None:
        heard.append(statement.split()[0])

    event.listen(database.engine, "after_cursor_execute", hear)
    turn(claim(), mark(3))

    # The fence, the claim, the mark, the lock.
    assert heard == ["SELECT", "UPDATE", "UPDATE", "INSERT"]


def _rows(database: Database, statement: str) -> list[tuple[object, ...]]:
    with database.read() as connection:
        return [tuple(row) for row in connection.execute(text(statement))]


# -- steps that no call of their code moves ------------------------------------------------------------


def test_a_failed_step_that_is_tried_again_keeps_its_error_and_what_counts_for_it(
    claimed: Turn, step: Callable[[int], StepRow], store: Store
):
    error = encode(["OSError", "no disk", [], None], "error")
    move = MoveStep(PLAN, 1, 3, StepState.ERROR, 1, StepState.PENDING, 1, due_at=NOW + 5, retries=1)

    claimed(mark(3), outcome(3, state=StepState.ERROR, error=error), move)

    row = step(3)
    assert (row.state, row.attempts, row.error) == (StepState.PENDING, 1, error)
    assert (row.due_at, row.retries, row.crashes) == (NOW + 5, 1, None)
    assert store.load_skeleton(PLAN).setbacks == {3: Setback(NOW + 5, 1, 0)}
    assert [(one.step_id, one.attempt, one.error) for one in store.load_attempts(PLAN)] == [(3, 1, error)]


def test_many_steps_move_in_one_turn_each_in_its_own_way(claimed: Turn, step: Callable[[int], StepRow]):
    failed = [one for step_id in (3, 5) for one in (mark(step_id), outcome(step_id, state=StepState.ERROR))]
    claimed(*failed)

    claimed(
        MoveStep(PLAN, 1, 3, StepState.ERROR, 1, StepState.SKIPPING, 1),
        MoveStep(PLAN, 1, 5, StepState.ERROR, 1, StepState.PENDING, 1, crashes=2),
        MoveStep(PLAN, 1, 7, StepState.PENDING, 0, StepState.SKIPPED, 0, forget_error=True),
        MoveStep(PLAN, 1, 3, StepState.SKIPPING, 1, StepState.SKIPPED, 1, forget_error=True),
        mark(5, attempt=2),
    )

    assert [(step(one).state, step(one).attempts, step(one).crashes) for one in (3, 5, 7)] == [
        (StepState.SKIPPED, 1, None),
        (StepState.RUNNING, 2, 2),
        (StepState.SKIPPED, 0, None),
    ]


@pytest.mark.parametrize(("state", "attempts"), [(StepState.ERROR, 0), (StepState.PENDING, 1)])
def test_a_step_that_is_not_where_it_was_does_not_move(
    claimed: Turn, step: Callable[[int], StepRow], state: StepState, attempts: int
):
    with pytest.raises(GuardFailed):
        claimed(MoveStep(PLAN, 1, 3, state, attempts, StepState.SKIPPED, attempts))

    assert step(3).state is StepState.PENDING


def test_a_step_that_is_started_anew_has_nothing_behind_it(claimed: Turn, store: Store):
    claimed(mark(3), outcome(3, state=StepState.ERROR))
    claimed(MoveStep(PLAN, 1, 3, StepState.ERROR, 1, StepState.ERROR, 1, due_at=NOW, retries=2, crashes=3))

    claimed(ResetStep(PLAN, 1, 3))

    assert store.load_skeleton(PLAN).setbacks == {}
