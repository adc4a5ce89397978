"""Takeover of what a dead world holds, on a real database: plan by plan, behind the fence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import Mock

import pytest
from sqlalchemy import Connection, update
from stored_plans import NOW, PLAN, WORLD, a_plan, claim, end, mark, outcome, plan_id, run_step

from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.coordinator.records import AutoExecuteLock, WorldInvalidationLock, WorldRecord
from dynflow_mp.director.failures import Conduct
from dynflow_mp.director.protocol import UNATTENDED
from dynflow_mp.errors import InactiveWorld, LockTaken, PersistenceError, WorldFenced
from dynflow_mp.maintenance import reconciler as reconciling
from dynflow_mp.maintenance.reconciler import Reconciler
from dynflow_mp.maintenance.recovery import Recovery
from dynflow_mp.maintenance.watched_plans import WatchedPlans
from dynflow_mp.model.codec import decode
from dynflow_mp.model.messages import ANY_EXECUTOR, Done, Envelope, Execution
from dynflow_mp.model.plans import HistoryEntry, Setback, history_from_data
from dynflow_mp.model.policies import ActionPolicy
from dynflow_mp.model.states import PlanState, Result, StepState
from dynflow_mp.model.work import ErrorRecord
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.store import Store
from dynflow_mp.persistence.tables import execution_plans
from dynflow_mp.persistence.turn import GuardFailed

OTHER = "world-2"
Turn = Callable[..., frozenset[str]]


@pytest.fixture
def other(database: Database) -> Coordinator:
    """The world that recovers."""
    coordinator = Coordinator(database, OTHER)
    coordinator.register_world(WorldRecord(OTHER, executor=True))
    return coordinator


@pytest.fixture
def answered() -> list[Envelope]:
    return []


@pytest.fixture
def asked() -> list[Envelope]:
    return []


@pytest.fixture
def recovery(store: Store, other: Coordinator, answered: list[Envelope], asked: list[Envelope]) -> Recovery:
    return Recovery(store, other, answered.append, asked.append)


@pytest.fixture
def offered() -> list[str]:
    return []


@pytest.fixture
def reconciler(
    store: Store, other: Coordinator, recovery: Recovery, asked: list[Envelope], offered: list[str]
) -> Reconciler:
    return Reconciler(
        store,
        other,
        recovery,
        asked.append,
        offered.extend,
        lambda error: None,
        interval_s=1.0,
        lease_ttl_s=2.0,
    )


@pytest.fixture
def hold(store: Store, turn: Turn) -> Callable[..., None]:
    """Has WORLD run plans; ``begun`` steps of each are running."""

    def held(*numbers: int, begun: int = 0) -> None:
        for number in numbers:
            id_ = plan_id(number)
            store.save_plan(a_plan(id_), requested_at=NOW)
            assert not turn(claim(id_), *(mark(run_step(position), id_) for position in range(begun)))

    return held


def history(store: Store, number: int = 1) -> list[HistoryEntry]:
    return list(history_from_data(decode(store.load_plan(plan_id(number)).history)))


# -- one plan --------------------------------------------------------------------------------------


def test_steps_that_were_running_are_errors_and_their_asker_is_told(
    store: Store, hold: Callable[..., None], recovery: Recovery, other: Coordinator, answered: list[Envelope]
) -> None:
    hold(1, begun=2)

    assert recovery.invalidate(WORLD) == 1

    plan = store.load_plan(PLAN)
    assert (plan.state, plan.result, plan.owner_id, plan.requested_at) == ("paused", "error", None, None)
    assert (plan.lock_epoch, other.find_locks()) == (1, [])
    assert [(entry.name, entry.world_id) for entry in history(store)] == [
        ("start execution", WORLD),
        ("terminate execution", WORLD),
    ]
    states = {step.id: step.state for step in store.load_steps(PLAN) if step.phase == "run"}
    assert states == {3: "error", 5: "error", 7: "pending"}
    error = store.load_steps(PLAN, [3])[0].error
    assert error is not None
    assert ErrorRecord.from_bytes(error).message == "abnormal termination (previous state: running)"
    assert answered == [Envelope(OTHER, "client-1", "client-1-7", Done())]


def test_each_such_attempt_has_its_line_in_the_journal(
    database: Database, hold: Callable[..., None], recovery: Recovery
) -> None:
    hold(1, begun=1)

    recovery.invalidate(WORLD)

    with database.read() as connection:
        rows = connection.exec_driver_sql("SELECT step_id, attempt, state FROM dynflow_step_attempts")
        assert [tuple(row) for row in rows] == [(3, 1, "error")]


def test_a_plan_without_any_goes_on_under_the_request_it_was_asked_for_with(
    store: Store,
    hold: Callable[..., None],
    turn: Turn,
    recovery: Recovery,
    answered: list[Envelope],
    asked: list[Envelope],
) -> None:
    hold(1, begun=1)
    turn(outcome(3, state=StepState.SUSPENDED))

    recovery.invalidate(WORLD)

    plan = store.load_plan(PLAN)
    assert (plan.state, plan.result, plan.owner_id, plan.requested_at) == ("paused", "pending", None, NOW)
    assert asked == [Envelope("client-1", ANY_EXECUTOR, "client-1-7", Execution(PLAN))]
    assert answered == []


@pytest.mark.parametrize("state", ["stopped", "planned", "paused", "pending"])
def test_a_plan_that_does_not_run_is_only_let_go(
    store: Store,
    database: Database,
    hold: Callable[..., None],
    recovery: Recovery,
    other: Coordinator,
    state: str,
) -> None:
    hold(1)
    change(database, 1, state=state)

    recovery.invalidate(WORLD)

    plan = store.load_plan(PLAN)
    assert (plan.state, plan.owner_id, plan.requested_at) == (state, None, NOW)
    assert len(history(store)) == 1
    assert other.find_locks() == []


def test_a_plan_whose_lock_is_missing_is_found_by_its_row(
    store: Store, hold: Callable[..., None], recovery: Recovery, other: Coordinator, answered: list[Envelope]
) -> None:
    hold(1, begun=1)
    for lock in other.find_locks():
        other.release(lock)

    assert recovery.invalidate(WORLD) == 1

    assert store.load_plan(PLAN).state == "paused"
    assert answered == []


def change(database: Database, number: int, **values: object) -> None:
    with database.write() as connection:
        connection.execute(
            update(execution_plans).where(execution_plans.c.id == plan_id(number)).values(**values)
        )


# -- several ---------------------------------------------------------------------------------------


def test_a_plan_that_is_gone_and_one_that_is_damaged_keep_no_other_waiting(
    store: Store, database: Database, hold: Callable[..., None], recovery: Recovery, other: Coordinator
) -> None:
    hold(1, 2, 3, begun=1)
    store.delete_execution_plans({"id": plan_id(1)})
    change(database, 2, run_flow=b"\xc1")

    assert recovery.invalidate(WORLD) == 3

    statuses = store.plan_statuses([plan_id(2), plan_id(3)])
    assert [(status.state, status.result, status.owner_id) for status in statuses.values()] == [
        ("paused", "error", None)
    ] * 2
    assert other.find_locks() == []


def test_a_plan_that_cannot_be_written_is_tried_again_and_keeps_no_other_waiting(
    store: Store,
    hold: Callable[..., None],
    recovery: Recovery,
    other: Coordinator,
    answered: list[Envelope],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hold(1, 2, begun=1)
    load = store.load_skeletons
    broken = plan_id(1)
    monkeypatch.setattr(store, "load_skeletons", lambda ids: 1 / 0 if broken in ids else load(ids))

    assert recovery.invalidate(WORLD) == 1
    assert [lock.id for lock in other.find_locks()] == [f"execution-plan:{broken}"]
    broken = "mended"

    assert recovery.invalidate(WORLD) == 1
    assert (other.find_locks(), len(answered)) == ([], 2)


def test_plans_that_nothing_is_wrong_with_share_their_transactions(
    store: Store, hold: Callable[..., None], recovery: Recovery, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(*range(1, 8), begun=1)
    write, written = store.write_turn, []

    def counted(connection: Connection, writes: Sequence[Any]) -> frozenset[str]:
        written.append({one.plan_id for one in writes})
        return write(connection, writes)

    monkeypatch.setattr(store, "write_turn", counted)

    assert recovery.invalidate(WORLD) == 7
    assert written == [{plan_id(number) for number in range(1, 8)}]


def test_a_plan_that_is_in_the_way_of_a_transaction_is_the_only_one_that_stays(
    store: Store,
    hold: Callable[..., None],
    recovery: Recovery,
    other: Coordinator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hold(1, 2, 3, begun=1)
    write = store.write_turn
    broken = plan_id(2)

    def refuses(connection: Connection, writes: Sequence[Any]) -> frozenset[str]:
        if any(one.plan_id == broken for one in writes):
            raise GuardFailed([broken])
        return write(connection, writes)

    monkeypatch.setattr(store, "write_turn", refuses)

    assert recovery.invalidate(WORLD) == 2
    assert [lock.id for lock in other.find_locks()] == [f"execution-plan:{broken}"]


def test_a_released_plan_that_another_world_has_by_now_stays_with_it(
    store: Store, hold: Callable[..., None], turn: Turn, recovery: Recovery, other: Coordinator
) -> None:
    hold(1)
    turn(end(state=PlanState.PAUSED, result=Result.PENDING))
    turn(claim(epoch_read=1, world_id=OTHER), coordinator=other)

    assert recovery.invalidate(WORLD) == 0

    assert store.load_plan(PLAN).owner_id == OTHER
    assert [lock.owner_id for lock in other.find_locks()] == [f"world:{OTHER}"]


# -- the world -------------------------------------------------------------------------------------


def test_g9_whoever_was_invalidated_writes_nothing_more(
    hold: Callable[..., None], turn: Turn, recovery: Recovery, coordinator: Coordinator
) -> None:
    hold(1, begun=1)

    recovery.invalidate(WORLD)

    with pytest.raises(WorldFenced):
        turn(outcome(3))
    with pytest.raises(WorldFenced):
        coordinator.renew_lease()


def test_worlds_44_a_world_is_recovered_by_one_other_at_a_time(
    recovery: Recovery, database: Database, coordinator: Coordinator
) -> None:
    third = Coordinator(database, "world-3")
    third.register_world(WorldRecord("world-3", executor=True))

    with third.holding(WorldInvalidationLock("world-3", WORLD)), pytest.raises(LockTaken):
        recovery.invalidate(WORLD)

    assert coordinator.find_worlds(id=WORLD)[0].state == "alive"


def test_g2_one_whose_takeover_ended_with_the_database_away_is_taken_over_later(
    recovery: Recovery,
    hold: Callable[..., None],
    other: Coordinator,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The lock of the takeover is left, of a world that lives: it must not keep the dead one's plans for ever."""
    hold(1)
    away = PersistenceError("the database is away", "connection")
    with monkeypatch.context() as patches:
        patches.setattr(other, "release", Mock(side_effect=away))
        patches.setattr(recovery, "_take_over", Mock(side_effect=away))
        with pytest.raises(PersistenceError):
            recovery.invalidate(WORLD)
    assert len(other.find_locks(class_name=WorldInvalidationLock.__name__)) == 1

    assert recovery.invalidate(WORLD) == 1

    assert (store.load_plan(PLAN).state, other.find_locks()) == ("paused", [])


