"""A plan's whole life while the database gives transactions up, or answers no more (G5, G29).

However a transaction fails, what is stored in the end is the same, and nothing is stored twice.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any

import pytest
from failing_connections import (
    Failures,
    failing_statements,
    losses,
    lost_connection,
    refusals,
    unanswered_commits,
)
from plan_lives import LIVES, PATIENCE_S, stored
from sqlalchemy import event
from stored_plans import NOW, PLAN, WORLD, a_plan, claim, end, mark, outcome, plan_id

from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.coordinator.records import ExecutionLock, Lock, Record, WorldRecord, owner_of_world
from dynflow_mp.errors import LockLost, LockTaken, PersistenceError
from dynflow_mp.executor.ledger import Ledger
from dynflow_mp.maintenance.recovery import Recovery
from dynflow_mp.model.messages import Envelope
from dynflow_mp.model.states import PlanState, Result, StepState
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.store import Store

Life = Callable[[str, Store, Coordinator], None]


EVERY = pytest.mark.parametrize(
    "every", [3, pytest.param(1, marks=[pytest.mark.chaos, pytest.mark.timeout(1200)])]
)
"""Which statements fail, one in each life: a third of them, or all."""


@pytest.fixture(params=LIVES)
def life(request: pytest.FixtureRequest) -> Life:
    """One of the lives in which there is every kind of write transaction."""
    chosen: Life = LIVES[request.param]
    return chosen


@pytest.fixture
def plain(life: Life, store: Store, coordinator: Coordinator, database: Database) -> dict[str, list[Any]]:
    """What is stored after a life in which nothing failed."""
    life(PLAN, store, coordinator)
    return stored(database, PLAN)


def lived_through(
    failing: AbstractContextManager[None],
    number: int,
    life: Life,
    store: Store,
    coordinator: Coordinator,
    database: Database,
) -> dict[str, list[Any]]:
    """What is stored after the life of a plan of its own in which this failed."""
    own_id = plan_id(100 + number)
    with failing:
        life(own_id, store, coordinator)
    return stored(database, own_id)


# -- a transaction that was given up (G29) -----------------------------------------------------------


@EVERY
def test_g29_a_transaction_given_up_at_any_statement_is_done_again_whole(
    every: int,
    plain: dict[str, list[Any]],
    life: Life,
    store: Store,
    coordinator: Coordinator,
    database: Database,
    database_kind: str,
):
    errors = refusals(database_kind)
    counting = Failures(0, errors[0])
    with failing_statements(database, counting):
        life(plan_id(2), store, coordinator)

    for at in range(1, counting.happened + 1, every):
        failing = failing_statements(database, Failures(at, errors[at % len(errors)]))
        assert lived_through(failing, at, life, store, coordinator, database) == plain, f"statement {at}"
    assert counting.happened > 5


@EVERY
def test_g7_g29_a_lost_connection_at_any_statement_is_done_again_whole(
    every: int,
    plain: dict[str, list[Any]],
    life: Life,
    store: Store,
    coordinator: Coordinator,
    database: Database,
    database_kind: str,
):
    errors = losses(database_kind)
    counting = Failures(0, errors[0])
    with failing_statements(database, counting):
        life(plan_id(2), store, coordinator)

    for at in range(1, counting.happened + 1, every):
        failing = failing_statements(database, Failures(at, errors[at % len(errors)]))
        assert lived_through(failing, at, life, store, coordinator, database) == plain, f"statement {at}"


def test_g29_what_does_not_pass_is_not_tried_again(
    store: Store, database: Database, caplog: pytest.LogCaptureFixture
):
    store.save_plan(a_plan())
    rolled_back: list[object] = []
    event.listen(database.engine, "rollback", rolled_back.append)

    with pytest.raises(PersistenceError) as refused:
        store.save_plan(a_plan())

    assert not refused.value.passes
    assert len(rolled_back) == 1
    assert caplog.records == []


# -- a commit without an answer (G5) -----------------------------------------------------------------


def test_g5_a_commit_without_an_answer_is_neither_lost_nor_done_twice(
    plain: dict[str, list[Any]],
    life: Life,
    store: Store,
    coordinator: Coordinator,
    database: Database,
    database_kind: str,
):
    counting = Failures(0, lost_connection(database_kind))
    with unanswered_commits(database, counting):
        life(plan_id(2), store, coordinator)

    for at in range(1, counting.happened + 1):
        unanswered = unanswered_commits(database, Failures(at, lost_connection(database_kind)))
        assert lived_through(unanswered, at, life, store, coordinator, database) == plain, f"commit {at}"
    assert counting.happened >= 4


def test_plans_lost_to_others_stay_lost_when_the_commit_was_not_answered(
    store: Store, coordinator: Coordinator, database: Database, database_kind: str
):
    for number in (1, 2):
        store.save_plan(a_plan(plan_id(number)))
    ledger = Ledger(store, coordinator, lambda: None)
    ledger.write([claim(plan_id(1), world_id="world-2")], PATIENCE_S)

    with unanswered_commits(database, Failures(1, lost_connection(database_kind))):
        lost = ledger.write([claim(plan_id(1)), claim(plan_id(2)), mark(3, plan_id(2))], PATIENCE_S)

    assert lost == {plan_id(1)}
    assert store.load_steps(plan_id(2), [3])[0].attempts == 1


def test_a_plan_given_up_in_a_commit_without_an_answer_may_be_anothers_by_then(
    store: Store, coordinator: Coordinator, database: Database, database_kind: str
):
    store.save_plan(a_plan(), requested_at=NOW)
    ledger = Ledger(store, coordinator, lambda: take_it())
    ledger.write([claim(), mark(3)], PATIENCE_S)

    def take_it() -> None:
        other = Coordinator(database, "world-2")
        other.register_world(WorldRecord("world-2", executor=True))
        theirs = Ledger(store, other, lambda: None)
        assert not theirs.write([claim(epoch_read=1, world_id="world-2")], PATIENCE_S)

    given_up = end(state=PlanState.PAUSED, result=Result.ERROR, keep_requested=True)
    with unanswered_commits(database, Failures(1, lost_connection(database_kind))):
        lost = ledger.write([outcome(3, state=StepState.ERROR, error=b"\x90"), given_up], PATIENCE_S)

    assert lost == frozenset()
    assert store.plan_statuses([PLAN])[PLAN].owner_id == "world-2"


def test_another_plan_of_the_same_id_is_still_refused(store: Store, database: Database, database_kind: str):
    store.save_plan(a_plan(label="theirs"))
    lost_before = Failures(1, lost_connection(database_kind))

    with failing_statements(database, lost_before), pytest.raises(PersistenceError):
        store.save_plan(a_plan(label="ours"))

    assert store.load_plan(PLAN).label == "theirs"


def test_a_lock_taken_or_released_without_an_answer_is_taken_or_released_once(
    coordinator: Coordinator, database: Database, database_kind: str
):
    lock = Lock("Mutex", "door", owner_of_world(WORLD))

    with unanswered_commits(database, Failures(1, lost_connection(database_kind))):
        coordinator.acquire(lock)
    assert coordinator.find_locks(class_name="Mutex") == [lock]
    with pytest.raises(LockTaken):
        coordinator.acquire(lock)

    with unanswered_commits(database, Failures(1, lost_connection(database_kind))):
        coordinator.release(lock)
    assert coordinator.find_locks(class_name="Mutex") == []
    with pytest.raises(LockLost):
        coordinator.release(lock)


def test_a_lock_is_not_taken_for_ones_own_because_another_thread_of_this_world_has_it(
    coordinator: Coordinator, database: Database, database_kind: str
):
    """The connection was lost before anything was committed, and the other thread was quicker."""
    lock = Lock("Mutex", "door", owner_of_world(WORLD))
    coordinator.acquire(lock)

    with failing_statements(database, Failures(1, lost_connection(database_kind))), pytest.raises(LockTaken):
        coordinator.acquire(lock)


def test_g5_worlds_and_records_are_made_once(
    coordinator: Coordinator, database: Database, database_kind: str
):
    for record in (WorldRecord("world-9", executor=True), Record("Counter", "visits", {"value": 1})):
        with unanswered_commits(database, Failures(1, lost_connection(database_kind))):
            coordinator.create_record(record)
    with unanswered_commits(database, Failures(1, lost_connection(database_kind))):
        coordinator.set_world_state("world-9", "dead")

    assert coordinator.find_worlds(id="world-9")[0].state == "dead"
    assert len(coordinator.find_records(class_name="Counter")) == 1


def test_g5_who_waits_hears_of_a_takeover_whose_commit_was_not_answered(
    store: Store, coordinator: Coordinator, database: Database, database_kind: str
):
    store.save_plan(a_plan(), requested_at=NOW)
    Ledger(store, coordinator, lambda: None).write([claim(), mark(3)], PATIENCE_S)
    other = Coordinator(database, "world-2")
    other.register_world(WorldRecord("world-2", executor=True))
    answered: list[Envelope] = []
    recovery = Recovery(store, other, answered.append, answered.append)

    # Its own lock, the world's death, what is read, the plan: whichever commit that is. What could only
    # not be read is left to the next round.
    for at in range(1, 12):
        failures = Failures(at, lost_connection(database_kind))
        with unanswered_commits(database, failures), suppress(PersistenceError):
            recovery.invalidate(WORLD)

    assert len(answered) == 1
    assert [lock for lock in other.find_locks() if isinstance(lock, ExecutionLock)] == []
    assert store.load_plan(PLAN).state is PlanState.PAUSED