def test_its_other_locks_go_too(coordinator: Coordinator, recovery: Recovery, other: Coordinator) -> None:
    """A dead world's auto-execute lock would keep all others from it; its invalidation lock another world's plans."""
    coordinator.acquire(AutoExecuteLock(WORLD))
    coordinator.acquire(WorldInvalidationLock(WORLD, "yet-another"))

    recovery.invalidate(WORLD)

    assert other.find_locks() == []


def test_worlds_57_a_validity_check_spares_the_living(
    coordinator: Coordinator, recovery: Recovery, other: Coordinator
) -> None:
    other.register_world(WorldRecord("dead", executor=False, state="dead"))

    assert recovery.validity_check() == {WORLD: "valid", "dead": "invalidated"}


def test_a_dead_owner_is_no_owner_for_who_waits(
    store: Store, hold: Callable[..., None], other: Coordinator
) -> None:
    hold(1)
    watched = WatchedPlans(store, other)
    assert watched.plan_statuses([PLAN])[PLAN].owner_id == WORLD

    other.set_world_state(WORLD, "dead")
    assert watched.plan_statuses([PLAN])[PLAN].owner_id is None

    other.delete_world(WORLD)
    assert watched.plan_statuses([PLAN])[PLAN].owner_id is None


# -- rounds ----------------------------------------------------------------------------------------


def test_an_executor_whose_lease_stands_still_is_recovered_after_the_ttl_and_forgotten_after_another(
    store: Store, hold: Callable[..., None], reconciler: Reconciler, other: Coordinator
) -> None:
    hold(1)

    for now in (0.0, 1.0):
        reconciler.round(now)
    assert store.load_plan(PLAN).state == "running"
    reconciler.round(2.9)  # what looking takes is no silence
    assert (store.load_plan(PLAN).state, other.find_worlds(id=WORLD)[0].state) == ("paused", "dead")

    for now in (3.0, 4.0):
        reconciler.round(now)
    assert other.find_worlds(id=WORLD) != []
    for now in (5.0, 6.0):
        reconciler.round(now)
    assert other.find_worlds(id=WORLD) == []


def test_g10_one_that_renews_its_lease_between_the_look_and_the_verdict_is_left_alone(
    reconciler: Reconciler,
    recovery: Recovery,
    coordinator: Coordinator,
    other: Coordinator,
    monkeypatch: pytest.MonkeyPatch,
):
    for now in (0.0, 1.0):
        reconciler.round(now)
    looked = other.find_worlds

    def looked_and_late(*args: object, **filters: object) -> list[WorldRecord]:
        found = looked(*args, **filters)  # type: ignore[arg-type]
        coordinator.renew_lease()
        return found

    with monkeypatch.context() as patched:
        patched.setattr(other, "find_worlds", looked_and_late)
        reconciler.round(2.9)

    (found,) = other.find_worlds(id=WORLD)
    assert (found.state, found.lease) == ("alive", 1)


def test_an_executor_that_renews_its_lease_is_left_alone(
    store: Store, hold: Callable[..., None], reconciler: Reconciler, coordinator: Coordinator
) -> None:
    hold(1)

    for now in range(10):
        coordinator.renew_lease()
        reconciler.round(float(now))

    assert store.load_plan(PLAN).state == "running"


def test_worlds_60_plans_held_by_a_world_that_is_not_registered_are_taken_over_at_once(
    store: Store, hold: Callable[..., None], reconciler: Reconciler, coordinator: Coordinator
) -> None:
    hold(1)
    coordinator.delete_world(WORLD)

    reconciler.round(0.0)

    assert store.load_plan(PLAN).state == "paused"


def test_g2_what_goes_wrong_with_one_dead_world_keeps_nobody_else_waiting(
    store: Store,
    hold: Callable[..., None],
    reconciler: Reconciler,
    recovery: Recovery,
    other: Coordinator,
    offered: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Such as rows of its that a frozen client of a server without limits holds."""
    hold(1)
    store.save_plan(a_plan(plan_id(2)), requested_at=NOW)
    other.register_world(WorldRecord("in-the-way", executor=True, state="dead"))
    Coordinator(store.database, "in-the-way").create_record(AutoExecuteLock("in-the-way"))
    other.set_world_state(WORLD, "dead")
    invalidate, tried = recovery.invalidate, []

    def one_is_locked(world_id: str, lease: int | None = None) -> int:
        tried.append(world_id)
        if world_id == "in-the-way":
            raise PersistenceError("held too long", "locked")
        return invalidate(world_id, lease)

    monkeypatch.setattr(recovery, "invalidate", one_is_locked)

    for now in (0.0, 1.0):
        reconciler.round(now)

    assert set(tried) == {"in-the-way", WORLD}
    assert store.load_plan(PLAN).state == "paused"
    assert offered == [plan_id(2)]


def test_a_round_ends_with_a_database_that_is_away(
    reconciler: Reconciler, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = PersistenceError("away", "connection")
    ask = Mock(side_effect=away)
    monkeypatch.setattr(store, "give_up_orphans", ask)
    monkeypatch.setattr(store, "requested_plans", ask)

    with pytest.raises(PersistenceError):
        reconciler.round(0.0)

    assert ask.call_count == 1


def test_a_requested_plan_that_was_never_begun_is_taken_here_when_nobody_took_it_for_a_whole_round(
    store: Store, reconciler: Reconciler, asked: list[Envelope], offered: list[str]
) -> None:
    store.save_plan(a_plan(), requested_at=NOW)
    store.save_plan(a_plan(plan_id(2)))

    reconciler.round(0.0)
    assert offered == []
    reconciler.round(1.0)

    assert offered == [PLAN]
    assert asked == []


def test_one_that_was_begun_is_asked_for(
    store: Store, turn: Turn, reconciler: Reconciler, asked: list[Envelope], offered: list[str]
) -> None:
    store.save_plan(a_plan(), requested_at=NOW)
    turn(claim(), end(state=PlanState.PAUSED, result=Result.PENDING, keep_requested=True))

    reconciler.round(0.0)
    assert asked == []
    reconciler.round(1.0)
    reconciler.round(2.0)

    assert offered == []
    assert [(envelope.sender_id, envelope.message) for envelope in asked] == [(OTHER, Execution(PLAN))] * 2
    assert len({envelope.request_id for envelope in asked}) == 2
    assert all(envelope.request_id.startswith(UNATTENDED) for envelope in asked)


def test_g2_one_that_nobody_took_although_it_was_asked_for_is_taken_here(
    store: Store, turn: Turn, other: Coordinator, recovery: Recovery, asked: list[Envelope]
) -> None:
    """Perhaps no message gets through; none is needed."""
    store.save_plan(a_plan(), requested_at=NOW)
    turn(claim(), end(state=PlanState.PAUSED, result=Result.PENDING, keep_requested=True))
    taken: list[Envelope] = []
    reconciler = Reconciler(
        store,
        other,
        recovery,
        asked.append,
        lambda plan_ids: None,
        lambda error: None,
        interval_s=1.0,
        lease_ttl_s=2.0,
        take=taken.append,
    )

    for now in range(3):
        reconciler.round(float(now))

    assert [envelope.message for envelope in asked] == [Execution(PLAN)]
    assert [envelope.message for envelope in taken] == [Execution(PLAN)]


def test_plans_that_run_here_and_are_not_stored_any_more_are_found_some_at_a_time(
    store: Store, other: Coordinator, recovery: Recovery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciling, "_AT_ONCE", 2)
    held = [plan_id(number) for number in range(1, 6)]
    for stored in (1, 2, 4):
        store.save_plan(a_plan(plan_id(stored)))
    told: list[list[str]] = []
    reconciler = Reconciler(
        store,
        other,
        recovery,
        lambda envelope: None,
        lambda plan_ids: None,
        lambda error: None,
        interval_s=1.0,
        lease_ttl_s=2.0,
        held=lambda: held,
        deleted=lambda plan_ids: told.append(list(plan_ids)),
    )

    for now in range(4):
        reconciler.round(float(now))

    assert told == [[plan_id(3)], [plan_id(5)]]


def test_a_world_that_ends_recovers_nobody(
    store: Store, database: Database, hold: Callable[..., None], coordinator: Coordinator
) -> None:
    hold(1)
    ending = Coordinator(database, "ending", active=lambda: False)
    ending.register_world(WorldRecord("ending", executor=True))

    with pytest.raises(InactiveWorld):
        Recovery(store, ending, lambda envelope: None, lambda envelope: None).invalidate(WORLD)

    assert store.load_plan(PLAN).state == "running"


# -- failures that something is done about by itself ---------------------------------------------------


@pytest.fixture
def hold_of(store: Store, turn: Turn) -> Callable[..., None]:
    """Has WORLD run a plan whose classes have this policy, its first two steps running."""

    def held(policy: ActionPolicy) -> None:
        plan = a_plan()
        policies = dict.fromkeys((step.action_class for step in plan.steps), policy)
        store.save_plan(plan._replace(policies=policies), requested_at=NOW)
        assert not turn(claim(), mark(3), mark(5))

    return held


def test_b356_steps_that_are_to_be_skipped_are_and_the_plan_goes_on(
    store: Store, hold_of: Callable[..., None], recovery: Recovery, asked: list[Envelope]
) -> None:
    hold_of(ActionPolicy(rescue_strategy="skip"))

    recovery.invalidate(WORLD)

    plan = store.load_plan(PLAN)
    assert (plan.state, plan.result, plan.requested_at) == ("paused", "warning", NOW)
    assert [store.load_steps(PLAN, [step])[0].state for step in (3, 5, 7)] == [
        "skipping",
        "skipping",
        "pending",
    ]
    assert asked == [Envelope("client-1", ANY_EXECUTOR, "client-1-7", Execution(PLAN))]


def test_without_auto_rescue_the_plan_stays_paused(
    store: Store, hold_of: Callable[..., None], other: Coordinator, answered: list[Envelope]
) -> None:
    hold_of(ActionPolicy(rescue_strategy="skip"))

    Recovery(store, other, answered.append, answered.append, conduct=Conduct(auto_rescue=False)).invalidate(
        WORLD
    )

    assert (store.load_plan(PLAN).result, answered) == (
        "error",
        [Envelope(OTHER, "client-1", "client-1-7", Done())],
    )


def test_idempotent_steps_run_again_and_each_crash_is_counted(
    store: Store, hold_of: Callable[..., None], recovery: Recovery, asked: list[Envelope]
) -> None:
    hold_of(ActionPolicy(idempotent=True))

    recovery.invalidate(WORLD)

    (step,) = store.load_steps(PLAN, [3])
    (attempt,) = store.load_attempts(PLAN, 3)
    assert (step.state, step.attempts, step.crashes, step.retries) == ("pending", 1, 1, None)
    assert (attempt.attempt, attempt.state) == (1, "error")
    assert store.load_skeleton(PLAN).setbacks == {3: Setback(None, 0, 1), 5: Setback(None, 0, 1)}
    assert asked == [Envelope("client-1", ANY_EXECUTOR, "client-1-7", Execution(PLAN))]


def test_an_older_error_keeps_a_plan_from_going_on_although_its_steps_are_idempotent(
    store: Store, hold_of: Callable[..., None], turn: Turn, recovery: Recovery, asked: list[Envelope]
) -> None:
    hold_of(ActionPolicy(idempotent=True))
    turn(outcome(3, state=StepState.ERROR))

    recovery.invalidate(WORLD)

    assert (store.load_plan(PLAN).result, asked) == ("error", [])
